#!/usr/bin/env python3
"""Starts ensembles of ZooKeeper servers, Apache's and ours mixed at will, for the interop suites.

A library (`with Ensemble(["apache", "oxkeeper", "apache-3.8.6:observer"]) as ensemble:`) and a
command (`ensemble.py exec --kinds a,b,c -- COMMAND`); README.md beside the suites describes both.
A kind is `oxkeeper`, `apache` (3.9.5) or `apache-VERSION`, with `:observer` behind it for a member
that does not vote. Members are numbered from 1 in the order given.
"""

import argparse
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from releases import release_jars  # noqa: E402
from servers import (  # noqa: E402
    CANNOT_RUN, DEFAULT_CFG, CannotRun, Server, control_listener, four_letter_word,
    free_port, pair,
)

NEWEST = "3.9.5"
LEADER_S = 30
ROLES = ("leader", "follower", "observer")

# One setting for all members; a short tick makes for short elections and expiries.
ENSEMBLE_CFG = {
    **DEFAULT_CFG,
    "tickTime": "500",
    "initLimit": "20",
    "syncLimit": "6",
    "maxSessionTimeout": "60000",
    "extendedTypesEnabled": "true",
}
ENSEMBLE_PROPERTIES = {"zookeeper.preAllocSize": "64", "znode.container.checkIntervalMs": "1000"}


def stopped(task):
    """Whether the thread of this folder below /proc is stopped, or has ended."""
    try:
        return (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "TZX"
    except OSError:
        return True


class Member(Server):
    """One member; a Server whose zoo.cfg names the ensemble, and that may change its binary."""

    def __init__(self, sid, kind, cfg, properties):
        kind, _, role = kind.partition(":")
        self.sid = sid
        self.observer = role == "observer"
        self.version = NEWEST
        self.host = self.peer_host = "127.0.0.1"
        self.quorum_port, self.election_port = free_port(), free_port()
        self.suspended = False
        # Words in front of the command line, such as those that enter a network namespace.
        self.prefix = []
        super().__init__(kind.partition("-")[0], cfg, properties, free_port(), "INFO")
        self.become(kind)
        (self.datadir / "myid").write_text(f"{sid}\n", encoding="ascii")

    address = property(lambda self: (self.host, self.port))
    hostport = property(lambda self: f"{self.host}:{self.port}")
    running = property(lambda self: self.process is not None and self.process.poll() is None)
    name = property(lambda self: f"member {self.sid} ({self.kind_name})")

    @property
    def kind_name(self):
        """The kind as it was given, without the role."""
        return self.kind if self.version == NEWEST else f"{self.kind}-{self.version}"

    def become(self, kind):
        """Changes the binary that the next start runs: same directory, same zoo.cfg."""
        self.kind, _, version = kind.partition("-")
        self.version = version or NEWEST

    def server_line(self):
        """The member's line in everybody's zoo.cfg."""
        role = ":observer" if self.observer else ""
        return f"{self.peer_host}:{self.quorum_port}:{self.election_port}{role}"

    def command(self):
        """As Server's, with the jars of the member's release."""
        command, environment = super().command()
        if self.version != NEWEST:
            at = command.index("-cp") + 1
            folder, _ = command[at].split(os.pathsep)
            command[at] = f"{folder}{os.pathsep}{release_jars(self.version)}/*"
        return self.prefix + command, environment

    def end(self, number):
        """As Server's; a suspended process is woken, or it would not hear of a SIGTERM."""
        if self.running and number != signal.SIGKILL:
            self.resume()
        self.suspended = False
        return super().end(number)

    def stop(self):
        """As Server's; one that has ended by itself is stopped already."""
        if self.process is not None and not self.running:
            self.process = None
        return super().stop()

    def suspend(self):
        """Stops the process in its tracks; returns when no thread of it runs any more."""
        self.signal(signal.SIGSTOP)
        self.suspended = True
        deadline = time.monotonic() + 5
        while not all(stopped(task) for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not stop")
            time.sleep(0.001)

    def resume(self):
        """Lets a suspended process go on."""
        self.signal(signal.SIGCONT)
        self.suspended = False

    def word(self, word, timeout_s=2.0):
        """The answer to a four-letter word as text; empty if the member does not answer."""
        try:
            return four_letter_word(self.address, word, timeout_s).decode(errors="replace")
        except OSError:
            return ""

    def srvr(self, key):
        """A value from `srvr`, such as Mode or Zxid; None if there is none now."""
        for line in self.word("srvr").splitlines():
            if line.startswith(key + ": "):
                return line[len(key) + 2:]
        return None

    def role(self):
        """leader, follower, observer, read-only, or None while the member serves nobody."""
        return self.srvr("Mode") if self.running and not self.suspended else None

    def mntr(self):
        """The values of `mntr` by name."""
        lines = self.word("mntr").splitlines()
        return dict(line.split("\t", 1) for line in lines if "\t" in line)

    def logged(self, since=0):
        """The lines of the log from line number `since` on."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.splitlines()[since:]


class Ensemble:
    """Members that know each other. `cfg` adds or replaces zoo.cfg keys of all, `properties` Java
    system properties; `place` may move a member (set host, peer_host, prefix, datadir) before
    anybody's zoo.cfg is written. Nothing runs until start()."""

    def __init__(self, kinds, cfg=None, properties=None, place=None):
        self.cfg = {**ENSEMBLE_CFG, **(cfg or {})}
        properties = {**ENSEMBLE_PROPERTIES, **(properties or {})}
        self.members = []
        try:
            for sid, kind in enumerate(kinds, 1):
                self.members.append(Member(sid, kind, self.cfg, properties))
                if place is not None:
                    place(self.members[-1])
            for member in self.members:
                member.cfg = self.member_cfg(member)
        except BaseException:
            self.close()
            raise

    def member_cfg(self, member):
        """The member's zoo.cfg: the ensemble's, its own address, everybody's server line."""
        cfg = {**self.cfg, "clientPortAddress": member.host}
        if member.observer:
            cfg["peerType"] = "observer"
        return cfg | {f"server.{one.sid}": one.server_line() for one in self.members}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.close()

    def __getitem__(self, sid):
        return self.members[sid - 1]

    def __iter__(self):
        return iter(self.members)

    hosts = property(lambda self: ",".join(one.hostport for one in self.members))
    voters = property(lambda self: [one for one in self.members if not one.observer])
    running = property(lambda self: [one for one in self.members if one.running])

    def start(self, *sids, wait=True):
        """Starts these members (all, without a number) together, and waits until they serve."""
        chosen = [self[sid] for sid in sids] or self.members
        for member in chosen:
            member.launch()
        if wait:
            self.wait_serving(*sids)
        return self

    def start_led_by(self, sid, zxid_decides=False):
        """Starts all members so that `sid` wins the election: with one lower voter first, or, if
        `zxid_decides`, against a higher one that has seen less. Every member must be stopped."""
        voters = [one.sid for one in self.voters]
        lower = [one for one in voters if one < sid]
        higher = [one for one in voters if one > sid]
        if zxid_decides:
            # A higher leader gives `sid` an epoch and transactions that the highest never hears of.
            assert lower and higher and len(voters) == 3, "needs a member of three in the middle"
            self.start(lower[0], sid)
            self.wait_leader()
            self.stop()
            self.start(sid, higher[0])
        else:
            self.start(lower[-1], sid)
        assert self.wait_leader().sid == sid, f"member {sid} was not elected"
        self.start(*[one.sid for one in self.members if not one.running])
        return self

    def wait(self, test, what, wait_s=LEADER_S):
        """The first true value of test(); AssertionError after wait_s."""
        deadline = time.monotonic() + wait_s
        while True:
            value = test()
            if value:
                return value
            if time.monotonic() > deadline:
                roles = ", ".join(f"{one.name}: {one.role()}" for one in self.members)
                raise AssertionError(f"{what} not within {wait_s} s; {roles}")
            time.sleep(0.03)

    def wait_leader(self, wait_s=LEADER_S):
        """The member that leads, as soon as one does."""
        return self.wait(self.leader, "a leader", wait_s)

    def leader(self):
        """The member that leads now, or None."""
        return next((one for one in self.members if one.role() == "leader"), None)

    def wait_serving(self, *sids, wait_s=LEADER_S):
        """Waits until each of these members (all running ones) is part of the ensemble."""
        for member in [self[sid] for sid in sids] or self.running:
            self.wait(lambda one=member: one.role() in ROLES or self.ended(one),
                      f"{member.name} in the ensemble", wait_s)

    def ended(self, member):
        """Raises if the member's process has ended by itself."""
        if not member.running:
            status = member.process.returncode if member.process else "none"
            raise AssertionError(
                f"{member.name} has ended with status {status}:\n{member.log_tail(15)}")

    def stop(self, *sids, number=signal.SIGTERM):
        """Stops these members (all, without a number) at the same time."""
        chosen = [self[sid] for sid in sids] or self.members
        for member in chosen:
            if member.running:
                if number != signal.SIGKILL:
                    member.resume()
                member.signal(number)
        for member in chosen:
            member.stop()

    def kill(self, *sids):
        """kill -9 of these members (all, without a number) at the same time."""
        self.stop(*sids, number=signal.SIGKILL)

    def swap(self, sid, kind):
        """Stops a member and starts another binary on its directory; waits until it serves."""
        self[sid].stop()
        self[sid].become(kind)
        self.start(sid)

    def show_logs(self, lines=15):
        """Prints the end of every member's log, without what this program's own questions cause."""
        for member in self.members:
            told = [line for line in member.logged() if not line.startswith("\t")
                    and "Processing srvr" not in line and "four letter word" not in line
                    and "serves no clients now" not in line]
            tail = "\n    ".join(told[-lines:])
            print(f"  the log of {member.name} ends:\n    {tail}", file=sys.stderr)

    def close(self):
        """Stops all members and removes their directories."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(Server.close, self.members))


class Place(Ensemble):
    """An ensemble of which a test sees one member, with the face of a servers.Server: stop, kill
    and start are that member's. `kinds` are the others' or everybody's, `port` is the member's. A
    `dataDir` in `cfg` is not heeded: each member has its own."""

    def __init__(self, kind, role, beside=None, cfg=None, properties=None, port=None):
        beside = beside or kind
        # A leader has the highest id; followers and observers leave it to somebody else.
        kinds = {
            "leader": [beside, beside, kind],
            "follower": [kind, beside, beside],
            "observer": [beside, beside, f"{kind}:observer"],
        }[role]
        # What a client suite expects of a server is what its own cfg says, or the default.
        as_alone = {"maxSessionTimeout": None, "extendedTypesEnabled": None}
        # Nobody waits for a silent member to be noticed here, and a machine that is busy for some
        # seconds is no reason to elect.
        as_alone["syncLimit"] = "30"
        seldom = {"znode.container.checkIntervalMs": "60000"}
        cfg = {key: value for key, value in (cfg or {}).items() if key != "dataDir"}
        super().__init__(kinds, {**as_alone, **cfg}, {**seldom, **(properties or {})})
        self.role = role
        self.member = self.members[0 if role == "follower" else 2]
        self.member.port = port or self.member.port

    def __getattr__(self, name):
        # Everything that a Server has and an ensemble has not, such as address and log_tail.
        return getattr(self.__dict__["member"], name)

    def __enter__(self):
        return self.start()

    def start(self, *sids, wait=True):
        """Starts whatever does not run, in such an order that the member gets its role."""
        if sids or any(one.running for one in self.members):
            down = sids or [one.sid for one in self.members if not one.running]
            return super().start(*down, wait=wait) if down else self
        try:
            self.start_led_by(3 if self.role != "observer" else 2)
        except AssertionError as error:
            raise CannotRun(f"the ensemble did not start: {error}") from None
        return self

    def stop(self, *sids, number=signal.SIGTERM):
        """Stops the member; all of them at the start and at the end."""
        super().stop(*(sids or [self.member.sid]), number=number)

    def kill(self, *sids):
        """Kills the member."""
        self.stop(*sids, number=signal.SIGKILL)

    def restart(self):
        """Stops the member and starts it again."""
        self.stop()
        return self.start()

    def environment(self):
        """The variables a test finds in its environment."""
        return {**self.member.environment(), "ZK_HOSTS": self.hosts, "ZK_ROLE": self.role}


def chosen_member(ensemble, which):
    """The running member that `which` means: a number, or the first with that role."""
    if which.isdigit():
        return ensemble[int(which)]
    found = [one for one in ensemble if one.role() == which]
    if not found:
        raise CannotRun(f"no member is {which}")
    return found[0]


def run_command(options):
    """`ensemble.py exec`: an ensemble around a command."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise CannotRun("nothing to run: give a command after --")
    with Ensemble(options.kinds.split(","), dict(options.cfg), dict(options.property)) as ensemble:
        ensemble.start()
        member = chosen_member(ensemble, options.member)
        listener = control_listener(member)
        environment = {
            **os.environ, **member.environment(), "ZK_HOSTS": ensemble.hosts,
            "ZK_ROLE": member.role(), "ZK_CONTROL": "127.0.0.1:%d" % listener.server_address[1],
        }
        status = subprocess.run(command, env=environment, check=False).returncode
        if status != 0 and options.verbose:
            ensemble.show_logs()
        return status if status >= 0 else 1


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    around = verbs.add_parser("exec", help="run a command with an ensemble beside it")
    around.add_argument("--kinds", default="oxkeeper,oxkeeper,oxkeeper",
                        help="comma-separated: oxkeeper, apache, apache-VERSION, each [:observer]")
    around.add_argument("--member", default="leader",
                        help="which one ZK_HOSTPORT and ZK_CONTROL mean: a number or a role")
    around.add_argument("--cfg", type=pair, action="append", default=[], metavar="KEY=VALUE")
    around.add_argument("--property", type=pair, action="append", default=[], metavar="NAME=VALUE")
    around.add_argument("--verbose", action="store_true", help="show the logs on failure")
    around.add_argument("command", nargs=argparse.REMAINDER)
    try:
        return run_command(parser.parse_args())
    except (AssertionError, CannotRun) as error:
        print(f"could not run: {error}", file=sys.stderr)
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main())
