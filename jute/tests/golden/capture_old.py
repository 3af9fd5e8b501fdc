#!/usr/bin/env python3
"""Captures the forms that only old releases write, from running servers of those releases.

    jute/tests/golden/capture_old.py      # needs java and, the first time, mvn

Log records come from the directories of standalone servers that a raw socket drove; what servers
said to each other in 3.3 and 3.4 comes from one real server and a peer of our own, which answers
its vote and lets itself be followed. Everything listens on 127.0.0.1.
"""

import socket
import struct
import subprocess
import sys

from capture import CannotRun, free_port, log_records, packets, raw_session, string, write
from old_servers import OldServer
from servers import Server

PATIENCE_S = 30
CONNECT = struct.pack(">iqiq", 0, 0, 10_000, 0) + string(bytes(16))
ACL = struct.pack(">ii", 1, 31) + string("world") + string("anyone")
CLOSE = struct.pack(">ii", 2, -11)


def create(path, flags):
    """A create of our session's, xid 1."""
    return struct.pack(">ii", 1, 1) + string(path) + string("hi") + ACL + struct.pack(">i", flags)


def logged(server, path, kind):
    """The body of the only record of that type in the log of a server on which a session made an
    ephemeral `path` and ended."""
    with server:
        answers = raw_session(server.port, CONNECT, [create(path, 1), CLOSE])
        if len(answers) != 3:
            raise CannotRun(f"the server answered {len(answers)} of 3 frames")
        server.stop()
        logs = list((server.datadir / "version-2").glob("log.*"))
        bodies = [record[12:-1] for log in logs for record in log_records(log)]
    bodies = [body for body in bodies if struct.unpack_from(">i", body, 28)[0] == kind]
    if len(bodies) != 1:
        raise CannotRun(f"{len(bodies)} records of type {kind}")
    return bodies[0]


def capture_logs():
    """Transactions in forms that today's server does not write."""
    body = logged(OldServer("3.3.6"), "/old", 1)
    write("txn_create_3_3", "The body of a create in the log of 3.3.6, an ephemeral /old.", body)
    body = logged(OldServer("3.5.10"), "/old", -11)
    write("txn_close_session_3_5", "The body of a closeSession in the log of 3.5.10.", body)
    switched_off = {"zookeeper.closeSessionTxn.enabled": "false"}
    body = logged(Server("apache", properties=switched_off), "/old", -11)
    sentence = "The body of a closeSession in the log of 3.9.5 with closeSessionTxn.enabled=false."
    write("txn_close_session_bare", sentence, body)


class ScriptedPeer:
    """Member 1 of two, for whom member 2, a real server, votes and whom it follows."""

    def __init__(self):
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for listener in self.listeners:
            listener.settimeout(PATIENCE_S)
        self.quorum_port, self.election_port = (x.getsockname()[1] for x in self.listeners)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.close()

    def member(self):
        """The value of our server line."""
        return f"127.0.0.1:{self.quorum_port}:{self.election_port}"

    def elected(self):
        """Takes part in one election; (first bytes of the connection, first vote)."""
        sock, _ = self.listeners[1].accept()
        sock.settimeout(PATIENCE_S)
        stream = sock.makefile("rb")
        initial = stream.read(8)
        vote = stream.read(struct.unpack(">i", stream.read(4))[0])
        their_round = struct.unpack_from(">q", vote, 20)[0]
        # LOOKING, for ourselves, with a newer history than the other's empty one.
        ours = struct.pack(">iqqqqi", 0, 1, 1 << 32, their_round, 1, 1)
        sock.sendall(struct.pack(">i", len(ours)) + ours)
        self.election = sock
        return initial, vote

    def followed(self):
        """The first packet of whoever follows us."""
        sock, _ = self.listeners[0].accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            received = b""
            while not list(packets(received)):
                piece = sock.recv(4096)
                if not piece:
                    raise CannotRun("the follower left before its first packet")
                received += piece
        self.election.close()
        return next(packets(received))[1]


def capture_peers():
    """The first words of servers of 3.3 and 3.4 to each other."""
    for version in ("3.3.6", "3.4.14"):
        with ScriptedPeer() as peer:
            members = {
                "server.1": peer.member(),
                "server.2": f"127.0.0.1:{free_port()}:{free_port()}",
                "initLimit": 10, "syncLimit": 5,
            }
            server = OldServer(version, cfg=members)
            try:
                (server.datadir / "myid").write_text("2", encoding="ascii")
                server.launch()
                initial, vote = peer.elected()
                info = peer.followed()
            finally:
                server.close()
        name = version.rpartition(".")[0].replace(".", "_")
        write(f"election_initial_{name}", f"How {version} begins an election connection.", initial)
        write(f"election_notification_{name}", f"The first vote of {version}.", vote)
        write(f"quorum_follower_info_{name}", f"The first packet of a follower of {version}.", info)


def main():
    """Captures everything."""
    try:
        capture_logs()
        capture_peers()
    except (CannotRun, OSError, subprocess.SubprocessError) as error:
        print(f"could not capture: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
