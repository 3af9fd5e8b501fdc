"""multi: every kind of operation in it, and a failure in every place."""

from scenarios import UNREADABLE, scenario
from wire import CONTAINER, EPHEMERAL, OPEN, SEQUENTIAL, TTL, TTL_SEQUENTIAL
from wire import Request, check, create, create2, create_container, create_ttl, delete, exists
from wire import flag, get_acl, get_children, get_children2, get_data, i32, multi, set_acl, set_data


def all_kinds(side, name):
    """One of each kind that succeeds, in this order."""
    return [
        create(side.path(name)), create2(side.path(f"{name}/a"), b"1"),
        create_container(side.path(f"{name}/c")), set_data(side.path(name), b"2"),
        check(side.path(name), 1), create(side.path(f"{name}/e"), flags=EPHEMERAL),
        create(side.path(f"{name}/s-"), flags=SEQUENTIAL), delete(side.path(f"{name}/a"), 0),
    ]


@scenario()
def every_kind(side):
    """Results, one zxid for all, Stats taken as the operations go."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(multi(*all_kinds(side, "n")))
    connection.call(get_children2(side.path("n")))
    connection.call(exists(side.path("n")))
    connection.call(multi())
    connection.call(exists("/"))


@scenario()
def failure_in_every_place(side):
    """Zeroes before it, its own code, -2 behind it; nothing is done."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(create(side.path("there")))
    connection.call(create(side.path("closed"), acls=[(0, "world", "anyone")]))
    connection.call(create(side.path("eph"), flags=EPHEMERAL))
    failures = (
        delete(side.path("nope")), create(side.path("there")), check(side.path("there"), 9),
        check(side.path("nope")), set_data(side.path("there"), b"", 5), delete(side.path()),
        create(side.path("closed/x")), create(side.path("eph/x")), create("bad"), create("/x/"),
        create(side.path("n2"), acls=[]), create(side.path("n2"), acls=[(1, "nonsense", "")]),
        set_data(side.path("closed"), b""), check(side.path("closed")), delete("/zookeeper"),
        set_data(None), delete(None), check(None), create(None),
    )
    for failure in failures:
        for place in (0, 4, 8):
            kinds = all_kinds(side, "n")
            kinds.insert(place, failure)
            connection.call(multi(*kinds))
        connection.call(exists(side.path()))
    connection.call(multi(delete(side.path("nope")), delete(side.path("nope2"))))


@scenario()
def sequence_numbers_survive_failure(side):
    """A failed multi gives its numbers back."""
    connection = side.connect()
    s = create(side.path("s-"), flags=SEQUENTIAL)
    connection.call(create(side.path()))
    connection.call(multi(s, s))
    connection.call(multi(s, s, delete(side.path("nope"))))
    connection.call(s)
    connection.pipeline(s, multi(s, s, check(side.path("nope"))), s, multi(s, s), s)
    connection.call(exists(side.path()))


@scenario()
def operations_see_earlier_ones(side):
    """Create, change and delete one node in one multi."""
    connection = side.connect()
    connection.call(multi(
        create(side.path(), b"1"), set_data(side.path(), b"2", 0), set_data(side.path(), b"3", 1),
        create(side.path("c")), delete(side.path("c")), create(side.path("c"), b"again"),
        check(side.path("c"), 0), set_data(side.path("c"), b"!"), check(side.path("c"), 1),
    ))
    connection.call(exists(side.path()))
    connection.call(get_data(side.path("c")))
    connection.call(multi(delete(side.path("c")), delete(side.path()), create(side.path())))
    connection.call(exists(side.path()))
    connection.call(multi(create(side.path("p")), create(side.path("p/q")), delete(side.path("p"))))


@scenario(alone=UNREADABLE)
def operations_that_may_not_be_in_it(side):
    """Reads, setACL and strangers make the whole request -5."""
    connection = side.connect()
    connection.call(create(side.path()))
    good = set_data(side.path(), b"x")
    for other in (
        get_data(side.path()), get_children(side.path()), exists(side.path()),
        set_acl(side.path(), OPEN), get_acl(side.path()), Request("sync", get_acl("/").body),
        Request("getChildren2", exists("/").body), Request("ping"), Request("closeSession"),
        Request(0), Request(99, bytes(20)), Request(-11), multi(good), Request(-10),
    ):
        connection.call(multi(other))
        connection.call(multi(good, other))
        connection.call(multi(other, good))
    connection.call(exists(side.path()))


@scenario()
def flags_of_creates(side):
    """What each opcode becomes with each flag."""
    connection = side.connect()
    connection.call(create(side.path()))
    for flags in (-1, 0, 1, 2, 3, CONTAINER, TTL, TTL_SEQUENTIAL, 7):
        for op in ("create", "create2", "createContainer"):
            connection.call(multi(create(side.path(f"{op}{flags}"), b"", OPEN, flags, op)))
            connection.call(exists(side.path(f"{op}{flags}")))
        connection.call(multi(create_ttl(side.path(f"ttl{flags}"), 1000, flags=flags)))
        connection.call(exists(side.path(f"ttl{flags}")))


@scenario(cfg={"extendedTypesEnabled": "true"}, alone=UNREADABLE)
def flags_of_creates_with_extended_types(side):
    """TTL nodes in a multi."""
    connection = side.connect()
    connection.call(create(side.path()))
    for flags in (0, 1, 2, 3, CONTAINER, TTL, TTL_SEQUENTIAL, 7):
        for ttl in (1, 100_000, 2**40 - 1, 2**40):
            path = side.path(f"ttl{flags}-{ttl}")
            connection.call(multi(create_ttl(path, ttl, flags=flags)))
            connection.call(exists(path))
        for op in ("create", "create2", "createContainer"):
            connection.call(multi(create(side.path(f"{op}{flags}"), b"", OPEN, flags, op)))
    for ttl in (0, -1):
        connection.call(multi(create_ttl(side.path("t"), ttl)))


@scenario()
def headers_inside(side):
    """Only the type and the done flag of a header count."""
    connection = side.connect()
    connection.call(create(side.path()))
    body = set_data(side.path(), b"x").body
    end = i32(-1) + flag(1) + i32(-1)
    for head in (
        i32(5) + flag(0) + i32(0), i32(5) + flag(0) + i32(-101), i32(5) + flag(1) + i32(-1),
        i32(-1) + flag(1) + i32(0), i32(3) + flag(1) + i32(7),
    ):
        connection.call(Request("multi", head + body + end))
    connection.call(Request("multi", i32(5) + flag(0) + i32(-1) + body + end + b"trailing"))
    connection.call(exists(side.path()))


@scenario()
def closed_by_acl(side):
    """Each operation's own permission."""
    connection = side.connect()
    connection.call(create(side.path()))
    for perms in (0, 1, 2, 4, 8, 15, 31):
        name = f"p{perms}"
        connection.call(create(side.path(name), acls=[(perms, "world", "anyone")]))
        for request in (
            create(side.path(f"{name}/c")), set_data(side.path(name), b"x"), check(side.path(name)),
            delete(side.path(f"{name}/c")), delete(side.path(name)),
        ):
            connection.call(multi(check(side.path()), request))


@scenario()
def large_multi(side):
    """A thousand operations at one zxid."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(multi(*[create(side.path(f"n{n}"), b"x" * 50) for n in range(1000)]))
    connection.call(exists(side.path()))
    connection.call(multi(*[delete(side.path(f"n{n}")) for n in range(1000)]))
    connection.call(exists(side.path()))
