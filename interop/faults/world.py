"""The ensemble under fault, the clients that never stop writing, and what is written down."""

import re
import threading
import time

from load import lost_writes, start_writers
from session import Session
from wire import exists, sync

TICK_S = 0.5
SYNC_LIMIT_S = 6 * TICK_S
# After a fault, some write must be acknowledged within this time: the limit after which a silent
# leader or follower is given up, an election, and a slow machine.
RECOVERY_S = SYNC_LIMIT_S + 9
# A leader without its quorum must have stopped being one after this time.
STEP_DOWN_S = SYNC_LIMIT_S + 4 * TICK_S + 2
# So long a follower tries to reach a leader that was elected and can't be reached.
INIT_LIMIT_S = 20 * TICK_S
WRITERS = 3
# How a log says that its server leads, and which epoch: Apache's tells the first zxid of it.
LEADS = {
    "apache": re.compile(r"starting up and setting last processed zxid: (0x[0-9a-f]+)"),
    "oxkeeper": re.compile(r"LEADING - LEADER ELECTION TOOK - \d+ MS, epoch (0x[0-9a-f]+)"),
}


class Chronicle(threading.Thread):
    """Who says, at any time, that it leads which epoch."""

    def __init__(self, ensemble):
        super().__init__(daemon=True)
        self.ensemble = ensemble
        self.leaders = {}
        self.ending = threading.Event()

    def run(self):
        while not self.ending.wait(0.04):
            for member in self.ensemble:
                if member.running and not member.suspended:
                    self.note(member, member.word("srvr", timeout_s=0.2))

    def note(self, member, text):
        """Keeps the epoch if the answer is a leader's."""
        told = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        if told.get("Mode") == "leader":
            self.leaders.setdefault(int(told["Zxid"], 16) >> 32, set()).add(member.sid)

    def read_logs(self):
        """Adds what the members' logs tell, also of what was too short to be seen."""
        for member in self.ensemble:
            for number in LEADS[member.kind].findall("\n".join(member.logged())):
                epoch = int(number, 16)
                epoch = epoch >> 32 if member.kind == "apache" else epoch
                self.leaders.setdefault(epoch, set()).add(member.sid)

    def contested(self):
        """Epochs that had two leaders, as text, or None."""
        bad = {epoch: sids for epoch, sids in self.leaders.items() if len(sids) > 1}
        return f"epochs with two leaders: {bad}" if bad else None


class World:
    """The ensemble under fault and the clients that never stop writing."""

    def __init__(self, ensemble):
        self.ensemble = ensemble
        self.writers = start_writers(ensemble.members, WRITERS, pause_s=0.01)
        self.chronicle = Chronicle(ensemble)
        self.chronicle.start()
        self.probes = 0

    leader = property(lambda self: self.ensemble.wait_leader(RECOVERY_S))

    @property
    def follower(self):
        """A follower."""
        return next(one for one in self.ensemble if one.role() == "follower")

    def probe(self, member):
        """A session at a member and the path of a write that is yet to be sent on it."""
        self.probes += 1
        return Session(member.address), f"/probe{self.probes}"

    def written(self, wait_s=RECOVERY_S):
        """Waits until every client has a write acknowledged that it may have sent after now."""
        since = time.monotonic()
        self.ensemble.wait(
            lambda: all(one.first_after(since + 0.1) or one.problem for one in self.writers),
            "an acknowledged write of every client", wait_s)

    def other_leader(self, old, wait_s=RECOVERY_S):
        """Waits until a member leads that is not `old`."""
        return self.ensemble.wait(
            lambda: next((one for one in self.ensemble
                          if one is not old and one.role() == "leader"), None),
            "another leader", wait_s)

    def settle(self):
        """Waits until all members are in, and returns what is wrong with what they have."""
        self.ensemble.wait_serving(wait_s=30)
        self.written()
        problems = [one.problem for one in self.writers] + [self.chronicle.contested()]
        problems += [lost_writes(member, self.writers) for member in self.ensemble]
        return "\n".join(problem for problem in problems if problem)

    def found(self, paths):
        """{member: those of the paths that it has}, after a sync."""
        found = {}
        for member in self.ensemble:
            with Session(member.address) as session:
                session.must(sync("/"))
                found[member] = {path for path in paths if session.code(exists(path)) == 0}
        return found

    def nowhere(self, *paths):
        """What is wrong if a member has a write that must not have happened."""
        for member, found in self.found(paths).items():
            if found:
                return f"{member.name} has {sorted(found)}, which no leader could acknowledge"
        return None

    def everywhere(self, paths):
        """What is wrong if a member lacks a write that was acknowledged."""
        for member, found in self.found(paths).items():
            if found != set(paths):
                return f"{member.name} lacks {sorted(set(paths) - found)}, acknowledged"
        return None
