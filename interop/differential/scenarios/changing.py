"""delete, setData and setACL, and the order of their checks."""

from scenarios import UNREADABLE, scenario
from wire import EPHEMERAL, OPEN, Request, buf, create, delete, exists, get_acl, get_data, i32
from wire import set_acl, set_data, reconfig, get_children2, create_container
from scenarios.creating import NAMES

READ_ONLY = [(1, "world", "anyone")]
# In the end none is allowed: the node of the configuration may not be written.
RECONFIGS = (
    reconfig(), reconfig(config_id=5), reconfig(leaving="2", config_id=5),
    reconfig("server.2=h:1:2;3"), reconfig("server.2=h:1:2;3", "1", "x", 5),
    reconfig("server.2=h:1:2"), reconfig("nonsense"), reconfig("server.x=h:1:2;3"),
    reconfig("a=b=c"), reconfig("server.4=192.0.2.1:1:2;3,server.5=192.0.2.1:4:2;5"),
    reconfig("server.4=127.0.0.1:1:2;3"), reconfig("server.4=h:1:2;3,server.5=i:1:2;3"),
    reconfig(leaving="1,2"), reconfig(leaving="9"), reconfig(leaving="x"), reconfig(leaving=""),
    reconfig(members="server.7=h:1:2;3,server.8=i:1:2;3"), reconfig(members="server.1=h:1:2;3"),
    reconfig(members=""), reconfig(members="nonsense=1"), reconfig(members="server.7=h"),
    reconfig(members="server.1=h:1:2:observer;3"), reconfig(members="server.y=h:1:2;3"),
    reconfig(members="server.1=h:1:2;3\nserver.2=i:1:2;3\nserver.3=j:1:2:observer;3"),
)
SPECIAL = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")


@scenario()
def delete_checks(side):
    """Names, special paths, versions, children, permissions."""
    connection = side.connect()
    for name in NAMES:
        if name.startswith("/a"):
            continue
        connection.call(delete(name))
    for path in SPECIAL:
        for version in (-1, 0, 5):
            connection.call(delete(path, version))
    connection.call(create(side.path()))
    for version in (-2, -1, 0, 1, 2**31 - 1, -(2**31)):
        connection.call(create(side.path("v")))
        connection.call(delete(side.path("v"), version))
    connection.call(create(side.path("closed"), acls=[(27 & ~8, "world", "anyone")]))
    connection.call(delete(side.path("closed/nope"), 3))
    connection.call(create(side.path("p")))
    connection.call(create(side.path("p/c"), acls=READ_ONLY))
    connection.call(delete(side.path("p"), 7))
    connection.call(delete(side.path("p")))
    connection.call(delete(side.path("p/c")))
    connection.call(exists(side.path("p")))
    connection.call(delete(side.path("p/")))
    connection.call(delete(side.path("p"), 0))
    connection.call(delete(side.path("p")))
    connection.call(exists(side.path()))


@scenario()
def set_data_checks(side):
    """Names, versions, permissions, null data, Stat fields."""
    connection = side.connect()
    for name in NAMES:
        if not name.startswith("/zookeeper"):
            connection.call(set_data(name, b"x"))
    connection.call(set_data("/zookeeper/config", b"x"))
    connection.call(create(side.path(), b"0"))
    for version in (-1, 0, 1, 1, -2, 2, 2**31 - 1, -1, None, 4):
        connection.call(set_data(side.path(), b"1", version if version is not None else 3))
    for data in (None, b"", b"x" * 70_000):
        connection.call(set_data(side.path(), data))
        connection.call(get_data(side.path()))
    connection.call(create(side.path("closed"), acls=READ_ONLY))
    connection.call(set_data(side.path("closed"), b"x", 9))
    connection.call(set_data(side.path("closed/nope"), b"x"))
    connection.call(set_data(side.path("e/"), b"x"))
    connection.call(create_container(side.path("c")))
    connection.call(set_data(side.path("c"), b"x"))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    connection.call(set_data(side.path("e"), b"x"))


@scenario()
def set_acl_checks(side):
    """Names, lists, versions, permissions; only aversion moves."""
    connection = side.connect()
    for name in NAMES:
        if not name.startswith("/zookeeper"):
            connection.call(set_acl(name, OPEN))
    connection.call(create(side.path()))
    for version in (-1, 0, 1, 1, 2**31 - 1, -2, 2):
        connection.call(set_acl(side.path(), OPEN, version))
    for acls in (None, [], [(31, "nonsense", "")]):
        connection.call(set_acl(side.path(), acls, 99))
        connection.call(set_acl(side.path("nope"), acls))
        connection.call(set_acl("bad", acls))
    connection.call(set_acl(side.path(), [(1, "world", "anyone"), *OPEN, (1, "world", "anyone")]))
    connection.call(get_acl(side.path()))
    connection.call(exists(side.path()))
    connection.call(set_acl(side.path(), READ_ONLY))
    connection.call(set_acl(side.path(), OPEN))
    connection.call(set_acl("/zookeeper/config", OPEN))
    connection.call(get_acl("/zookeeper/config"))
    connection.call(get_acl("/"))


@scenario()
def stat_after_every_change(side):
    """What each operation does to the node and to its parent."""
    connection = side.connect()

    def look():
        for path in (side.path(), side.path("c")):
            connection.call(exists(path))

    connection.call(create(side.path(), b"12"))
    look()
    for request in (
        create(side.path("c"), b"345"), set_data(side.path("c"), b"6789"), set_acl(side.path(), OPEN),
        set_acl(side.path("c"), OPEN), create(side.path("c/g")), delete(side.path("c/g")),
        set_data(side.path(), b""), delete(side.path("c")), create(side.path("c"), flags=EPHEMERAL),
        delete(side.path("c"), 1), delete(side.path("c"), 0),
    ):
        connection.call(request)
        look()


@scenario()
def ephemerals_of_a_closed_session(side):
    """All go at one zxid, as deletions of children."""
    one, two = side.connect(), side.connect()
    one.call(create(side.path()))
    for name in "abc":
        two.call(create(side.path(name), flags=EPHEMERAL))
    one.call(exists(side.path()))
    two.close_session()
    one.call(exists(side.path()))
    one.call(get_children2(side.path()))


@scenario(own_server=True)
def initial_tree(side):
    """The nodes of a fresh server."""
    connection = side.connect()
    for path in SPECIAL:
        connection.call(exists(path))
        connection.call(get_data(path))
        connection.call(get_acl(path))
        connection.call(get_children2(path))
        connection.call(Request("getAllChildrenNumber", buf(path)))
    for path in SPECIAL:
        connection.call(set_data(path, b"x"))
        connection.call(create(path))
        connection.call(set_acl(path, OPEN))
    for path in SPECIAL:
        connection.call(exists(path))
        connection.call(get_data(path))


@scenario()
def failed_writes_take_zxids(side):
    """Each in its turn, between the others."""
    connection = side.connect()
    connection.pipeline(
        create(side.path()), create(side.path()), set_data(side.path(), b"", 5), exists("/"),
        delete(side.path("nope")), set_acl(side.path("nope"), OPEN), create(side.path("a/b")),
        create(side.path("a")), delete(side.path()), exists(side.path()), delete(side.path("a")),
        delete(side.path()), delete(side.path()), exists(side.path()),
    )


@scenario()
def reconfig_that_is_switched_off(side):
    """Refused, whatever it asks for."""
    connection = side.connect()
    for request in RECONFIGS:
        connection.call(request)
    connection.call(exists("/"))


@scenario(cfg={"reconfigEnabled": "true"})
def reconfig_without_a_permission(side):
    """A standalone server has no members to change; an ensemble says what is wrong first."""
    connection = side.connect()
    for request in RECONFIGS:
        connection.call(request)
    connection.call(exists("/"))


@scenario(alone=UNREADABLE)
def reconfig_that_cannot_be_read(side):
    """-5."""
    connection = side.connect()
    connection.call(Request("reconfig", b""))
    connection.call(exists("/"))


@scenario()
def wrapped_expectations(side):
    """Versions as ints: deletions and changes with the same expectation, pipelined."""
    connection = side.connect()
    connection.pipeline(
        create(side.path()), *[set_data(side.path(), b"%d" % n, n) for n in range(5)],
        set_data(side.path(), b"x", 4), Request("delete", buf(side.path()) + i32(4)),
        delete(side.path(), 5), get_data(side.path()),
    )
