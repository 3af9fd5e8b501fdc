"""Watches: which events, to whom, in which order, before which replies."""

from scenarios import scenario
from wire import EPHEMERAL, OPEN, Request, add_watch, auth, buf, check_watches, create, delete
from wire import exists, get_children, get_children2, get_data, i32, i64, multi, ping
from wire import remove_watches, set_acl, set_data, set_watches, vector, create_container, multi_read

STANDARD = (exists, get_data, get_children, get_children2)


def life(side, name="n"):
    """The life of a node and of a child of it."""
    return [
        create(side.path(name)), set_data(side.path(name), b"1"), create(side.path(f"{name}/c")),
        set_data(side.path(f"{name}/c"), b"2"), set_acl(side.path(name), OPEN),
        create(side.path(f"{name}/c/g")), delete(side.path(f"{name}/c/g")),
        delete(side.path(f"{name}/c")), set_data(side.path(name), b"3"), delete(side.path(name)),
        create(side.path(name)), delete(side.path(name)),
    ]


@scenario()
def one_shot_each_kind(side):
    """Each kind of read, set before each step of a node's life, on the writer's own connection."""
    connection = side.connect()
    connection.call(create(side.path()))
    for read in STANDARD:
        for step in life(side):
            connection.call(read(side.path("n"), True))
            connection.call(read(side.path("n/c"), True))
            connection.call(step)


@scenario()
def one_shot_on_another_connection(side):
    """The watcher is not the writer."""
    writer, watcher = side.connect(), side.connect()
    writer.call(create(side.path()))
    for read in STANDARD:
        for step in life(side):
            watcher.call(read(side.path("n"), True))
            watcher.call(read(side.path("n/c"), True))
            writer.call(step)
            watcher.settle()


@scenario()
def one_event_for_a_deleted_node(side):
    """However many watches of whatever kind a connection has on it."""
    connection = side.connect()
    connection.call(create(side.path()))
    for reads in (STANDARD, STANDARD[1:3], STANDARD[:1] * 3):
        connection.call(create(side.path("n")))
        for read in reads:
            connection.call(read(side.path("n"), True))
        connection.call(delete(side.path("n")))
    connection.call(create(side.path("n")))


@scenario()
def several_watches_collapse(side):
    """Two of a kind are one; a read without the flag takes nothing away."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.call(get_data(side.path(), True))
    connection.call(get_data(side.path(), True))
    connection.call(exists(side.path(), True))
    connection.call(get_data(side.path(), False))
    connection.call(set_data(side.path(), b"1"))
    connection.call(set_data(side.path(), b"2"))


@scenario()
def not_set_by_failed_reads(side):
    """Except by exists."""
    connection = side.connect()
    connection.call(create(side.path()))
    closed = [(30, "world", "anyone")]
    connection.call(create(side.path("closed"), acls=closed))
    for read in STANDARD:
        connection.call(read(side.path("nope"), True))
        connection.call(read(side.path("closed"), True))
        connection.call(create(side.path("nope")))
        connection.call(set_data(side.path("closed"), b"x"))
        connection.call(set_acl(side.path("closed"), OPEN))
        connection.call(set_data(side.path("closed"), b"x"))
        connection.call(create(side.path("closed/c")))
        connection.call(delete(side.path("closed/c")))
        connection.call(delete(side.path("nope")))
        connection.call(set_acl(side.path("closed"), closed))
    connection.call(multi_read(get_data(side.path(), True), get_children(side.path(), True)))
    connection.call(set_data(side.path(), b"x"))


@scenario()
def nothing_for_failed_writes(side):
    """And nothing for setACL."""
    connection = side.connect()
    connection.call(create(side.path()))
    for read in STANDARD:
        connection.call(read(side.path(), True))
    for request in (
        set_data(side.path(), b"", 9), delete(side.path(), 9), create(side.path()),
        set_acl(side.path(), OPEN), create(side.path("a/b")), delete(side.path("nope")),
        multi(set_data(side.path(), b"x"), delete(side.path("nope"))),
    ):
        connection.call(request)
    connection.call(delete(side.path()))


@scenario()
def persistent(side):
    """Everything about one path, again and again."""
    writer, watcher = side.connect(), side.connect()
    writer.call(create(side.path()))
    watcher.call(add_watch(side.path("n"), 0))
    watcher.call(add_watch(side.path("n"), 0))
    for step in life(side) + life(side):
        writer.call(step)
        watcher.settle()


@scenario()
def recursive(side):
    """Everything about a subtree, but no children events."""
    writer, watcher = side.connect(), side.connect()
    writer.call(create(side.path()))
    watcher.call(add_watch(side.path("n"), 1))
    for step in life(side) + life(side, "nn"):
        writer.call(step)
        watcher.settle()


@scenario()
def recursive_at_the_root(side):
    """It sees all, the reserved nodes too."""
    writer, watcher = side.connect(), side.connect()
    watcher.call(add_watch("/", 1))
    for step in (
        create(side.path()), set_data("/", b"x"), set_data("/zookeeper", b"x"),
        create("/zookeeper/watched"), delete("/zookeeper/watched"), set_data("/", b""),
    ):
        writer.call(step)
        watcher.settle()


@scenario()
def modes_on_one_path(side):
    """Standard, persistent and recursive together, in both tables."""
    connection = side.connect()
    connection.call(create(side.path()))
    for modes in ((0,), (1,), (0, 1), (1, 0)):
        path = side.path("m" + "".join(map(str, modes)))
        connection.call(create(path))
        for mode in modes:
            connection.call(add_watch(path, mode))
        for read in STANDARD:
            connection.call(read(path, True))
        for request in (
            set_data(path, b"1"), set_data(path, b"2"), create(path + "/c"), create(path + "/d"),
            delete(path + "/c"), delete(path + "/d"),
        ):
            connection.call(request)
        for read in STANDARD:
            connection.call(read(path, True))
        connection.call(delete(path))
        connection.call(create(path))


@scenario()
def add_watch_checks(side):
    """Modes, odd paths, missing nodes, no permission."""
    connection = side.connect()
    connection.call(create(side.path(), acls=[(30, "world", "anyone")]))
    for mode in (-1, 0, 1, 2, 3, 2**31 - 1):
        for path in (side.path(), side.path("nope"), "", "bad", "/x/", "/a//b", "/\0"):
            connection.call(add_watch(path, mode))
    connection.call(set_data(side.path(), b"x"))
    connection.call(create(side.path("nope")))


@scenario()
def check_and_remove(side):
    """Every type against every kind of watch."""
    connection = side.connect()
    connection.call(create(side.path()))
    setters = {
        "data": lambda path: get_data(path, True), "child": lambda path: get_children(path, True),
        "exists": lambda path: exists(path, True), "persistent": lambda path: add_watch(path, 0),
        "recursive": lambda path: add_watch(path, 1),
    }
    names = [[name] for name in setters] + [list(setters), ["data", "persistent"], ["child", "data"]]
    for kind in (-1, 0, 1, 2, 3, 4, 5, 6):
        for chosen in names:
            path = side.path(f"k{kind}{''.join(chosen)}")
            connection.call(create(path))
            connection.call(check_watches(path, kind))
            connection.call(remove_watches(path, kind))
            for name in chosen:
                connection.call(setters[name](path))
            for request in (
                check_watches(path, kind), check_watches(path, kind), remove_watches(path, kind),
                check_watches(path, kind), remove_watches(path, kind), set_data(path, b"1"),
                create(path + "/c"), delete(path + "/c"), delete(path),
            ):
                connection.call(request)
            connection.call(remove_watches(path, 3))


@scenario()
def removal_is_by_connection(side):
    """Somebody else's watch stays."""
    one, two = side.connect(), side.connect()
    one.call(create(side.path()))
    one.call(get_data(side.path(), True))
    two.call(check_watches(side.path(), 2))
    two.call(remove_watches(side.path(), 3))
    two.call(set_data(side.path(), b"x"))
    one.settle()


@scenario()
def set_watches_catches_up(side):
    """Each list against nodes that are missing, unchanged, changed, made anew."""
    writer = side.connect()
    writer.call(create(side.path()))
    for name in ("same", "changed", "gone", "anew", "child"):
        writer.call(create(side.path(name)))
    seen = writer.last_zxid
    writer.call(set_data(side.path("changed"), b"x"))
    writer.call(delete(side.path("gone")))
    writer.call(delete(side.path("anew")))
    writer.call(create(side.path("anew")))
    writer.call(create(side.path("child/c")))
    paths = [side.path(name) for name in ("same", "changed", "gone", "anew", "child", "never")]
    for relative in (seen, 0, writer.last_zxid, 2**62, -1):
        for lists in ((paths, (), ()), ((), paths, ()), ((), (), paths), (paths, paths, paths)):
            watcher = side.connect()
            watcher.call(set_watches(relative, *lists))
            for path in paths:
                writer.call(set_data(path, b"y"))
                writer.call(create(path))
                writer.call(create(path + "/later"))
                writer.call(delete(path + "/later"))
            writer.call(delete(paths[-1]))
            writer.call(delete(paths[2]))
            watcher.settle()
            watcher.drop()


@scenario()
def set_watches2_catches_up(side):
    """Persistent lists get no catch-up."""
    writer = side.connect()
    writer.call(create(side.path()))
    writer.call(create(side.path("n")))
    for persistent, recursive_ in (
        ([side.path("n")], []), ([], [side.path("n")]), ([side.path("n")], [side.path("n")]),
        ([side.path("never")], [side.path()]),
    ):
        watcher = side.connect()
        lists = {"persistent": persistent, "recursive": recursive_}
        watcher.call(set_watches(0, [side.path("n")], [side.path("n")], [side.path("n")], **lists))
        for _ in range(2):
            writer.call(set_data(side.path("n"), b"y"))
            writer.call(create(side.path("n/c")))
            writer.call(delete(side.path("n/c")))
            watcher.settle()
        watcher.drop()


@scenario()
def set_watches_details(side):
    """Null lists, repeated and odd paths, the xid, the ACL."""
    connection = side.connect()
    connection.call(create(side.path()))
    same = [side.path()] * 3
    connection.call(set_watches(0, same, same, same))
    connection.call(set_watches(0, ["", "bad", "/x/"], ["", "bad"], ["", "bad"]))
    for position in range(3):
        lists = [vector([]), vector([]), vector([])]
        lists[position] = vector(None)
        connection.call(Request("setWatches", i64(0) + b"".join(lists)))
    for position in range(5):
        lists = [vector([])] * 5
        lists[position] = vector(None)
        connection.call(Request("setWatches2", i64(0) + b"".join(lists)))
    connection.call(Request("setWatches", i64(0) + vector([None]) + vector([]) + vector([])))
    connection.call(set_watches(2**62, [side.path()]))
    connection.call(set_data(side.path(), b"x"))
    connection.call(Request("setWatches", set_watches(0).body, xid=12))


@scenario()
def set_watches_and_acls(side):
    """What is told about nodes that the watcher may not read."""
    writer = side.connect()
    writer.call(create(side.path(), acls=[(30, "world", "anyone")]))
    for lists in (([side.path()], (), ()), ((), [side.path()], ()), ((), (), [side.path()])):
        watcher = side.connect()
        watcher.call(set_watches(0, *lists))
        writer.call(set_data(side.path(), b"x"))
        writer.call(create(side.path("c")))
        writer.call(delete(side.path("c")))
        watcher.settle()


@scenario()
def events_before_replies(side):
    """Pipelined writes and reads on the watching connection itself."""
    connection = side.connect()
    connection.call(create(side.path()))
    connection.pipeline(
        get_data(side.path(), True), set_data(side.path(), b"1"), get_data(side.path(), True),
        set_data(side.path(), b"2"), exists(side.path("c"), True), get_children(side.path(), True),
        create(side.path("c")), get_children(side.path(), True), delete(side.path("c")),
        get_children(side.path()), ping(), set_data(side.path(), b"3"),
    )


@scenario()
def events_of_a_multi(side):
    """Operation by operation, all at one zxid, before the reply."""
    connection, watcher = side.connect(), side.connect()
    connection.call(create(side.path()))
    for one in (connection, watcher):
        for read in (exists, get_children):
            one.call(read(side.path(), True))
        for name in ("a", "b"):
            one.call(exists(side.path(name), True))
    watcher.call(add_watch(side.path(), 1))
    watcher.call(add_watch(side.path("a"), 0))
    connection.call(multi(
        create(side.path("a")), set_data(side.path(), b"1"), create(side.path("b")),
        set_data(side.path("a"), b"2"), create_container(side.path("a/x")), delete(side.path("a/x")),
        delete(side.path("b")), delete(side.path("a")), create(side.path("a")),
    ))
    watcher.settle()


@scenario()
def filtered_by_acl(side):
    """No READ at delivery, no event; the watch is used up all the same."""
    owner, watcher = side.connect(), side.connect()
    owner.call(auth("digest", b"bob:pw"))
    closed = [(31, "auth", "")]
    owner.call(create(side.path()))
    owner.call(create(side.path("p")))
    for request in (exists(side.path("p"), True), get_children(side.path("p"), True),
                    exists(side.path("p/c"), True), add_watch(side.path("p/r"), 1),
                    add_watch(side.path("p"), 0)):
        watcher.call(request)
    for request in (
        set_acl(side.path("p"), closed), create(side.path("p/c"), acls=closed),
        set_data(side.path("p"), b"x"), create(side.path("p/r"), acls=closed),
        create(side.path("p/r/open")), set_data(side.path("p/r/open"), b"x"),
        set_data(side.path("p/r"), b"x"), set_acl(side.path("p"), OPEN),
        set_data(side.path("p"), b"x"), delete(side.path("p/c")), delete(side.path("p/r/open")),
        delete(side.path("p/r")), delete(side.path("p")),
    ):
        owner.call(request)
        watcher.settle()
    watcher.call(auth("digest", b"bob:pw"))
    watcher.call(set_watches(0, [side.path()]))
    owner.call(create(side.path("p"), acls=closed))
    watcher.settle()


@scenario()
def ephemerals_going(side):
    """A closed session's ephemerals fire as deletions."""
    owner, watcher = side.connect(), side.connect()
    watcher.call(create(side.path()))
    for name in "abc":
        owner.call(create(side.path(name), flags=EPHEMERAL))
        watcher.call(exists(side.path(name), True))
    watcher.call(get_children(side.path(), True))
    watcher.call(add_watch(side.path(), 1))
    owner.call(exists(side.path("a"), True))
    owner.close_session()
    watcher.settle()


@scenario()
def gone_with_the_connection(side):
    """A resumed session starts without watches."""
    one, writer = side.connect(), side.connect()
    one.call(create(side.path()))
    one.call(get_data(side.path(), True))
    one.call(add_watch(side.path(), 1))
    again = side.resume(one)
    writer.call(set_data(side.path(), b"x"))
    again.settle()
    again.call(Request("checkWatches", buf(side.path()) + i32(3)))
