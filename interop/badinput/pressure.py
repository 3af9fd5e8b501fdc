"""Too much, too slow, too long, or nonsense: one connection suffers, the others don't notice."""

import random
import socket
import struct
import threading
import time

from hazards import write_bodies
from probe import Bystander, Closed, Session, ends, raw, rss_mib, unanswered_end
from wire import Request, connect_request, create, exists, frame, get_data, i32, i64, multi, ping
from wire import set_data, set_watches, vector, add_watch

GROWTH_MIB = 96


def bad_lengths(server):
    """Closed without an answer, before and after the handshake."""
    bystander = Bystander(server)
    for length in (-1, -(2**31), 0x100000, 2**31 - 1, 0x7F000000):
        assert ends(raw(server, i32(length))) == b""
        with Session(server) as session:
            session.sock.sendall(i32(length) + b"more")
            assert ends(session.sock) == b""
        bystander.check()


def short_frames(server):
    """A payload without room for a header ends the connection."""
    for size in range(8):
        with Session(server) as session:
            session.sock.sendall(frame(bytes(size)))
            assert ends(session.sock) == b""


def garbage(server):
    """Random first bytes, 200 times; no connection survives them for long, the server does."""
    bystander, dice = Bystander(server), random.Random(1)
    for number in range(200):
        sock = raw(server, dice.randbytes(dice.choice((4, 5, 50, 5000))))
        sock.close()
        if number % 50 == 0:
            bystander.check()
    bystander.check()


def garbage_behind_a_handshake(server):
    """The same where requests are expected."""
    bystander, dice = Bystander(server), random.Random(2)
    for _ in range(100):
        with Session(server) as session:
            session.sock.sendall(frame(dice.randbytes(dice.choice((8, 20, 300)))) * 3)
    bystander.check()


def mutated_requests(server):
    """Valid requests with flipped bytes, a few thousand; the bystander's nodes stay as they are."""
    bystander, dice = Bystander(server), random.Random(3)
    assert bystander.call(create("/keep", b"as it is")) == 0
    requests = [
        *write_bodies(), exists("/m"), get_data("/m"), add_watch("/m", 1),
        set_watches(0, ["/m"], ["/m"], ["/m"]), multi(create("/m/a"), set_data("/m", b"x")),
    ]
    for _ in range(60):
        with Session(server) as session:
            session.sock.settimeout(0.2)
            for _ in range(40):
                body = bytearray(dice.choice(requests).payload(7))
                for _ in range(dice.choice((1, 1, 2, 5))):
                    # The type stays a sensible one most of the time.
                    at = dice.randrange(8, len(body)) if dice.random() < 0.9 else dice.randrange(8)
                    body[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
                try:
                    session.sock.sendall(frame(bytes(body)))
                except OSError:
                    break
    bystander.check()
    bystander.send(get_data("/keep"))
    assert bystander.reply()[3].buf() == b"as it is"


def announced_but_not_sent(server):
    """200 connections that promise a megabyte each and send ten bytes: memory is for what came."""
    bystander, before = Bystander(server), rss_mib(server)
    held = []
    for _ in range(200):
        session = Session(server)
        session.sock.sendall(i32(1_000_000) + bytes(10))
        held.append(session)
    bystander.check()
    grown = rss_mib(server) - before
    for session in held:
        session.sock.close()
    assert grown < GROWTH_MIB, f"memory grew by {grown:.0f} MiB"


def silent_connections(server):
    """500 connections that say nothing, or half a handshake."""
    bystander, before = Bystander(server), rss_mib(server)
    half = frame(connect_request(30_000))[:20]
    held = [raw(server, half if number % 2 else b"") for number in range(500)]
    bystander.check()
    grown = rss_mib(server) - before
    for sock in held:
        sock.close()
    assert grown < GROWTH_MIB, f"memory grew by {grown:.0f} MiB"


def half_open_handshakes_end(server):
    """A connection without a session is closed after nio.sessionlessCnxnTimeout."""
    for data in (b"", b"\0", frame(connect_request(30_000))[:20]):
        started = time.monotonic()
        assert ends(raw(server, data), within_s=8) == b""
        assert time.monotonic() - started > 0.4


def cut_off_in_the_middle(server):
    """300 connections reset in the middle of a frame or of a reply."""
    bystander = Bystander(server)
    assert bystander.call(create("/big", bytes(200_000))) == 0
    for number in range(300):
        session = Session(server)
        if number % 2:
            session.sock.sendall(session.encode(create("/cut", bytes(5000)))[:2000])
        else:
            session.send(*[get_data("/big")] * 20)
        session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.sock.close()
    bystander.check()
    assert bystander.call(exists("/cut")) == -101


def slow_reader(server):
    """Asks for 400 MB and reads nothing for a while: memory stays bounded, then all of it comes."""
    bystander, count, size = Bystander(server), 2000, 200_000
    assert bystander.call(create("/slow", bytes(size))) == 0
    before = rss_mib(server)
    reader = Session(server)
    data = b"".join(reader.encode(get_data("/slow")) for _ in range(count))
    sender = threading.Thread(target=reader.sock.sendall, args=(data,))
    sender.start()
    for _ in range(10):
        bystander.check()
        time.sleep(0.1)
    grown = rss_mib(server) - before
    for number in range(count):
        xid, _, error, body = reader.reply()
        assert (xid, error) == (number + 1, 0)
        assert len(body.buf()) == size
    sender.join()
    assert grown < GROWTH_MIB, f"memory grew by {grown:.0f} MiB"


def flood_of_writes(server):
    """20,000 pipelined creates from each of two connections: all answered, others served."""
    bystander, count = Bystander(server), 20_000
    floods = [Session(server) for _ in range(2)]
    senders = []
    for number, flood in enumerate(floods):
        assert flood.call(create(f"/flood{number}")) == 0
        data = b"".join(flood.encode(create(f"/flood{number}/n{n}")) for n in range(count))
        senders.append(threading.Thread(target=flood.sock.sendall, args=(data,)))
        senders[-1].start()
    readers = [threading.Thread(target=drain, args=(flood, count)) for flood in floods]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        bystander.check(within_s=10)
        time.sleep(0.05)
    for thread in senders + readers:
        thread.join()
    assert all(flood.complete for flood in floods)


def drain(session, count):
    """Reads `count` successful replies in order."""
    session.complete = False
    for number in range(count):
        xid, _, error, _ = session.reply()
        assert (xid, error) == (number + 2, 0)
    session.complete = True


def flood_of_errors(server):
    """20,000 unparsable reads: 20,000 times -5, in order."""
    with Session(server) as session:
        for _ in range(20):
            session.send(*[Request("exists", b"\0")] * 1000)
            for _ in range(1000):
                assert session.reply()[2] == -5
    Bystander(server).check()


def flood_of_connections(server):
    """2,000 sessions opened one after the other and dropped."""
    bystander, before = Bystander(server), rss_mib(server)
    for number in range(2000):
        Session(server, timeout_ms=4000).sock.close()
        if number % 500 == 0:
            bystander.check()
    grown = rss_mib(server) - before
    assert grown < GROWTH_MIB, f"memory grew by {grown:.0f} MiB"


def counts_that_cannot_be(server):
    """Vectors that promise two thousand million elements."""
    before = rss_mib(server)
    with Session(server) as session:
        huge = i32(2**31 - 1)
        for request in (
            Request("setWatches", i64(0) + huge), Request("setWatches2", i64(0) + vector([]) + huge),
            Request("setWatches", i64(0) + i32(200_000) + bytes(100)),
        ):
            assert session.call(request) == -5
    assert rss_mib(server) - before < GROWTH_MIB
    Bystander(server).check()


def many_watches(server):
    """50,000 watches by setWatches, and the connection gone."""
    bystander = Bystander(server)
    for _ in range(3):
        with Session(server) as session:
            for part in range(10):
                paths = [f"/watched/{part}/{number}" for number in range(5000)]
                assert session.call(set_watches(0, exist=paths)) == 0
        bystander.check()


def huge_multi(server):
    """As many operations as fit into a frame: one transaction or an error, but an answer."""
    with Session(server) as session:
        request = multi(*[create(f"/hm{number}") for number in range(15_000)])
        assert len(request.body) < 1_048_000
        assert session.call(request) == 0
        assert session.call(exists("/hm14999")) == 0
    Bystander(server).check()


def unknown_operations(server):
    """-6 and the end, for many codes."""
    for code in (0, 10, 13, 99, -1, 2**31 - 1, -(2**31)):
        assert unanswered_end(Session(server), Request(code, bytes(20))) == -6


def requests_behind_a_close(server):
    """They are dropped: the reply to closeSession is the last byte."""
    with Session(server) as session:
        session.send(Request("closeSession"), create("/behind"), ping())
        assert session.reply()[2] == 0
        try:
            while True:
                error = session.reply()[2]
                assert error == -112, f"answered behind the end with {error}"
        except Closed:
            pass
    with Session(server) as session:
        assert session.call(exists("/behind")) == -101


def everything_is_still_there(server):
    """After all that, and a restart: what was acknowledged."""
    with Session(server) as session:
        for number in range(50):
            assert session.call(create(f"/after{number}", b"%d" % number)) == 0
    server.restart()
    with Session(server) as session:
        for number in range(50):
            session.send(get_data(f"/after{number}"))
            _, _, error, reader = session.reply()
            assert error == 0 and reader.buf() == b"%d" % number


PRESSURE = (
    bad_lengths, short_frames, garbage, garbage_behind_a_handshake, mutated_requests,
    announced_but_not_sent, silent_connections, cut_off_in_the_middle, slow_reader, flood_of_writes,
    flood_of_errors, flood_of_connections, counts_that_cannot_be, many_watches, huge_multi,
    unknown_operations, requests_behind_a_close, everything_is_still_there,
)
