"""The links between members: one namespace a member, and proxy.py between them all."""

import json
import pathlib
import subprocess
import sys

import network

SUITE = pathlib.Path(__file__).resolve().parent


def place(member, members_max=3):
    """Gives a member its namespace and a wire to its clients. Its peers' addresses are in its own
    namespace, too: there proxy.py listens."""
    network.house(member)
    network.wire(member, "clients", network.CLIENTS)
    for sid in range(1, members_max + 1):
        network.run("ip", "-n", f"member{member.sid}", "addr", "add", f"{network.PEERS}.{sid}/32",
                    "dev", "lo")


class Links:
    """What the proxy is told."""

    def __init__(self, members):
        self.sids = [member.sid for member in members]
        ports = [{"sid": member.sid, "ports": [member.quorum_port, member.election_port]}
                 for member in members]
        self.process = subprocess.Popen(
            [sys.executable, str(SUITE / "proxy.py"), json.dumps(ports)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.heard()

    def heard(self):
        """The number in the proxy's answer."""
        word, _, number = self.process.stdout.readline().partition(" ")
        if word != "ok":
            raise RuntimeError("the proxy between the members has ended")
        return int(number)

    def tell(self, **rules):
        """Replaces the rules: nothing means that all is well. Returns how often the old ones held
        something up."""
        self.process.stdin.write(json.dumps(rules) + "\n")
        self.process.stdin.flush()
        return self.heard()

    def to(self, sid):
        """The ways on which a member hears."""
        return [(one, sid) for one in self.sids if one != sid]

    def of(self, sid):
        """The ways on which a member is heard."""
        return [(sid, one) for one in self.sids if one != sid]

    def close(self):
        """Ends the proxy."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
