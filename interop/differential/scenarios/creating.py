"""create in all its forms, and the order of its checks."""

from scenarios import scenario
from wire import CONTAINER, EPHEMERAL, OPEN, SEQUENTIAL, TTL, TTL_SEQUENTIAL, auth
from wire import create, create2, create_container, create_ttl, delete, exists, get_children2
from wire import get_data, set_acl

# Every rule about characters and components, with names that are fine in between.
NAMES = (
    "", "/", "//", "/.", "/..", "/...", "/.a", "/a.", "/a/.", "/a/..", "/a/./b", "/a/../b", "/a/",
    "/a//b", "a", "a/b", "/nope/x", "/nope/../x", "/nope/./x", "/nope//x", "//x", "/x\0y", "/x\x01",
    "/x\x1f", "/x y", "/x\x7f", "/x\x80", "/x\x9f", "/x\xa0", "/x\ud7ff", "/x\ue000", "/x\uf8ff",
    "/x\uf900", "/x\uffef", "/x\ufff0", "/x\ufffd", "/x\uffff", "/x\U0001f600", "/x%00", "/x\\y",
    "/\t", "/zookeeper", "/zookeeper/", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/foo",
    "/zookeeper/config/child", "/zookeeper/quota/child", " /x", "/ ", "/" + "n" * 3000,
)


@scenario()
def names(side):
    """Which paths may be created; each is tried as a node of its own and below one that exists."""
    connection = side.connect()
    connection.call(create("/a"))
    for name in NAMES:
        connection.call(create(name))
        connection.call(create2(name, b"again"))
    connection.call(create(side.path()))
    for name in NAMES:
        connection.call(create(side.path() + name))
    connection.call(get_children2(side.path()))
    connection.call(get_children2("/zookeeper"))


@scenario()
def modes(side):
    """Every flag with every opcode; what comes back and what is then there."""
    connection = side.connect()
    connection.call(create(side.path()))
    for flags in (-(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 2**31 - 1):
        for op in ("create", "create2", "createContainer"):
            path = side.path(f"{op}{flags}-")
            connection.call(create(path, b"data", OPEN, flags, op))
            connection.call(exists(path))
    connection.call(get_children2(side.path()))


@scenario()
def ttl_without_extended_types(side):
    """-6 for the TTL flags, before their ttl is looked at."""
    connection = side.connect()
    for flags in (TTL, TTL_SEQUENTIAL):
        for ttl in (-1, 0, 1, 1000, 2**40 - 1, 2**40, 2**63 - 1):
            connection.call(create_ttl(side.path(), ttl, flags=flags))
    for flags in range(0, 5):
        for ttl in (0, 1, 1000):
            connection.call(create_ttl(side.path(), ttl, flags=flags))
    connection.call(create_ttl(side.path(), 1000, flags=7))
    connection.call(create_ttl(side.path(), 1000, flags=-1))


@scenario(cfg={"extendedTypesEnabled": "true"})
def ttl_with_extended_types(side):
    """The range of a ttl, and what a TTL node looks like."""
    connection = side.connect()
    connection.call(create(side.path()))
    for flags in (TTL, TTL_SEQUENTIAL):
        for ttl in (-1, 0, 1, 1_000_000, 2**40 - 1, 2**40, 2**63 - 1, -(2**63)):
            path = side.path(f"{flags}-{ttl}-")
            connection.call(create_ttl(path, ttl, b"x", flags=flags))
            connection.call(exists(path))
    for flags in range(0, 5):
        for ttl in (0, 1, 1000):
            connection.call(create_ttl(side.path("n"), ttl, flags=flags))
    for op in ("create", "create2", "createContainer"):
        for flags in (TTL, TTL_SEQUENTIAL, CONTAINER):
            connection.call(create(side.path(f"{op}{flags}"), b"", OPEN, flags, op))
    connection.call(create_ttl(side.path("parent"), 100_000))
    connection.call(create(side.path("parent/child")))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    connection.call(exists(side.path("e")))


@scenario()
def sequential_names(side):
    """The number is the parent's count of creations, of any kind, and never goes back."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(create(side.path("s-"), flags=SEQUENTIAL))
    connection.call(create(side.path("plain")))
    connection.call(create(side.path("s-"), flags=SEQUENTIAL))
    connection.call(delete(side.path("s-0000000002")))
    connection.call(create(side.path("s-"), flags=SEQUENTIAL))
    connection.call(create(side.path("e-"), flags=SEQUENTIAL | EPHEMERAL))
    connection.call(create(side.path("plain"), flags=0))
    connection.call(create2(side.path("s-"), flags=SEQUENTIAL))
    connection.call(create(side.path() + "/", flags=SEQUENTIAL))
    connection.call(create(side.path() + "//", flags=SEQUENTIAL))
    connection.call(create(side.path("x") + "/", flags=SEQUENTIAL))
    connection.call(create(side.path("plain/"), flags=SEQUENTIAL))
    connection.call(create(side.path("."), flags=SEQUENTIAL))
    connection.call(create(side.path(".."), flags=SEQUENTIAL))
    connection.call(create(side.path("\0"), flags=SEQUENTIAL))
    connection.call(create_container(side.path("c-"), flags=SEQUENTIAL))
    connection.call(create("", flags=SEQUENTIAL))
    connection.call(create("x", flags=SEQUENTIAL))
    connection.call(get_children2(side.path()))


@scenario(own_server=True)
def sequential_names_at_the_root(side):
    """The root's counter starts at 0."""
    connection = side.connect()
    connection.call(create("/", flags=SEQUENTIAL))
    connection.call(create("/s", flags=SEQUENTIAL))
    connection.call(exists("/"))


@scenario()
def sequential_names_in_flight(side):
    """Pipelined creates count on one another."""
    connection = side.connect()
    connection.pipeline(
        create(side.path()),
        *[create(side.path("s-"), flags=SEQUENTIAL) for _ in range(5)],
        create(side.path("nope/s-"), flags=SEQUENTIAL),
        delete(side.path("s-0000000001")),
        create(side.path("s-"), flags=SEQUENTIAL),
        get_children2(side.path()),
    )


@scenario()
def order_of_checks(side):
    """With several things wrong at once, the first check wins."""
    connection = side.connect(password=None)
    connection.call(create(side.path()))
    connection.call(create(side.path("closed"), acls=[(1, "world", "anyone")]))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    connection.call(create(side.path("there")))
    bad_acl = [(31, "nonsense", "x")]
    for acls in (OPEN, [], None, bad_acl):
        for flags in (0, 7, TTL, CONTAINER):
            for name in (
                "no\0pe", "nope/x", "closed/x", "closed/.", "closed/x/", "there", "e/x", "e/.",
                "closed/nope/x", "there/",
            ):
                connection.call(create(side.path(name), acls=acls, flags=flags))
        connection.call(create("x", acls=acls))
        connection.call(create(None, acls=acls))


@scenario()
def data_of_every_kind(side):
    """Null, empty and large data."""
    connection = side.connect()
    connection.call(create(side.path(), None))
    for number, data in enumerate((None, b"", b"\0", bytes(range(256)), b"x" * 100_000)):
        for op in ("create", "create2", "createContainer"):
            path = side.path(f"{op}{number}")
            connection.call(create(path, data, op=op))
            connection.call(get_data(path))


@scenario()
def children_of_ephemerals(side):
    """-108, whoever asks; containers and sequential nodes may have children."""
    connection, other = side.connect(), side.connect()
    connection.call(create(side.path()))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    for one in (connection, other):
        for flags in range(0, 4):
            one.call(create(side.path("e/c"), flags=flags))
    connection.call(create_container(side.path("container")))
    connection.call(create(side.path("container/c")))
    connection.call(exists(side.path("container")))
    connection.call(delete(side.path("e")))
    connection.call(create(side.path("e")))
    connection.call(create(side.path("e/c")))


@scenario()
def acl_lists(side):
    """What may stand in an ACL, and what becomes of it."""
    connection = side.connect()
    connection.call(create(side.path()))
    entries = (
        (31, "world", "anyone"), (0, "world", "anyone"), (-1, "world", "anyone"),
        (127, "world", "anyone"), (31, "world", "you"), (31, "world", ""), (31, "world", None),
        (31, "auth", ""), (31, "auth", None), (31, "auth", "x"), (31, "digest", "u:h"),
        (31, "digest", ":x"), (31, "digest", "a:b:"), (31, "digest", "u"), (31, "digest", "u:"),
        (31, "digest", "a:b:c"), (31, "digest", ""), (31, "digest", None), (31, "digest", ":"),
        (31, "ip", "127.0.0.1"), (31, "ip", "127.0.0.1/8"), (31, "ip", "127.0.0.1/33"),
        (31, "ip", "127.0.0.1/-1"), (31, "ip", "127.0.0.1/x"), (31, "ip", "127.0.0"),
        (31, "ip", "127.0.0.1.1"), (31, "ip", "300.1.1.1"), (31, "ip", ""), (31, "ip", None),
        (31, "ip", "::1"), (31, "ip", "::"), (31, "ip", "::1/128"), (31, "ip", "::1/129"),
        (31, "ip", "1:2:3:4:5:6:7:8"), (31, "ip", "1:2:3:4:5:6:7"), (31, "ip", "::1::"),
        (31, "ip", "::ffff:1.2.3.4"), (31, "ip", "fe80::1%eth0"), (31, "ip", "127.0.0.1/"),
        (31, "ip", "127.0.0.1/0"), (31, "ip", "/8"), (31, "ip", "127.0.0.1/8/8"),
        (31, "ip", "0127.0.0.1"), (31, "ip", "+1.2.3.4"), (31, "ip", "1.2.3.4 "),
        (31, "ip", "12345::"), (31, "ip", "g::"), (31, "ip", ":1:2:3:4:5:6:7"), (31, "ip", "localhost"),
        (31, "super", ""), (31, "x509", "CN=a"), (31, "sasl", "bob"), (31, "", "x"),
        (31, None, "x"), (31, "nonsense", "x"), (31, "World", "anyone"), (31, "ensemble", "x"),
    )
    for number, entry in enumerate(entries):
        path = side.path(f"n{number}")
        connection.call(create(path, acls=[entry]))
        connection.call(create2(path + "b", acls=[entry, entry, (1, "world", "anyone")]))
        connection.call(set_acl(side.path(), [entry, (31, "world", "anyone")]))
    connection.call(auth("digest", b"bob:pw"))
    for acls in ([(31, "auth", "")], [(31, "auth", ""), (1, "world", "anyone")],
                 [(1, "auth", "x"), (2, "auth", "y"), (1, "auth", None)]):
        connection.call(set_acl(side.path(), [*acls, (31, "world", "anyone")]))
        connection.call(create(side.path("by-auth"), acls=acls))
        connection.call(delete(side.path("by-auth")))
