#!/usr/bin/env python3
"""Captures the golden bytes beside this file from running Apache ZooKeeper 3.9.5 servers.

    jute/tests/golden/capture.py          # needs java (a JDK) and, the first time, mvn

Apache's own Java client (Drive.java) talks to Apache's server through a tap that keeps every frame;
a few requests that it never sends go over a raw socket. Log and snapshot records come from the
server's data directory, packets between servers from an ensemble whose members reach each other
through taps. Everything listens on 127.0.0.1. Each record lands in NAME.hex: one sentence, then the
bytes. What chance decides (ids, times, zxids) lands in facts.txt as Apache's client tells it.
"""

import pathlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent.parent / "interop" / "lib"))

from servers import CannotRun, Server, apache_classpath, free_port  # noqa: E402

DRIVE_TIMEOUT_S = 120
# How long a tap waits for the server behind it.
PATIENCE_S = 5
CFG = {"extendedTypesEnabled": "true", "reconfigEnabled": "true", "skipACL": "yes"}

# What Drive.java sends, in its order, by operation: (operation, how many before it) -> name.
REQUESTS = {
    (100, 0): "auth", (1, 0): "create", (15, 0): "create2", (19, 0): "create_container",
    (21, 0): "create_ttl", (1, 1): "create_ephemeral", (3, 0): "exists", (7, 0): "set_acl",
    (6, 0): "get_acl", (5, 0): "set_data", (4, 0): "get_data", (8, 0): "get_children",
    (12, 0): "get_children2", (104, 0): "get_all_children_number", (103, 0): "get_ephemerals",
    (9, 0): "sync", (107, 0): "who_am_i", (4, 1): "get_data_missing", (2, 0): "delete",
    (14, 0): "multi", (14, 1): "multi_failing", (22, 0): "multi_read", (16, 0): "reconfig",
    (4, 2): "get_data_watch", (101, 0): "set_watches", (106, 0): "add_watch",
    (105, 0): "set_watches2", (17, 0): "check_watches", (18, 0): "remove_watches",
    (-11, 0): "close_session",
}
TXNS = {
    (-10, 0): "create_session", (1, 0): "create", (15, 0): "create2", (19, 0): "create_container",
    (21, 0): "create_ttl", (1, 1): "create_ephemeral", (7, 0): "set_acl", (5, 0): "set_data",
    (-1, 0): "error", (14, 0): "multi", (14, 1): "multi_failed", (2, 0): "delete",
    (20, 0): "delete_container", (-11, 0): "close_session",
}


def write(name, sentence, data):
    """NAME.hex: one sentence and the bytes, 32 a line."""
    lines = [data[at:at + 32].hex() for at in range(0, len(data), 32)]
    (HERE / f"{name}.hex").write_text(f"# {sentence}\n" + "\n".join(lines) + "\n", encoding="ascii")


class Tap:
    """Forwards connections to a port and keeps what passes: for each connection (up, down)."""

    def __init__(self, target_port, cut_at=None):
        self.target_port = target_port
        self.cut_at = cut_at
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """Until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.forward, args=(client,), daemon=True).start()

    def forward(self, client):
        """One connection, until either side ends it."""
        # A server listens for learners only once it leads; who found nobody would try later.
        server, deadline = None, time.monotonic() + PATIENCE_S
        while server is None and time.monotonic() < deadline:
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                time.sleep(0.05)
        if server is None:
            client.close()
            return
        server.settimeout(None)
        kept = (bytearray(), bytearray())
        self.connections.append(kept)
        ways = {client: (server, kept[0]), server: (client, kept[1])}
        for end in ways:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                for source in select.select(list(ways), [], [])[0]:
                    sink, keep = ways[source]
                    piece = source.recv(65536)
                    if not piece:
                        return
                    keep += piece
                    if self.cut_at and source is client and self.cut_at in piece:
                        return
                    sink.sendall(piece)
        except OSError:
            return
        finally:
            client.close()
            server.close()

    def close(self):
        """No new connections."""
        self.listener.close()


def frames(data):
    """The payloads of a stream of frames."""
    at = 0
    while at + 4 <= len(data):
        length = struct.unpack_from(">i", data, at)[0]
        yield bytes(data[at + 4:at + 4 + length])
        at += 4 + length


def string(text):
    """A string or buffer as jute writes it."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8")
    return struct.pack(">i", len(raw)) + raw


def raw_session(port, connect, requests):
    """Sends a handshake and requests over a socket of our own; the payloads of the answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        for payload in (connect, *requests):
            sock.sendall(string(payload))
        answers = sock.makefile("rb")
        out = []
        for _ in range(1 + len(requests)):
            head = answers.read(4)
            if len(head) < 4:
                break
            out.append(answers.read(struct.unpack(">i", head)[0]))
        return out


def capture_client(server):
    """Requests and answers of the client protocol. Returns the facts that Drive.java printed."""
    tap = Tap(server.port, cut_at=b"/cut")
    done = subprocess.run(
        ["java", "-cp", apache_classpath(), str(HERE / "Drive.java"), f"127.0.0.1:{tap.port}"],
        stdout=subprocess.PIPE, check=True, timeout=DRIVE_TIMEOUT_S,
    )
    tap.close()
    seen = {}
    for number, (up, down) in enumerate(tap.connections):
        requests, answers = list(frames(up)), list(frames(down))
        if number == 0:
            write("connect_request", "The first frame of Apache's Java client.", requests[0])
            write("connect_response", "The server's answer to connect_request.", answers[0])
        elif number == 1:
            write("connect_request_again", "The same session, reconnecting.", requests[0])
        by_xid = {}
        for answer in answers[1:]:
            xid = struct.unpack_from(">i", answer)[0]
            by_xid.setdefault(xid, []).append(answer)
        for request in requests[1:]:
            xid, op = struct.unpack_from(">ii", request)
            name = REQUESTS.get((op, seen.get(op, 0)))
            seen[op] = seen.get(op, 0) + 1
            answer = by_xid.get(xid, [b""])[0]
            if name and answer:
                write(f"request_{name}", f"Request {op} of Apache's Java client.", request)
                write(f"reply_{name}", f"The server's answer to request_{name}.", answer)
        if -1 in by_xid:
            write("event", "A watch event that the server sent the Java client.", by_xid[-1][0])
    missing = [key for key in REQUESTS if seen.get(key[0], 0) <= key[1]]
    if missing:
        raise CannotRun(f"Drive.java did not send {missing}")
    # The client logs to the same place.
    lines = done.stdout.decode("utf-8").splitlines()
    return "".join(f"{x.strip()}\n" for x in lines if x.startswith(("session_", "stat_")))


def capture_raw(server):
    """What the Java client never sends."""
    old = struct.pack(">iqiq", 0, 0, 10_000, 0) + string(bytes(16))
    request = struct.pack(">ii", 1, 20) + string("/golden/container")
    emoji = struct.pack(">ii", 2, 9) + string("/\U0001f600")
    sasl = struct.pack(">ii", 3, 102) + string(b"token")
    bye = struct.pack(">ii", 4, -11)
    answers = raw_session(server.port, old, [request, emoji, bye])
    write("connect_request_old", "A handshake without the last byte, as before 3.4.", old)
    write("connect_response_old", "The server's answer to connect_request_old.", answers[0])
    write("request_delete_container", "deleteContainer of /golden/container, raw.", request)
    write("reply_delete_container", "The server's answer to it.", answers[1])
    write("reply_sync_supplementary", "The answer to sync of a slash and U+1F600.", answers[2])
    wrong = struct.pack(">iqiq", 0, 0, 10_000, 77) + string(bytes(16)) + b"\x00"
    refused = raw_session(server.port, wrong, [])
    write("connect_response_refused", "The answer to an unknown session.", refused[0])
    answers = raw_session(server.port, old, [sasl])
    write("request_sasl", "A SASL token, raw.", sasl)
    write("reply_sasl", "The answer to it, of a server without SASL.", answers[1])


def log_records(path):
    """The whole records of a log, up to the preallocated zeros; their checksums are checked."""
    data = path.read_bytes()
    at = 16
    while True:
        checksum, length = struct.unpack_from(">qi", data, at)
        if length == 0:
            return
        record = data[at:at + 13 + length]
        if zlib.adler32(record[12:-1]) != checksum:
            raise CannotRun(f"{path}: bad checksum at {at}")
        yield record
        at += len(record)


def capture_log(path):
    """Transactions, and the log's own records."""
    write("log_header", "The first bytes of a transaction log.", path.read_bytes()[:16])
    seen = {}
    for record in log_records(path):
        body = record[12:-1]
        kind = struct.unpack_from(">i", body, 28)[0]
        name = TXNS.get((kind, seen.get(kind, 0)))
        seen[kind] = seen.get(kind, 0) + 1
        if name:
            write(f"txn_{name}", f"The body of a record of type {kind} in the server's log.", body)
        if name == "create":
            write("log_record", "The record around txn_create in the server's log.", record)


def skip_buffer(data, at):
    """Behind a string or buffer."""
    return at + 4 + max(struct.unpack_from(">i", data, at)[0], 0)


def capture_snapshot(path):
    """The pieces of a snapshot."""
    data = path.read_bytes()
    write("snapshot_header", "The first bytes of a snapshot.", data[:16])
    sessions = struct.unpack_from(">i", data, 16)[0]
    write("snapshot_session", "The first session in a snapshot.", data[20:32])
    at = 20 + 12 * sessions
    acls = struct.unpack_from(">i", data, at)[0]
    at += 4
    for number in range(acls):
        start = at
        entries = struct.unpack_from(">i", data, at + 8)[0]
        at += 12
        for _ in range(entries):
            at = skip_buffer(data, skip_buffer(data, at + 4))
        if number == 0 or entries > 1:
            write("snapshot_acl", "An access control list in a snapshot.", data[start:at])
    while data[at:at + 5] != string("/"):
        start = at
        end = skip_buffer(data, at)
        name = data[at + 4:end]
        at = skip_buffer(data, end) + 8 + 60
        for wanted, as_name in ((b"", "root"), (b"/golden", "node"), (b"/golden/ttl", "ttl")):
            if name == wanted:
                write(f"snapshot_{as_name}", f"Node '{wanted.decode()}' in a snapshot.",
                      data[start:at])
    at += 5
    for name, length in (("nodes", 0), ("digest", 20), ("last_zxid", 8)):
        if length == 20:
            write("snapshot_digest", "The digest in a snapshot.", data[at:at + length])
        at += length
        if zlib.adler32(data[:at]) != struct.unpack_from(">q", data, at)[0]:
            raise CannotRun(f"{path}: bad checksum at {at}")
        write(f"snapshot_seal_{name}", f"The seal of a snapshot behind its {name}.",
              data[at:at + 13])
        at += 13
    if at != len(data):
        raise CannotRun(f"{path}: {len(data) - at} bytes behind the last seal")


def capture_standalone():
    """Everything that one server shows."""
    properties = {"zookeeper.extendedTypesEnabled": "true"}
    with Server("apache", CFG, properties) as server:
        started = int(time.time() * 1000)
        facts = capture_client(server)
        capture_raw(server)
        facts += f"time_from {started}\ntime_until {int(time.time() * 1000)}\n"
        version = server.datadir / "version-2"
        # A server takes a snapshot when it starts on a log.
        server.restart()
        capture_log(min(version.glob("log.*"), key=lambda p: int(p.suffix[1:], 16)))
        capture_snapshot(max(version.glob("snapshot.*"), key=lambda p: int(p.suffix[1:], 16)))
    (HERE / "facts.txt").write_text(facts, encoding="utf-8")


def capture_text():
    """How Java decodes what is not UTF-8."""
    done = subprocess.run(
        ["java", str(HERE / "Text.java")], stdout=subprocess.PIPE, check=True,
        timeout=DRIVE_TIMEOUT_S,
    )
    (HERE / "text.txt").write_bytes(done.stdout)


PACKETS = {
    1: "request", 2: "proposal", 3: "ack", 4: "commit", 5: "ping", 6: "revalidate", 7: "sync",
    8: "inform", 10: "new_leader", 11: "follower_info", 12: "up_to_date", 13: "diff", 15: "snap",
    16: "observer_info", 17: "leader_info", 18: "ack_epoch",
}


class Ensemble:
    """Two voters and an observer that know each other by taps, so that all they say is kept."""

    def __init__(self):
        self.servers, self.taps, ports = {}, {}, {}
        for sid in (1, 2, 3):
            ports[sid] = (free_port(), free_port())
            self.taps[sid] = [Tap(port) for port in ports[sid]]
        for sid in (1, 2, 3):
            members = {}
            for other in (1, 2, 3):
                known = ports[sid] if other == sid else [tap.port for tap in self.taps[other]]
                role = "observer" if other == 3 else "participant"
                members[f"server.{other}"] = f"127.0.0.1:{known[0]}:{known[1]}:{role}"
            # Without synchronising from the log an empty learner is sent a snapshot.
            properties = {"zookeeper.snapshotSizeFactor": "-1"}
            cfg = {**members, "initLimit": 10, "syncLimit": 5, "skipACL": "yes"}
            server = self.servers[sid] = Server("apache", cfg, properties)
            (server.datadir / "myid").write_text(str(sid), encoding="ascii")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.close()
        for tap in (tap for pair in self.taps.values() for tap in pair):
            tap.close()

    def start(self, *sids):
        """Starts these servers at the same time; returns when all of them serve."""
        failures = []

        def start(sid):
            try:
                self.servers[sid].start()
            except CannotRun as error:
                failures.append(error)

        threads = [threading.Thread(target=start, args=(sid,)) for sid in sids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


def packets(data):
    """The packets of a learner's stream, without the raw snapshot behind one."""
    at = 0
    while at + 20 <= len(data):
        start, kind = at, struct.unpack_from(">i", data, at)[0]
        at = skip_buffer(data, at + 12)
        if at + 4 > len(data):
            return
        identities = struct.unpack_from(">i", data, at)[0]
        at += 4
        for _ in range(identities):
            at = skip_buffer(data, skip_buffer(data, at))
        yield kind, bytes(data[start:at])
        if kind == 15:
            signature = string("BenWasHere")
            end = data.find(signature, at)
            if end < 0:
                return
            at = end + len(signature)


def capture_learners(tap):
    """One packet of each type and direction; the longest, which says most."""
    best = {}
    for connection in tap.connections:
        for way, stream in zip(("up", "down"), connection):
            for kind, packet in packets(stream):
                name = PACKETS.get(kind, "other")
                name = f"{name}_{way}" if kind in (5, 6) else name
                if len(packet) > len(best.get(name, b"")):
                    best[name] = packet
    for name, packet in best.items():
        kind = struct.unpack_from(">i", packet)[0]
        write(f"quorum_{name}", f"A packet of type {kind} between a learner and its leader.", packet)
    wanted = set(PACKETS.values()) - {"ping", "revalidate"}
    wanted |= {"ping_up", "ping_down", "revalidate_up", "revalidate_down"}
    if wanted - set(best):
        raise CannotRun(f"the ensemble did not send {sorted(wanted - set(best))}")


def capture_elections(tap):
    """What the observer and the leader, whose election port `tap` stands before, say first."""
    for up, down in tap.connections:
        if len(up) < 20:
            continue
        sid, length = struct.unpack_from(">qi", up, 8)
        asked, answered = list(frames(up[20 + length:])), list(frames(down))
        if sid == 3 and asked and answered:
            write("election_initial", "The first bytes of the observer's election connection.",
                  bytes(up[:20 + length]))
            write("election_notification_observer", "The observer's vote.", asked[0])
            write("election_notification", "The leader's answer to it.", answered[-1])
            return
    raise CannotRun("the observer did not ask the leader for its vote")


def capture_ensemble():
    """What servers say to each other."""
    with Ensemble() as ensemble:
        ensemble.start(1, 2)
        follower, observer = ensemble.servers[1], ensemble.servers[3]
        connect = struct.pack(">iqiq", 0, 0, 10_000, 0) + string(bytes(16)) + b"\x00"
        auth = struct.pack(">iii", -4, 100, 0) + string("digest") + string("bob:pw")
        acl = struct.pack(">ii", 1, 31) + string("world") + string("anyone")
        create = struct.pack(">ii", 1, 1) + string("/q") + string("hi") + acl + bytes(4)
        sync = struct.pack(">ii", 2, 9) + string("/q")
        response = raw_session(follower.port, connect, [auth, create, sync])[0]
        session, password = response[8:16], response[20:36]
        ensemble.start(3)
        # The same session, now on the observer: it asks the leader whether that is right.
        again = struct.pack(">iqi", 0, 0, 10_000) + session + string(password) + b"\x00"
        write_again = struct.pack(">ii", 3, 5) + string("/q") + string("ho") + b"\xff" * 4
        raw_session(observer.port, again, [write_again])
        # Learners are pinged every half tick, and tell then whom they have heard of.
        time.sleep(3)
        capture_learners(ensemble.taps[2][0])
        capture_elections(ensemble.taps[2][1])
    facts = (HERE / "facts.txt").read_text(encoding="utf-8")
    facts += f"quorum_session_id {struct.unpack('>q', session)[0]}\n"
    (HERE / "facts.txt").write_text(facts, encoding="utf-8")


class ScriptedLearner:
    """A learner of our own, unknown to the configuration, which the leader serves all the same."""

    def __init__(self, port, kind, sid):
        self.received = bytearray()
        self.seen = 0
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.kind, self.sid = kind, sid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, kind, zxid, data):
        """One packet without identities."""
        data = b"\xff" * 4 if data is None else string(data)
        self.sock.sendall(struct.pack(">iq", kind, zxid) + data + b"\xff" * 4)

    def await_packet(self, kind):
        """The next packet of this type; what comes before it is dropped."""
        while True:
            found = list(packets(self.received))
            for number in range(self.seen, len(found)):
                if found[number][0] == kind:
                    self.seen = number + 1
                    return found[number][1]
            piece = self.sock.recv(65536)
            if not piece:
                raise CannotRun(f"the leader left before a packet of type {kind}")
            self.received += piece

    def join(self, zxid):
        """From the first packet to UPTODATE, claiming to have everything up to `zxid`."""
        self.send(self.kind, 0, struct.pack(">qiq", self.sid, 0x10000, 0))
        epoch = struct.unpack_from(">q", self.await_packet(17), 4)[0]
        self.send(18, zxid, struct.pack(">i", 0))
        self.await_packet(10)
        self.send(3, epoch, None)
        self.await_packet(12)
        self.send(3, epoch, None)


def ensemble_of_one(properties, cfg):
    """A server that leads itself; and the port that its learners dial."""
    quorum_port, client_port = free_port(), free_port()
    members = {
        "server.1": f"127.0.0.1:{quorum_port}:{free_port()}:participant;127.0.0.1:{client_port}",
        "standaloneEnabled": "false", "reconfigEnabled": "true", "skipACL": "yes",
        "initLimit": 10, "syncLimit": 5, "clientPort": None, "clientPortAddress": None,
    }
    server = Server("apache", {**members, **cfg}, properties, port=client_port)
    (server.datadir / "myid").write_text("1", encoding="ascii")
    return server, quorum_port


def capture_reconfig():
    """What a leader sends when it is reconfigured, and to a learner that is ahead of it."""
    server, port = ensemble_of_one({}, {})
    with server, ScriptedLearner(port, 11, 8) as follower, ScriptedLearner(port, 16, 9) as observer:
        follower.join(0)
        observer.join(0)
        connect = struct.pack(">iqiq", 0, 0, 10_000, 0) + string(bytes(16)) + b"\x00"
        joining = string(f"server.7=127.0.0.1:{free_port()}:{free_port()}:observer;127.0.0.1:7")
        reconfig = struct.pack(">ii", 1, 16) + joining + b"\xff" * 8 + struct.pack(">q", -1)
        answers = raw_session(server.port, connect, [reconfig])
        if struct.unpack_from(">i", answers[1], 12)[0] != 0:
            raise CannotRun(f"reconfig was refused: {answers[1].hex()}")
        write("reply_reconfig_done", "The answer to a reconfig that adds an observer.", answers[1])
        while True:
            proposal = follower.await_packet(2)
            data = proposal[16:-4]
            if struct.unpack_from(">i", data, 28)[0] == 16:
                break
        write("txn_reconfig", "The transaction of a reconfig, from its proposal.", data)
        write("quorum_commit_and_activate", "The packet by which a leader commits a reconfig.",
              follower.await_packet(9))
        write("quorum_inform_and_activate", "The same, as an observer is told.",
              observer.await_packet(19))
        with ScriptedLearner(port, 16, 10) as ahead:
            ahead.send(16, 0, struct.pack(">qiq", 10, 0x10000, 0))
            epoch = struct.unpack_from(">q", ahead.await_packet(17), 4)[0]
            ahead.send(18, epoch + 1000, struct.pack(">i", 0))
            write("quorum_trunc", "What a learner is told that is ahead of its leader.",
                  ahead.await_packet(14))


def capture_sasl():
    """The leader's part of a SASL exchange."""
    with tempfile.TemporaryDirectory() as home:
        jaas = pathlib.Path(home) / "jaas.conf"
        module = "org.apache.zookeeper.server.auth.DigestLoginModule required"
        jaas.write_text(
            f'QuorumServer {{ {module} user_bob="pw"; }};\n'
            f'QuorumLearner {{ {module} username="bob" password="pw"; }};\n',
            encoding="ascii",
        )
        needed = ("enableSasl", "learnerRequireSasl", "serverRequireSasl")
        cfg = {f"quorum.auth.{key}": "true" for key in needed}
        properties = {"java.security.auth.login.config": jaas, "zookeeper.fips-mode": "false"}
        server, port = ensemble_of_one(properties, cfg)
        with server, socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(struct.pack(">qi", 0x5F2435013501EDCC, 0) + string(b""))
            answer = sock.makefile("rb")
            head = answer.read(16)
            token = answer.read(struct.unpack_from(">i", head, 12)[0])
            write("quorum_auth", "A leader's challenge in a SASL exchange.", head + token)


def main():
    """Captures everything."""
    try:
        capture_text()
        capture_standalone()
        capture_ensemble()
        capture_reconfig()
        capture_sasl()
    except (CannotRun, OSError, subprocess.SubprocessError) as error:
        print(f"could not capture: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
