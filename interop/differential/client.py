"""Connections that send exact bytes and write down everything that comes back."""

import socket
import struct
import time

from transcript import Transcript
from wire import (
    Reader, Request, close_session, connect_request, delete, exists, frame, ping,
)

# Long enough for a busy two-core machine; silence this long is itself written down.
SILENCE_S = 15.0
HASTE_S = 0.3
# For what a server does by itself, in its own time.
PATIENCE_S = 30.0


class Connection:
    """One TCP connection to the server under test."""

    def __init__(self, side, name):
        self.side = side
        self.name = name
        self.log = side.transcript
        self.buffer = b""
        self.xid = 0
        self.ops = {}
        self.open = True
        try:
            self.sock = socket.create_connection(side.address[:2], timeout=side.patience_s)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (BrokenPipeError, ConnectionResetError):
            # The server closed before connect() had returned.
            self.sock = socket.socket()
            self.shut("closed")
        self.timeout = self.session = self.password = None
        self.last_zxid = 0

    def handshake(self, timeout_ms=30_000, then=b"", **fields):
        """Sends a ConnectRequest (with `then` right behind it) and reads the answer."""
        self.raw(frame(connect_request(timeout_ms, **fields)) + then)
        payload = self.frame()
        if payload is not None:
            try:
                self.accepted(payload)
            except ValueError:
                self.log.note(self.name, f"bad handshake {payload.hex()}")
        return self

    def accepted(self, payload):
        """Takes the session that a ConnectResponse gives."""
        self.timeout, self.session, self.password = self.log.handshake(self.name, payload)

    def raw(self, data):
        """Sends bytes as they are; a connection that is already closed takes none."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.shut("closed")

    def encode(self, request):
        """The frame of a request, with the next xid unless it has its own."""
        if request.xid is None:
            self.xid += 1
            xid = self.xid
        else:
            xid = request.xid
        self.ops[xid] = request.op
        return frame(request.payload(xid))

    def call(self, request):
        """Sends a request and reads up to its reply; returns its error, None if none came."""
        errors = self.pipeline(request)
        return errors[0] if errors else None

    def quietly(self, request):
        """Sends a request and reads up to its reply, writes nothing down; returns its error."""
        written = len(self.log.lines)
        error = self.call(request)
        del self.log.lines[written:]
        return error

    def pipeline(self, *requests):
        """Sends requests in one write and reads as many replies; returns their errors."""
        self.raw(b"".join(self.encode(request) for request in requests))
        return self.replies(len(requests))

    def replies(self, count):
        """Reads frames until `count` of them were replies, or the end; returns their errors."""
        errors = []
        while len(errors) < count:
            answer = self.read()
            if answer is None:
                break
            if answer[0] != -1:
                errors.append(answer[2])
        return errors

    def read(self):
        """Reads and writes down one frame; None at the end or after SILENCE_S."""
        payload = self.frame()
        if payload is None:
            return None
        xid, zxid, error = self.log.reply(self.name, payload, lambda xid: self.ops.get(xid, "?"))
        if xid is not None and zxid > 0:
            self.last_zxid = max(self.last_zxid, zxid)
        return xid, zxid, error

    def frame(self):
        """The next payload; None, written down, when the server closes or says nothing."""
        head = self.bytes(4)
        if head is None:
            return None
        length = struct.unpack(">i", head)[0]
        if not 0 <= length < 1 << 26:
            self.log.note(self.name, f"frame of length {length}")
            return None
        return self.bytes(length)

    def bytes(self, count):
        """Exactly `count` bytes, or None, written down."""
        while len(self.buffer) < count:
            if not self.open:
                return None
            try:
                piece = self.sock.recv(1 << 16)
            except TimeoutError:
                self.log.note(self.name, "silence")
                self.side.hasten()
                return None
            except OSError:
                piece = b""
            if not piece:
                left = f" after {self.buffer.hex()}" if self.buffer else ""
                self.shut(f"closed{left}")
                return None
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def until_closed(self):
        """Reads and writes down everything up to the end of the connection."""
        while self.open and self.read() is not None:
            pass

    def settle(self):
        """Reads what is on its way: everything up to the answer of a ping."""
        if self.open:
            self.call(ping())

    def alive(self):
        """Writes down whether the connection still answers."""
        self.settle()

    def close_session(self):
        """Ends the session; the events of its ephemerals may come in any order elsewhere."""
        self.raw(self.encode(close_session()))
        start = len(self.log.lines)
        answer = self.read()
        while answer is not None and answer[0] == -1:
            answer = self.read()
        if answer is not None:
            self.log.unordered.add(answer[1])
            self.log.lines[start:-1] = sorted(self.log.lines[start:-1])
        self.until_closed()

    def shut(self, text):
        """Writes down the end once."""
        if self.open:
            self.open = False
            self.log.note(self.name, text)

    def drop(self):
        """Closes the socket without a word; the session lives on."""
        self.open = False
        self.sock.close()


class Side:
    """One server as a scenario sees it: connections and the transcript they fill."""

    def __init__(self, server, root):
        self.server = server
        self.address = server.address
        self.root = root
        self.connections = []
        self.patience_s = SILENCE_S
        self.transcript = Transcript(0)
        self.transcript.base_zxid = self.last_zxid()

    def last_zxid(self):
        """The server's last zxid, by a session of its own (which takes two) and a write that fails:
        before its first transaction a leader has nothing of its epoch to show."""
        probe = Connection(self, "probe")
        probe.handshake()
        probe.call(delete("/nothing"))
        probe.raw(frame(Request("ping").payload(-2)))
        reader = Reader(probe.frame() or bytes(16))
        reader.i32()
        zxid = reader.i64()
        probe.raw(frame(close_session().payload(1)))
        probe.until_closed()
        probe.sock.close()
        self.transcript.lines.clear()
        self.transcript.sessions.clear()
        return zxid

    def hasten(self):
        """After a first silence the next ones are cut short: this server may be stuck."""
        self.patience_s = HASTE_S
        for connection in self.connections:
            if connection.open:
                connection.sock.settimeout(HASTE_S)

    def open(self):
        """A connection that has sent nothing yet."""
        connection = Connection(self, f"c{len(self.connections) + 1}")
        self.connections.append(connection)
        return connection

    def connect(self, timeout_ms=30_000, **fields):
        """A connection with a session."""
        return self.open().handshake(timeout_ms, **fields)

    def resume(self, old, timeout_ms=30_000, **fields):
        """A new connection for the session of `old`."""
        fields = {"session": old.session, "password": old.password, **fields}
        return self.connect(timeout_ms, **fields)

    def applied_by_leader(self, zxid):
        """Waits until the leader has applied a transaction, if the server is a member: another
        member may have answered for it before."""
        if hasattr(self.server, "leader"):
            seen = lambda: int(self.server.wait_leader().srvr("Zxid") or "0", 16) >= zxid
            self.server.wait(seen, f"transaction {zxid:#x} at the leader")

    def await_gone(self, poller, path):
        """Waits until a connection that is there for nothing else sees a znode no more. How often
        it asks is not written down."""
        deadline = time.monotonic() + PATIENCE_S
        while poller.quietly(exists(path)) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)

    def path(self, name=""):
        """A path below the scenario's own node."""
        return f"{self.root}/{name}" if name else self.root

    def settle(self):
        """Lets every open connection receive what is on its way to it."""
        for connection in self.connections:
            connection.settle()

    def note(self, text):
        """A remark of the scenario, to find one's way in the transcript."""
        self.transcript.note("--", text)

    def finish(self):
        """Settles and writes the last line."""
        self.settle()
        self.transcript.lines.append("end")

    def end_sessions(self):
        """Closes every session that is left, so that none expires in a later scenario."""
        written = len(self.transcript.lines)
        left = {one.session: one.password for one in self.connections if one.session}
        for session, password in left.items():
            last = Connection(self, "last")
            last.handshake(session=session, password=password)
            if last.session:
                last.raw(last.encode(close_session()))
            last.until_closed()
            last.sock.close()
        for connection in self.connections:
            connection.sock.close()
        del self.transcript.lines[written:]
