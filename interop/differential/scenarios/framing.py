"""Frames, headers, xids and strings as bytes."""

from scenarios import scenario
from wire import Request, buf, create, exists, flag, frame, get_data, i32, i64, ping, set_data, sync
from wire import OPEN, acl, auth, vector

LIMIT = 0xFFFFF


@scenario()
def lengths(side):
    """Negative, empty, too short for a header, too long."""
    for length in (-1, -(2**31), LIMIT + 1, 2**31 - 1):
        connection = side.connect()
        connection.raw(i32(length))
        connection.until_closed()
    for size in range(0, 8):
        connection = side.connect()
        connection.raw(frame(bytes(size)))
        connection.until_closed()


@scenario()
def longest_frame(side):
    """1,048,575 bytes are taken, one more is not."""
    connection = side.connect()
    head = buf(side.path()) + i32(0)
    tail = vector(OPEN, acl) + i32(0)
    room = LIMIT - 8 - len(head) - len(tail)
    big = buf(side.path()) + buf(bytes(room)) + tail
    connection.call(Request("create", big))
    connection.call(exists(side.path()))
    connection.call(Request("create", big + b"x"))


@scenario(properties={"jute.maxbuffer": "4096"})
def configured_longest_frame(side):
    """jute.maxbuffer bounds what comes in, not what goes out."""
    connection = side.connect()
    connection.call(create(side.path()))
    payload = set_data(side.path(), bytes(4096 - 8 - 12 - len(side.path())))
    connection.call(payload)
    for number in range(60):
        connection.call(create(side.path(f"{'n' * 90}{number}")))
    connection.call(Request("getChildren2", buf(side.path()) + flag(0)))
    connection.call(get_data(side.path()))
    connection.call(set_data(side.path(), bytes(4096)))


@scenario()
def unknown_operations(side):
    """-6, zxid -1, and the connection closes; the session lives."""
    for code in (0, 10, 13, 23, 99, 104_729, -1, -2, -9, -12, 108, 2**31 - 1, -(2**31)):
        connection = side.connect()
        connection.call(Request(code, buf("/") + flag(0) + bytes(20)))
        connection.until_closed()
        side.resume(connection).call(exists("/"))


@scenario()
def xids_are_echoed(side):
    """All but a ping's."""
    connection = side.connect()
    for xid in (0, 1, -3, -5, -8, 2**31 - 1, -(2**31), 77, 77):
        connection.call(Request("exists", exists("/").body, xid=xid))
    for xid in (-2, 77, 0, -1):
        connection.call(Request("ping", xid=xid))
    connection.call(Request("ping", b"trailing", xid=-2))


@scenario()
def negative_xids_of_events_and_pings_on_requests(side):
    """-1, -2 and -4 on ordinary requests."""
    connection = side.connect()
    for xid in (-2, -4):
        connection.call(Request("exists", exists("/").body, xid=xid))
    connection.raw(connection.encode(Request("sync", sync("/x").body, xid=-1)))
    connection.raw(connection.encode(exists("/")))
    connection.replies(1)


@scenario()
def trailing_bytes_are_ignored(side):
    """After every record."""
    connection = side.connect()
    junk = b"junk" * 3
    for request in (
        create(side.path(), b"x"), exists(side.path()), get_data(side.path()),
        set_data(side.path(), b"y"), sync("/x"), Request("getChildren", exists("/").body),
        Request("whoAmI"), Request("addWatch", buf("/q") + i32(0)),
    ):
        connection.call(Request(request.op, request.body + junk))


@scenario()
def truncated_reads(side):
    """-5 for a read whose body ends too early; the connection goes on."""
    connection = side.connect()
    bodies = {
        "exists": exists("/").body, "getData": exists("/").body, "getChildren": exists("/").body,
        "getChildren2": exists("/").body, "getACL": buf("/"), "sync": buf("/"),
        "getEphemerals": buf("/"), "getAllChildrenNumber": buf("/"),
        "addWatch": buf("/") + i32(0), "removeWatches": buf("/") + i32(3),
        "checkWatches": buf("/") + i32(3),
        "setWatches": i64(0) + 3 * vector([]), "setWatches2": i64(0) + 5 * vector([]),
        "multiRead": i32(4) + flag(0) + i32(-1) + exists("/").body + i32(-1) + flag(1) + i32(-1),
    }
    for op, body in bodies.items():
        for end in sorted({0, 1, 4, len(body) // 2, len(body) - 1}):
            connection.call(Request(op, body[:end]))
    connection.call(exists("/"))


@scenario()
def lengths_inside_a_frame(side):
    """Strings and vectors that claim more than there is, or less than nothing."""
    connection = side.connect()
    for length in (-2, -(2**31), 2**31 - 1, 0x100000, 0x1FFFFE, 0x1FFFFF, 100):
        connection.call(Request("exists", i32(length) + b"/\0"))
        connection.call(Request("sync", i32(length) + b"/"))
        connection.call(Request("setWatches", i64(0) + i32(length) + vector([]) + vector([])))
    connection.call(exists("/"))


@scenario()
def null_paths(side):
    """-5 wherever a path is needed."""
    connection = side.connect()
    for op in ("exists", "getData", "getChildren", "getChildren2"):
        connection.call(Request(op, buf(None) + flag(1)))
    for op in ("getACL", "sync", "getEphemerals", "getAllChildrenNumber"):
        connection.call(Request(op, buf(None)))
    for op in ("addWatch", "removeWatches", "checkWatches"):
        connection.call(Request(op, buf(None) + i32(1)))
    connection.call(create(None))
    connection.call(set_data(None))
    connection.call(Request("delete", buf(None) + i32(-1)))
    connection.call(Request("setACL", buf(None) + vector(OPEN, acl) + i32(-1)))
    connection.call(Request("createTTL", create(None).body + i64(10)))
    connection.call(create(None, op="createContainer", flags=4))
    connection.call(create(None, op="create2"))
    connection.call(exists("/"))


@scenario()
def booleans(side):
    """Any byte but 0 is true."""
    connection, other = side.connect(), side.connect()
    for number, value in enumerate((1, 2, 127, 128, 255)):
        path = side.path() + str(number)
        connection.call(Request("exists", buf(path) + bytes([value])))
        other.call(create(path))
        connection.settle()


@scenario()
def text(side):
    """UTF-8 in, Java's own kind of it out."""
    connection = side.connect()
    texts = (
        b"/\xf0\x9f\x98\x80", b"/\xc3\xa4", b"/\xff\xfe", b"/\xc0\x80", b"/\xed\xa0\xbd\xed\xb8\x80",
        b"/\xe2\x82", b"/a\xc3", b"/\xf4\x90\x80\x80", b"/\0", b"", b"/\xef\xbf\xbd", b"/\xe4\xb8\xad",
        b"/\xf8\x88\x80\x80\x80", b"/\xe0\x80\xaf", b"/\xf0\x9f\x98", b"/\xf0\x9fx", b"/\xc2x",
    )
    for raw in texts:
        connection.call(Request("sync", buf(raw)))
        connection.call(Request("exists", buf(raw) + flag(0)))
        connection.call(create(raw))
    connection.call(auth("digest", b"\xff\xfe\xf0\x9f\x98\x80:pw"))
    connection.call(Request("whoAmI"))
    connection.call(create(side.path(), acls=[(31, "digest", "\U0001f600:x")]))
    connection.call(Request("getACL", buf(side.path())))


@scenario()
def many_small_writes_to_the_socket(side):
    """A frame may come in any pieces."""
    connection = side.connect()
    data = connection.encode(exists("/")) + connection.encode(ping())
    for byte in data:
        connection.raw(bytes([byte]))
    connection.replies(2)


@scenario()
def four_letter_words_after_the_handshake(side):
    """Are lengths by then."""
    for word in (b"ruok", b"stat"):
        connection = side.connect()
        connection.raw(word)
        connection.until_closed()


@scenario()
def unknown_first_words(side):
    """What is neither a word nor a sensible length is closed without an answer."""
    for word in (b"GET / HTTP/1.1\r\n\r\n", b"abcd", b"RUOK", b"\x16\x03\x01\x02\x00", b"quit\n"):
        connection = side.open()
        connection.raw(word)
        connection.until_closed()
