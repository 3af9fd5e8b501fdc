"""Reads, which check less than writes do."""

from scenarios import scenario
from scenarios.creating import NAMES
from wire import EPHEMERAL, Request, create, delete, exists, get_acl, get_all_children_number
from wire import get_children, get_children2, get_data, get_ephemerals, multi_read, set_data, sync
from wire import create_container, who_am_i, buf


@scenario()
def names(side):
    """No rules for paths, except what exists has against NUL."""
    connection = side.connect()
    for name in NAMES:
        if name in ("/", "") or name.startswith("/zookeeper"):
            continue
        for request in (exists, get_data, get_children, get_children2):
            connection.call(request(name, False))
        for request in (get_acl, sync, get_all_children_number, get_ephemerals):
            connection.call(request(name))


@scenario(own_server=True)
def root_by_its_other_name(side):
    """The empty path is the root."""
    connection = side.connect()
    for name in ("/", "", "/zookeeper", "/zookeeper/", "zookeeper"):
        for request in (exists, get_data, get_children, get_children2):
            connection.call(request(name, False))
        for request in (get_acl, get_all_children_number):
            connection.call(request(name))


@scenario()
def counting_descendants(side):
    """getAllChildrenNumber, with names that are prefixes of one another."""
    connection = side.connect()
    for name in ("", "a", "a/b", "a/b/c", "ab", "a-"):
        connection.call(create(side.path(name)))
    for name in ("", "a", "a/b", "ab", "nope", "a/"):
        connection.call(get_all_children_number(side.path(name)))


@scenario()
def own_ephemerals(side):
    """Only one's own, by raw prefix."""
    one, two = side.connect(), side.connect()
    one.call(create(side.path()))
    for name in ("a", "ab", "b"):
        one.call(create(side.path(name), flags=EPHEMERAL))
    two.call(create(side.path("c"), flags=EPHEMERAL))
    for connection in (one, two):
        for prefix in (None, "", "/", " ", side.path(), side.path("a"), side.path("a") + "/", "x"):
            connection.call(get_ephemerals(prefix))
    one.call(delete(side.path("a")))
    one.call(get_ephemerals("/"))


@scenario()
def several_reads_in_one(side):
    """multiRead: each its own error, no watches, reads only."""
    connection = side.connect()
    connection.call(create(side.path(), b"x"))
    connection.call(create(side.path("closed"), b"x", acls=[(30, "world", "anyone")]))
    good, bad = get_data(side.path(), True), get_data(side.path("nope"), True)
    children, closed = get_children(side.path(), True), get_data(side.path("closed"))
    connection.call(multi_read())
    connection.call(multi_read(good))
    connection.call(multi_read(good, bad, children, closed, good))
    for null in (get_data(None), get_children(None)):
        for place in range(3):
            reads = [good, bad]
            reads.insert(place, null)
            connection.call(multi_read(*reads))
    for other in (
        exists(side.path()), get_children2(side.path()), get_acl(side.path()), sync("/x"),
        create(side.path("n")), set_data(side.path()), delete(side.path("nope")),
        Request("check", delete(side.path()).body), Request("setACL", get_acl("/").body),
    ):
        connection.call(multi_read(good, other, good))
        connection.call(multi_read(other))
    connection.call(set_data(side.path(), b"y"))
    connection.settle()


@scenario()
def sync_echoes(side):
    """Anything at all."""
    connection = side.connect()
    for path in ("/", "", None, "no slash", "/nope", "/x\0y", "/\ud7ff", "n" * 5000):
        connection.call(sync(path))


@scenario()
def reads_behind_writes(side):
    """A read sees the writes before it on its connection, and no later ones."""
    connection = side.connect()
    connection.pipeline(
        get_data(side.path()), create(side.path(), b"0"), get_data(side.path()),
        set_data(side.path(), b"1"), sync("/"), get_data(side.path()), get_children2(side.path()),
        create(side.path("c")), get_children2(side.path()), delete(side.path("c")),
        get_children2(side.path()), delete(side.path()), exists(side.path()),
    )


@scenario()
def containers_look_ordinary(side):
    """Owner 0."""
    connection = side.connect()
    connection.call(create_container(side.path(), b"x"))
    connection.call(exists(side.path()))
    connection.call(get_data(side.path()))


@scenario()
def who_one_is(side):
    """An address to begin with."""
    connection = side.connect()
    connection.call(who_am_i())
    connection.call(Request("whoAmI", buf("x")))


@scenario()
def sasl_without_sasl(side):
    """A null token, and on it goes."""
    connection = side.connect()
    connection.call(Request("sasl", buf(b"token")))
    connection.call(Request("sasl", buf(b"")))
    connection.call(exists("/"))


@scenario()
def sasl_with_a_null_token(side):
    """The connection closes."""
    connection = side.connect()
    connection.call(Request("sasl", buf(None)))
    connection.until_closed()


@scenario()
def truncated_sasl(side):
    """Where the token should be there is nothing."""
    connection = side.connect()
    connection.call(Request("sasl", b""))
    connection.until_closed()
