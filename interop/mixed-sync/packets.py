"""The packets of the quorum port in bytes, a learner made of nothing else, and a tap on a wire."""

import collections
import socket
import threading

from wire import Reader, i32, i64

KINDS = {1: "REQUEST", 2: "PROPOSAL", 3: "ACK", 4: "COMMIT", 5: "PING", 6: "REVALIDATE", 7: "SYNC",
         8: "INFORM", 10: "NEWLEADER", 11: "FOLLOWERINFO", 12: "UPTODATE", 13: "DIFF", 14: "TRUNC",
         15: "SNAP", 16: "OBSERVERINFO", 17: "LEADERINFO", 18: "ACKEPOCH"}
CODES = {name: code for code, name in KINDS.items()}
PROTOCOL = 0x10000
SIGNATURE = i32(10) + b"BenWasHere"
NULL = i32(-1)

Packet = collections.namedtuple("Packet", "kind zxid data")


def encoded(kind, zxid, data=None):
    """A packet's bytes: type, zxid, data, and no list of identities."""
    body = NULL if data is None else i32(len(data)) + data
    return i32(CODES[kind]) + i64(zxid) + body + NULL


def learner_info(sid, version=0):
    """What a learner says of itself."""
    return i64(sid) + i32(PROTOCOL) + i64(version)


def epoch_start(epoch):
    """The first zxid of an epoch."""
    return epoch << 32


def packets_of(raw):
    """The whole packets at the front of these bytes, each as bytes."""
    found, reader = [], Reader(raw)
    try:
        while reader.at < len(raw):
            began = reader.at
            reader.take(12)
            reader.buf()
            reader.vector(lambda: (reader.buf(), reader.buf()))
            found.append(raw[began:reader.at])
    except ValueError:
        # The rest has not come yet.
        pass
    return found


class Learner:
    """Shakes hands with a leader and hears what it is offered."""

    def __init__(self, address, sid, kind="OBSERVERINFO", wait_s=20):
        self.sid, self.kind = sid, kind
        self.sock = socket.create_connection(address, timeout=wait_s)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Goes."""
        self.file.close()
        self.sock.close()

    def exactly(self, count):
        """That many bytes."""
        data = self.file.read(count)
        if len(data) < count:
            raise ConnectionError("the leader closed the connection")
        return data

    def packet(self):
        """The next packet; no leader gives identities with one."""
        head = Reader(self.exactly(16))
        kind, zxid, length = head.i32(), head.i64(), head.i32()
        data = None if length == -1 else self.exactly(length)
        identities = self.exactly(4)
        assert identities in (NULL, i32(0)), f"identities: {identities.hex()}"
        return Packet(KINDS[kind], zxid, data)

    def offered(self, zxid, epoch):
        """What the leader sends, from the way of synchronisation up to NEWLEADER, to a learner with
        `zxid` for its last transaction that has lived through `epoch`; no snapshot's bytes."""
        accepted = epoch_start(epoch)
        self.sock.sendall(encoded(self.kind, accepted, learner_info(self.sid)))
        told = self.packet()
        assert told.kind == "LEADERINFO" and told.data == i32(PROTOCOL), f"{told}"
        self.sock.sendall(encoded("ACKEPOCH", zxid, i32(epoch)))
        packets = [self.packet()]
        if packets[0].kind == "SNAP":
            self.skip_snapshot()
        while packets[-1].kind != "NEWLEADER":
            packets.append(self.packet())
        return packets

    def skip_snapshot(self):
        """Reads up to the signature behind a snapshot."""
        window = b""
        while window != SIGNATURE:
            window = (window + self.exactly(1))[-len(SIGNATURE):]

    def acknowledge(self, new_leader):
        """Accepts the history that NEWLEADER ends."""
        self.sock.sendall(encoded("ACK", new_leader.zxid))


class Tap:
    """Passes a port's connections on to another and keeps what the dialler said in each."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.said = []
        self.sockets = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        """Takes connections until the listener is closed."""
        while True:
            try:
                dialler = self.listener.accept()[0]
            except OSError:
                return
            try:
                leader = socket.create_connection(self.target, timeout=5)
            except OSError:
                dialler.close()
                continue
            leader.settimeout(None)
            self.said.append(bytearray())
            self.sockets += [dialler, leader]
            for source, sink, book in ((dialler, leader, self.said[-1]), (leader, dialler, None)):
                threading.Thread(target=pass_on, args=(source, sink, book), daemon=True).start()

    def packets(self, connection):
        """What was said in a connection, counted from 0, as whole packets."""
        said = self.said[connection:connection + 1]
        return packets_of(bytes(said[0])) if said else []

    def cut(self):
        """Ends all connections; new ones are welcome."""
        ended, self.sockets = self.sockets, []
        for one in ended:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def close(self):
        """Ends everything."""
        self.listener.close()
        self.cut()


def pass_on(source, sink, book):
    """Copies one direction of a connection until it ends, then ends the other one too."""
    try:
        while piece := source.recv(1 << 16):
            if book is not None:
                book += piece
            sink.sendall(piece)
    except OSError:
        pass
    for one in (source, sink):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
