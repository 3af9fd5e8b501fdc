"""Clients over plain sockets that write down what they live through, one record a line.

The form is described in src/sim/history/text.rs; `oxkeeper-check` reads it.
"""

import itertools
import struct
import threading
import time

import wire
from session import Refused, Session

STAT = struct.Struct(">qqqqiiiqiiq")
# A member that accepts and says nothing for this long is given up for the next.
PATIENCE_S = 1.5
RETRY_S = 0.02
SESSION_MS = 6_000


def quoted(text):
    """A path or name without spaces."""
    raw = text.encode() if isinstance(text, str) else text
    shown = "".join(chr(b) if 0x21 <= b <= 0x7e and b != 0x25 else f"%{b:02X}" for b in raw)
    return shown or "%"


def shown(data):
    """Data as hexadecimal digits."""
    return "null" if data is None else "x" + data.hex()


def stat(reader):
    """A stat's eleven numbers."""
    return ",".join(map(str, STAT.unpack(reader.take(STAT.size))))


class Ask:
    """A request: its bytes, its text, and how its reply's body becomes text."""

    def __init__(self, request, text, reply):
        self.request = request
        self.text = text
        self.reply = reply


def create(path, data=b"", flags=0):
    """create."""
    return Ask(wire.create(path, data, flags=flags), f"create {quoted(path)} {shown(data)} {flags}",
               lambda r: f"path {quoted(r.buf())}")


def delete(path, version=-1):
    """delete."""
    return Ask(wire.delete(path, version), f"delete {quoted(path)} {version}", lambda r: "-")


def check(path, version):
    """check, in a multi."""
    return Ask(wire.check(path, version), f"check {quoted(path)} {version}", lambda r: "-")


def set_data(path, data, version=-1):
    """setData."""
    return Ask(wire.set_data(path, data, version), f"set {quoted(path)} {shown(data)} {version}",
               lambda r: f"stat {stat(r)}")


def get(path, watch=False):
    """getData."""
    return Ask(wire.get_data(path, watch), f"get {quoted(path)} {watch:d}",
               lambda r: f"data {shown(r.buf())} {stat(r)}")


def exists(path, watch=False):
    """exists."""
    return Ask(wire.exists(path, watch), f"exists {quoted(path)} {watch:d}",
               lambda r: f"stat {stat(r)}")


def children(path, watch=False):
    """getChildren2."""
    def reply(reader):
        names = [quoted(name) for name in reader.vector(reader.buf)]
        return " ".join(["children {", *names, "}", stat(reader)])
    return Ask(wire.get_children2(path, watch), f"children2 {quoted(path)} {watch:d}", reply)


def sync(path="/"):
    """sync."""
    return Ask(wire.sync(path), f"sync {quoted(path)}", lambda r: f"path {quoted(r.buf())}")


def close():
    """closeSession."""
    return Ask(wire.close_session(), "close", lambda r: "-")


def multi(*asks):
    """A multi."""
    def reply(reader):
        parts = []
        while True:
            kind, done, error = reader.i32(), reader.take(1), reader.i32()
            if done == b"\x01":
                return " ".join(["multi {", " ; ".join(parts), "}"])
            if kind == -1:
                parts.append(f"{reader.i32()} -")
            else:
                parts.append(f"{error} {asks[len(parts)].reply(reader)}")
    text = " ; ".join(ask.text for ask in asks)
    return Ask(wire.multi(*[ask.request for ask in asks]), f"multi {{ {text} }}", reply)


class Book:
    """The records of all clients. A list's append is one step in Python, so no lock is needed."""

    def __init__(self):
        self.lines = []
        self.conns = itertools.count(1)

    def text(self):
        """The history so far."""
        return "".join(f"{line}\n" for line in self.lines)


class Client:
    """One client: a session that moves from member to member, or a new one when it has expired."""

    def __init__(self, book, number, addresses):
        self.book = book
        self.number = number
        self.turns = itertools.cycle(addresses)
        self.ending = threading.Event()
        self.session = None
        self.conn = 0
        self.known = (0, bytes(16))
        self.cxid = 0
        self.seen = 0

    def connect(self):
        """A connection to one member or another; False if the client was told to end before."""
        while self.session is None and not self.ending.is_set():
            try:
                session = Session(next(self.turns), SESSION_MS, *self.known, self.seen,
                                  wait_s=PATIENCE_S)
            except Refused:
                self.known, self.seen = (0, bytes(16)), 0
            except OSError:
                self.ending.wait(RETRY_S)
            else:
                self.begin(session)
        return self.session is not None

    def begin(self, session):
        """Goes on over a new connection."""
        if session.id != self.known[0]:
            self.cxid = 0
        self.known = (session.id, session.password)
        self.session, self.conn = session, next(self.book.conns)
        self.book.lines.append(
            f"connected {self.conn} {self.number} {session.id:d} {time.monotonic_ns()} "
            f"{session.timeout} {self.seen}")

    def call(self, *asks):
        """Sends requests in one write; returns their replies (zxid, error, body as text), fewer if
        the connection broke."""
        if self.session is None and not self.connect():
            return []
        waiting, replies = [], []
        invoked = time.monotonic_ns()
        payload = b""
        for ask in asks:
            self.cxid += 1
            waiting.append((self.cxid, ask))
            payload += wire.frame(ask.request.payload(self.cxid))
        try:
            self.session.sock.sendall(payload)
            while waiting:
                replies.append(self.take(waiting, invoked))
        except (OSError, ValueError):
            self.lose(waiting, invoked)
        return replies

    def take(self, waiting, invoked):
        """The next reply; events in front of it are written down. The request leaves `waiting` when
        its record is in the book."""
        while True:
            reader = wire.Reader(self.session.frame())
            now = time.monotonic_ns()
            xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
            if xid == -1:
                kind, _, path = reader.i32(), reader.i32(), reader.buf()
                self.book.lines.append(f"event {self.conn} {now} {zxid} {kind} {quoted(path)}")
                continue
            cxid, ask = waiting[0]
            if xid != cxid:
                raise ValueError(f"reply {xid} where {cxid} is due")
            body = ask.reply(reader) if error == 0 else "-"
            self.seen = max(self.seen, zxid)
            self.book.lines.append(
                f"op {self.conn} {cxid} {invoked} {ask.text} = {now} {zxid} {error} {body}")
            del waiting[0]
            return zxid, error, body

    def lose(self, waiting, invoked):
        """Gives the connection up."""
        for cxid, ask in waiting:
            self.book.lines.append(f"op {self.conn} {cxid} {invoked} {ask.text} = unknown")
        self.book.lines.append(f"closed {self.conn} {time.monotonic_ns()}")
        self.session.drop()
        self.session = None

    def leave(self):
        """Ends the session in order."""
        if self.session is not None:
            self.call(close())
        if self.session is not None:
            self.lose([], 0)


def must(client, ask, tries=200):
    """Repeats a read, or a write that may be done twice, until it has a reply without an error."""
    for _ in range(tries):
        replies = client.call(ask)
        if replies and replies[0][1] == 0:
            return replies[0]
        time.sleep(RETRY_S)
    raise AssertionError(f"no good reply to {ask.text}: {replies}")
