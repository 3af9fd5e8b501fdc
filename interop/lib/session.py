"""A session over a plain socket, and the whole tree of a server as it comes over the wire."""

import collections
import socket
import time

from wire import Reader, close_session, connect_request, frame, get_acl, get_children2, get_data
from wire import ping, sync

EVENTS = {1: "created", 2: "deleted", 3: "changed", 4: "children"}
CONNECTION_S = 15.0
# How many znodes are asked for in one write; three requests each.
SLICE = 200
# Each member writes this znode by itself when it starts, with its own time of day.
CONFIG = "/zookeeper/config"

Event = collections.namedtuple("Event", "kind path")
Node = collections.namedtuple("Node", "data stat acl")


class Refused(ConnectionError):
    """The server answered the handshake with session 0: expired, or the password is wrong."""


class Session:
    """One session: requests go out, replies come back in order, events are kept aside."""

    def __init__(self, address, timeout_ms=30_000, session=0, password=bytes(16), last_zxid=0,
                 read_only=False, wait_s=CONNECTION_S):
        self.xid = 0
        self.zxid = last_zxid
        self.events = collections.deque()
        self.buffer = b""
        self.sock = socket.create_connection(address, timeout=wait_s)
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.sendall(frame(
                connect_request(timeout_ms, session, password, last_zxid, read_only)))
            reader = Reader(self.frame())
            reader.i32()
            self.timeout, self.id, self.password = reader.i32(), reader.i64(), reader.buf()
            self.read_only = reader.rest()[:1] == b"\x01"
            if self.id == 0 or self.timeout <= 0:
                raise Refused("the server does not know the session")
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def moved(self, address, **more):
        """The same session over a new connection, to another server perhaps."""
        return Session(address, self.timeout, self.id, self.password, self.zxid, **more)

    def exactly(self, count):
        """That many bytes."""
        while len(self.buffer) < count:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise ConnectionError("the server closed the connection")
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        """The next frame's payload."""
        return self.exactly(int.from_bytes(self.exactly(4), "big"))

    def send(self, *requests):
        """Sends requests in one write."""
        payloads = b""
        for request in requests:
            self.xid += 1
            payloads += frame(request.payload(self.xid))
        self.sock.sendall(payloads)

    def next_frame(self):
        """The next frame: (xid, error, reader of the rest); an event is put aside and xid is -1."""
        reader = Reader(self.frame())
        xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
        self.zxid = max(self.zxid, zxid)
        if xid == -1:
            kind, _, path = reader.i32(), reader.i32(), reader.buf()
            self.events.append(Event(EVENTS.get(kind, str(kind)), path.decode()))
        return xid, error, reader

    def reply(self):
        """The next reply: its error and the reader of its body."""
        while True:
            xid, error, reader = self.next_frame()
            if xid != -1:
                return error, reader

    def call(self, request):
        """One request and its reply."""
        self.send(request)
        return self.reply()

    def code(self, request):
        """The error of the reply to one request."""
        return self.call(request)[0]

    def must(self, request):
        """The body of a reply that has no error."""
        error, reader = self.call(request)
        if error != 0:
            raise RuntimeError(f"{request.op} {request.body[:80]!r} failed with {error}")
        return reader

    def event(self, wait_s=CONNECTION_S):
        """The next event; AssertionError if none comes in time."""
        deadline = time.monotonic() + wait_s
        while not self.events:
            left = deadline - time.monotonic()
            assert left > 0, "no event came"
            self.sock.settimeout(left)
            try:
                self.next_frame()
            except TimeoutError:
                continue
            finally:
                self.sock.settimeout(CONNECTION_S)
        return self.events.popleft()

    def ping(self):
        """A ping and its answer."""
        self.call(ping())

    def drop(self):
        """Closes the socket without a word; the session lives on."""
        self.sock.close()

    def close(self):
        """Ends the session, if the server still listens."""
        try:
            self.call(close_session())
        except OSError:
            pass
        self.sock.close()


def tree(address):
    """Every znode below the root with data, stat and ACL, after a sync: {path: Node}."""
    with Session(address) as session:
        session.must(sync("/"))
        found, todo = {}, ["/"]
        while todo:
            paths, todo = todo[:SLICE], todo[SLICE:]
            for path in paths:
                session.send(get_children2(path), get_data(path), get_acl(path))
            for path in paths:
                below = read_node(session, path, found)
                todo += [f"{path.rstrip('/')}/{name.decode()}" for name in below]
        return found


def read_node(session, path, found):
    """Takes the three replies about one znode; returns the names of its children."""
    replies = [session.reply() for _ in range(3)]
    failed = [error for error, _ in replies if error != 0]
    if failed:
        # Gone in between, or not to be read.
        found[path] = Node(None, None, tuple(failed))
        return []
    children, data, acl = (reader for _, reader in replies)
    names = children.vector(children.buf)
    value, stat = data.buf(), data.rest()
    if path == CONFIG:
        stat = stat[:16] + bytes(16) + stat[32:]
    acls = acl.vector(lambda: (acl.i32(), acl.buf(), acl.buf()))
    found[path] = Node(value, stat, tuple(acls))
    return names


def tree_difference(one, other):
    """The first znodes in which two trees differ, as text; empty if they are equal."""
    lines = []
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) == other.get(path):
            continue
        lines.append(f"{path}: {shown(one.get(path))} | {shown(other.get(path))}")
    if len(lines) > 6:
        lines[6:] = [f"... and {len(lines) - 6} more"]
    return "\n".join(lines)


def shown(node):
    """A node in a few words."""
    if node is None:
        return "missing"
    if node.stat is None:
        return f"errors {node.acl}"
    return f"{(node.data or b'')[:30]!r} stat {node.stat.hex()} {node.acl}"
