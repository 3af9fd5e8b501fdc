"""What the tests of bad input look at: bystanders, memory, and how a connection ends."""

import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from wire import Reader, Request, connect_request, create, exists, frame, ping  # noqa: E402

PATIENCE_S = 10.0


class Closed(Exception):
    """The server closed the connection."""


class Session:
    """A connection with a session; calls return (error, zxid, body)."""

    def __init__(self, server, timeout_ms=600_000, **fields):
        self.server = server
        self.sock = socket.create_connection(server.address, timeout=PATIENCE_S)
        self.xid = 0
        self.sock.sendall(frame(connect_request(timeout_ms, **fields)))
        reader = Reader(self.frame())
        reader.i32()
        self.timeout, self.session, self.password = reader.i32(), reader.i64(), reader.buf()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def bytes(self, count):
        """Exactly `count` bytes; Closed at the end."""
        data = bytearray()
        while len(data) < count:
            try:
                piece = self.sock.recv(count - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                raise Closed(f"after {len(data)} of {count} bytes")
            data += piece
        return bytes(data)

    def frame(self):
        """The next payload."""
        return self.bytes(int.from_bytes(self.bytes(4), "big"))

    def encode(self, request):
        """The frame of a request with the next xid."""
        self.xid += 1
        return frame(request.payload(self.xid if request.xid is None else request.xid))

    def send(self, *requests):
        """Sends requests in one write."""
        self.sock.sendall(b"".join(self.encode(request) for request in requests))

    def reply(self):
        """The next reply that is no event: (xid, zxid, error, reader of the body)."""
        while True:
            reader = Reader(self.frame())
            xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
            if xid != -1:
                return xid, zxid, error, reader

    def call(self, request):
        """Sends one request; returns its error."""
        self.send(request)
        return self.reply()[2]

    def last_zxid(self):
        """The server's last applied zxid."""
        self.send(ping())
        return self.reply()[1]


class Bystander(Session):
    """Somebody else, who must not notice anything."""

    def check(self, within_s=2.0):
        """A write, a read and a ping, answered in time; three times too late is a failure, once is
        a busy machine."""
        took = [self.round_trips()]
        while took[-1] >= within_s and len(took) < 3:
            took.append(self.round_trips())
        assert took[-1] < within_s, f"a bystander waited {took} s"

    def round_trips(self):
        """Seconds that a write, a read and a ping take."""
        started = time.monotonic()
        path = f"/bystander{self.session & 0xFFFFFFFF:x}-{self.xid}"
        for request in (create(path, b"x"), exists(path), ping()):
            error = self.call(request)
            assert error == 0, f"{request.op} of a bystander got {error}"
        return time.monotonic() - started


def rss_mib(server):
    """Resident memory of the server process, in MiB."""
    text = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def ends(sock, within_s=PATIENCE_S):
    """Bytes that come before the server closes; fails if it doesn't."""
    sock.settimeout(within_s)
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    except TimeoutError:
        raise AssertionError(f"the connection is still open after {within_s} s") from None
    return data


def raw(server, data):
    """A fresh connection that has sent `data` as its first bytes."""
    sock = socket.create_connection(server.address, timeout=PATIENCE_S)
    try:
        sock.sendall(data)
    except ConnectionError:
        pass
    return sock


def unanswered_end(session, request):
    """Sends a request after which the server has to close; returns the error of its reply or None."""
    session.send(request)
    try:
        error = session.reply()[2]
    except Closed:
        return None
    assert ends(session.sock) == b"", "bytes after the last reply"
    return error


__all__ = [
    "Bystander", "Closed", "Request", "Session", "ends", "raw", "rss_mib", "unanswered_end",
]
