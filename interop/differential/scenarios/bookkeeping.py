"""Quotas, containers and TTL nodes: what the server does by itself."""

from scenarios import scenario
from wire import EPHEMERAL, SEQUENTIAL, create, create_container, create_ttl, delete, exists
from wire import get_children2, get_data, multi, set_data


def quota(side, connection, name, limits, stats=b"count=0,bytes=0"):
    """Makes the nodes of a quota on side.path(name)."""
    path = "/zookeeper/quota"
    for part in side.path(name).split("/")[1:]:
        path += "/" + part
        connection.call(create(path))
    connection.call(create(path + "/zookeeper_limits", limits))
    connection.call(create(path + "/zookeeper_stats", stats))
    return path


def changes(side, name):
    """Writes below a node that add, grow, shrink and remove."""
    return [
        create(side.path(f"{name}/a"), b"12345"), create(side.path(f"{name}/b"), b"x" * 30),
        set_data(side.path(f"{name}/a"), b"123456789"), set_data(side.path(f"{name}/a"), b"1"),
        set_data(side.path(f"{name}/a"), None), create(side.path(f"{name}/a/deep"), b"xx"),
        create(side.path(f"{name}/e"), flags=EPHEMERAL), set_data(side.path(name), b"x" * 50),
        set_data(side.path(name), b"x" * 50), create(side.path(f"{name}/s"), flags=SEQUENTIAL),
        delete(side.path(f"{name}/b")), multi(
            create(side.path(f"{name}/m1"), b"1"), create(side.path(f"{name}/m2"), b"2")),
        set_data(side.path(name), b"x" * 500, 77), create(side.path(f"{name}/a"), b"y" * 300),
        delete(side.path(f"{name}/a/deep")), create(side.path(f"{name}/nope/x"), b"y" * 300),
    ]


def walk_through(side, limits):
    """The changes under each of the limits, the statistics after each."""
    connection = side.connect()
    connection.call(create(side.path()))
    for number, limit in enumerate(limits):
        name = f"q{number}"
        connection.call(create(side.path(name), b"abc"))
        connection.call(create(side.path(f"{name}/before"), b"12"))
        path = quota(side, connection, name, limit)
        connection.call(get_data(path + "/zookeeper_stats"))
        for change in changes(side, name):
            connection.call(change)
            connection.call(get_data(path + "/zookeeper_stats"))
        connection.call(exists(path + "/zookeeper_limits"))


@scenario()
def statistics(side):
    """Counted, never enforced by default."""
    walk_through(side, (
        b"count=3,bytes=10", b"count=-1,bytes=-1", b"count=3,bytes=10=;byteHardLimit=5;countHardLimit=2",
    ))


@scenario(cfg={"enforceQuota": "true"})
def enforced(side):
    """Hard limits refuse, soft ones only warn; a hard one wins."""
    walk_through(side, (
        b"count=3,bytes=10", b"count=-1,bytes=-1=;byteHardLimit=40;countHardLimit=-1",
        b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4",
        b"count=1,bytes=1=;byteHardLimit=60;countHardLimit=5",
        b"count=0,bytes=0=;byteHardLimit=0;countHardLimit=0", b"countHardLimit=3;byteHardLimit=9",
    ))


@scenario(cfg={"enforceQuota": "true"})
def deepest_quota_only(side):
    """An inner quota hides changes from the outer one."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(create(side.path("in")))
    outer = quota(side, connection, "", b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3")
    inner = quota(side, connection, "in", b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=9")
    for request in (
        create(side.path("in/a"), b"x" * 15), create(side.path("in/b"), b"x" * 15),
        create(side.path("c")), create(side.path("d")), create(side.path("e")),
        delete(inner + "/zookeeper_limits"), create(side.path("in/f"), b"x" * 15),
        delete(outer + "/zookeeper_limits"), create(side.path("in/g"), b"x" * 15),
    ):
        connection.call(request)
        connection.call(get_data(outer + "/zookeeper_stats"))
        connection.call(get_data(inner + "/zookeeper_stats"))


@scenario()
def quota_nodes_come_and_go(side):
    """In any order, with the subtree there or not, watched."""
    connection = side.connect()
    connection.call(create(side.path()))
    path = quota(side, connection, "later", b"count=5,bytes=5", b"")
    connection.call(get_data(path + "/zookeeper_stats", True))
    connection.call(create(side.path("later"), b"123"))
    connection.call(create(side.path("later/c"), b"123"))
    connection.call(get_data(path + "/zookeeper_stats"))
    connection.call(set_data(path + "/zookeeper_limits", b"count=9,bytes=9"))
    connection.call(delete(path + "/zookeeper_stats"))
    connection.call(create(side.path("later/d"), b"123"))
    connection.call(create(path + "/zookeeper_stats", b""))
    connection.call(get_data(path + "/zookeeper_stats"))
    connection.call(delete(path + "/zookeeper_limits"))
    connection.call(create(side.path("later/e"), b"123"))
    connection.call(get_data(path + "/zookeeper_stats"))
    connection.call(get_children2(path))


@scenario(cfg={"enforceQuota": "true"}, own_server=True)
def quota_after_a_restart(side):
    """Statistics are counted anew, limits hold."""
    connection = side.connect()
    connection.call(create(side.path(), b"123"))
    path = quota(side, connection, "", b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3")
    connection.call(create(side.path("a"), b"x" * 5))
    side.server.restart()
    again = side.connect()
    again.call(get_data(path + "/zookeeper_stats"))
    again.call(create(side.path("b"), b"x" * 5))
    again.call(create(side.path("c"), b""))
    again.call(set_data(side.path("b"), b"x" * 50))
    again.call(get_data(path + "/zookeeper_stats"))


REAPER = {"znode.container.checkIntervalMs": "300"}
# Long enough for the requests in between to be done before, on a busy machine too.
SHORT_MS = 1500


@scenario(properties=REAPER)
def containers_are_reaped(side):
    """Once they have had a child and have none; a never-used one stays."""
    connection, watcher, poller = side.connect(), side.connect(), side.connect()
    connection.call(create(side.path()))
    connection.call(create_container(side.path("unused")))
    connection.call(create_container(side.path("used")))
    connection.call(create_container(side.path("full")))
    connection.call(create(side.path("used/c")))
    connection.call(create(side.path("full/c")))
    watcher.call(exists(side.path("used"), True))
    connection.call(delete(side.path("used/c")))
    side.await_gone(poller, side.path("used"))
    watcher.settle()
    connection.call(get_children2(side.path()))
    connection.call(create(side.path("after")))


@scenario(cfg={"extendedTypesEnabled": "true"}, properties=REAPER)
def ttl_nodes_are_reaped(side):
    """When nobody changed them for their time and they have no children."""
    connection, watcher, poller = side.connect(), side.connect(), side.connect()
    connection.call(create(side.path()))
    connection.call(create_ttl(side.path("long"), 100_000))
    connection.call(create_ttl(side.path("parent"), SHORT_MS))
    connection.call(create(side.path("parent/c")))
    connection.call(create_ttl(side.path("short"), SHORT_MS))
    watcher.call(exists(side.path("short"), True))
    side.await_gone(poller, side.path("short"))
    watcher.settle()
    connection.call(get_children2(side.path()))
    connection.call(delete(side.path("parent/c")))
    side.await_gone(poller, side.path("parent"))
    connection.call(get_children2(side.path()))
