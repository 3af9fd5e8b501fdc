"""The first frame of a connection and what may go wrong with it."""

from scenarios import scenario
from wire import connect_request, create, exists, frame, i32, i64, ping, sync


@scenario()
def new_session(side):
    """45 and 44 bytes, an old client, a client that wants read-only."""
    for read_only in (False, None, True, 7):
        connection = side.connect(read_only=read_only)
        connection.call(exists("/"))


@scenario()
def timeouts_are_clamped(side):
    """To 2 and 20 ticks, whatever is asked for."""
    for asked in (-1, 0, 1, 3999, 4000, 4001, 12345, 39_999, 40_000, 40_001, 2**31 - 1, -(2**31)):
        side.connect(timeout_ms=asked)


@scenario(cfg={"minSessionTimeout": "3000", "maxSessionTimeout": "9000"})
def timeouts_are_clamped_as_configured(side):
    """minSessionTimeout and maxSessionTimeout."""
    for asked in (0, 2999, 3000, 5000, 9000, 9001, 2**31 - 1):
        side.connect(timeout_ms=asked)


@scenario()
def passwords_of_new_sessions(side):
    """Anything goes when the session id is 0."""
    for password in (None, b"", b"x", bytes(16), bytes(range(16)), bytes(100)):
        side.connect(password=password).call(ping())


@scenario()
def protocol_version_is_ignored(side):
    """Always answered with 0."""
    for version in (0, 1, -1, 2**31 - 1):
        connection = side.open()
        payload = i32(version) + connect_request(30_000)[4:]
        connection.raw(frame(payload))
        connection.accepted(connection.frame())


@scenario()
def last_zxid_ahead_is_turned_away(side):
    """A client that has seen a later zxid than this server."""
    first = side.connect()
    first.call(create(side.path()))
    seen = first.last_zxid
    for ahead in (-2**62, -1, 0, seen, seen + 1, 2**62):
        connection = side.connect(last_zxid=ahead)
        connection.settle()
        first.settle()


@scenario()
def resume_with_the_right_password(side):
    """The same session, a newly clamped timeout, the older connection closed."""
    first = side.connect()
    first.call(create(side.path()))
    first.call(create(side.path("e"), flags=1))
    second = side.resume(first, timeout_ms=5_000)
    second.call(exists(side.path("e")))
    first.until_closed()
    third = side.resume(second, read_only=None, last_zxid=second.last_zxid)
    third.call(exists(side.path("e")))
    second.until_closed()


@scenario()
def resume_after_the_socket_was_lost(side):
    """The ephemeral is still there."""
    first = side.connect()
    first.call(create(side.path()))
    first.call(create(side.path("e"), flags=1))
    first.drop()
    side.connect().call(exists(side.path("e")))
    second = side.resume(first)
    second.call(exists(side.path("e")))
    second.close_session()
    side.connect().call(exists(side.path("e")))


@scenario()
def resume_refused(side):
    """Wrong password, null password, unknown session, closed session."""
    first = side.connect()
    for password in (bytes(16), b"", None, b"x" * 16, first.password + b"x", first.password[:15]):
        # The live connection belongs to another session: what happens to it is its own scenario.
        lost = side.connect()
        lost.drop()
        refused = side.resume(lost, password=password)
        refused.until_closed()
    for read_only in (False, None, True):
        side.connect(session=0x0123456789ABCDEF, read_only=read_only).until_closed()
    side.connect(session=-1).until_closed()
    first.close_session()
    side.resume(first).until_closed()


@scenario()
def pipelined_behind_the_handshake(side):
    """Requests sent with the ConnectRequest are served after its answer."""
    connection = side.open()
    requests = [create(side.path()), exists(side.path()), sync("x"), ping()]
    tail = b"".join(connection.encode(request) for request in requests)
    connection.handshake(then=tail)
    connection.replies(len(requests))


@scenario()
def malformed_handshakes(side):
    """Too short, bad lengths, nothing at all."""
    good = connect_request(30_000)
    payloads = (
        b"", b"\0", good[:4], good[:12], good[:16], good[:24], good[:27], good[:28], good[:40],
        i32(0) + i64(0) + i32(30_000) + i64(0) + i32(-2),
        i32(0) + i64(0) + i32(30_000) + i64(0) + i32(17) + bytes(16),
        i32(0) + i64(0) + i32(30_000) + i64(0) + i32(2**31 - 1),
    )
    for payload in payloads:
        connection = side.open()
        connection.raw(frame(payload))
        answer = connection.frame()
        if answer is not None:
            connection.log.handshake(connection.name, answer)
            connection.call(exists("/"))


@scenario()
def trailing_bytes_of_a_handshake(side):
    """Whatever follows the record is ignored."""
    for tail in (b"\0", b"\1\2\3", bytes(1000)):
        connection = side.open()
        connection.raw(frame(connect_request(30_000) + tail))
        connection.accepted(connection.frame())
        connection.call(exists("/"))


@scenario()
def second_handshake_on_a_connection(side):
    """It is a request like any other by then."""
    connection = side.connect()
    connection.raw(frame(connect_request(30_000)))
    connection.until_closed()
