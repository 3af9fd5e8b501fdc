"""Sessions: closing, resuming, expiring; requests behind the end."""

import time

from scenarios import scenario
from wire import EPHEMERAL, Request, close_session, create, delete, exists, get_children2, ping
from wire import set_data, sync, i32, buf


@scenario()
def closing(side):
    """The reply, then the end; the session is gone."""
    connection, other = side.connect(), side.connect()
    connection.call(create(side.path(), flags=EPHEMERAL))
    other.call(exists(side.path(), True))
    connection.close_session()
    other.settle()
    other.call(exists(side.path()))
    side.resume(connection).until_closed()


@scenario()
def requests_before_a_close(side):
    """All are answered before the end. (What comes behind a close is a race on both servers.)"""
    connection, other = side.connect(), side.connect()
    connection.call(create(side.path()))
    connection.raw(b"".join(connection.encode(request) for request in (
        set_data(side.path(), b"1"), exists(side.path()), ping(), close_session(),
    )))
    connection.until_closed()
    other.call(exists(side.path()))


@scenario()
def closing_with_a_body(side):
    """Trailing bytes are ignored here too, and any xid is echoed."""
    for xid in (0, -2, -11, 5):
        connection = side.connect()
        connection.call(Request("closeSession", b"junk", xid=xid))
        connection.until_closed()


@scenario()
def only_the_socket_goes(side):
    """The session stays, with its ephemerals."""
    connection, other = side.connect(), side.connect()
    connection.call(create(side.path(), flags=EPHEMERAL))
    connection.drop()
    other.call(exists(side.path()))
    again = side.resume(connection)
    again.call(exists(side.path()))
    again.call(delete(side.path()))


@scenario(cfg={"tickTime": "200", "maxSessionTimeout": "30000"})
def expiry(side):
    """A silent session ends, its socket too; a pinging one lives."""
    silent, lively, watcher = (side.connect(timeout_ms=wait) for wait in (800, 2000, 30_000))
    silent.call(create(side.path(), flags=EPHEMERAL))
    lively.call(create(side.path() + "2", flags=EPHEMERAL))
    watcher.call(exists(side.path(), True))
    # For longer than the lively one may be silent; no sleep is, by far, on a busy machine either.
    for _ in range(30):
        time.sleep(0.1)
        # Not written down: the moment of expiry lies anywhere within a tick.
        lively.quietly(ping())
    watcher.settle()
    silent.until_closed()
    side.resume(silent).until_closed()
    watcher.call(exists(side.path()))
    watcher.call(exists(side.path() + "2"))


@scenario(cfg={"tickTime": "200"}, alone="a learner tells of its clients every half tick")
def any_request_renews(side):
    """Also one that fails."""
    connection = side.connect(timeout_ms=2000)
    connection.call(create(side.path(), flags=EPHEMERAL))
    for _ in range(6):
        time.sleep(0.3)
        connection.call(create(side.path()))
        time.sleep(0.3)
        connection.call(exists("/nope"))
    connection.call(exists(side.path()))


@scenario(own_server=True)
def surviving_a_restart(side):
    """Sessions, ephemerals and the zxid go on after the server comes back."""
    connection, closed = side.connect(), side.connect()
    connection.call(create(side.path()))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    connection.call(create(side.path("s-"), flags=2))
    closed.call(create(side.path("x"), flags=EPHEMERAL))
    closed.close_session()
    side.server.restart()
    connection.until_closed()
    again = side.resume(connection, last_zxid=connection.last_zxid)
    again.call(exists(side.path("e")))
    again.call(create(side.path("s-"), flags=2))
    again.call(get_children2(side.path()))
    side.resume(closed).until_closed()
    side.connect().call(sync("/"))


@scenario(own_server=True)
def surviving_kill(side):
    """What was acknowledged is there after a SIGKILL."""
    connection = side.connect()
    connection.call(create(side.path()))
    for number in range(50):
        connection.call(create(side.path(f"n{number}"), b"x" * number))
    connection.call(create(side.path("e"), flags=EPHEMERAL))
    side.server.kill()
    side.server.start()
    connection.until_closed()
    again = side.resume(connection, last_zxid=connection.last_zxid)
    again.call(get_children2(side.path()))
    again.call(exists(side.path("e")))


@scenario()
def many_in_flight(side):
    """A few hundred pipelined writes and reads, answered in order."""
    connection = side.connect()
    requests = [create(side.path())]
    for number in range(300):
        requests += [
            create(side.path(f"n{number % 50}"), b"x"), exists(side.path(f"n{number % 70}")),
            set_data(side.path(f"n{number % 60}"), b"%d" % number), ping(),
        ]
        if number % 3 == 0:
            requests.append(delete(side.path(f"n{number % 40}")))
    connection.pipeline(*requests)


@scenario(cfg={"maxClientCnxns": "3"})
def connections_per_address(side):
    """The fourth is turned away without a word."""
    held = [side.connect() for _ in range(2)]
    third = side.connect()
    fourth = side.open()
    fourth.until_closed()
    for connection in (*held, third):
        connection.call(exists("/"))


@scenario(cfg={"maxCnxns": "3"})
def connections_in_all(side):
    """The same for the whole server."""
    held = [side.connect() for _ in range(3)]
    fourth = side.open()
    fourth.until_closed()
    for connection in held:
        connection.call(exists("/"))


@scenario(cfg={"globalOutstandingLimit": "1"})
def hardly_any_in_flight(side):
    """Back-pressure only: all is answered, in order."""
    connection = side.connect()
    connection.pipeline(*[create(f"{side.path()}{n}") for n in range(50)], exists("/"))


@scenario(cfg={"connection_throttle_tokens": "2", "connection_throttle_fill_time": "600000"})
def connection_tokens(side):
    """Two handshakes and the bucket is empty (the start-up probe takes one)."""
    first = side.connect()
    first.call(exists("/"))
    for _ in range(2):
        late = side.open()
        late.raw(i32(0))
        late.until_closed()
    side.connect().until_closed()


@scenario(cfg={"largeRequestThreshold": "1000", "largeRequestMaxBytes": "5000"})
def large_requests(side):
    """One that alone is over the limit ends its connection."""
    connection = side.connect()
    connection.call(create(side.path(), b"x" * 900))
    connection.call(create(side.path() + "2", b"x" * 3000))
    connection.call(Request("create", buf(side.path() + "3") + buf(b"x" * 6000)))
    connection.until_closed()
