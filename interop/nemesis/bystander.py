"""A session that only pings, and must not expire while its member belongs to a quorum."""

import itertools
import threading
import time

from session import Refused, Session
from wire import create, set_data

TIMEOUT_MS = 6_000
BEAT_S = 0.25
# A follower passes its sessions' signs of life on when the leader pings it, every half tick. A
# write that is done this much later proves that it was heard since; and as much again for a machine
# that is busy.
PASSED_ON_S, SPARE_S = 1.0, 1.0
PATIENCE_S = 1.5


class Bystander(threading.Thread):
    """One session that pings at one member after the other, as its connections break; another one
    writes at the same member, to know whether that belongs to the quorum."""

    def __init__(self, members, first):
        super().__init__(daemon=True)
        addresses = [member.address for member in members]
        self.turns = itertools.cycle(addresses[first:] + addresses[:first])
        self.number = first + 1
        self.ending = threading.Event()
        self.expired, self.wrongly = 0, []
        self.session = self.companion = None
        # Session, password, last zxid; and when a ping was sent that the quorum knows of.
        self.known = (0, bytes(16), 0)
        self.heard = None

    def run(self):
        while not self.ending.is_set():
            try:
                self.connect(next(self.turns))
                self.stay()
            except Refused:
                self.count()
            except (OSError, ValueError, RuntimeError):
                pass
            self.drop()
            self.ending.wait(0.05)

    def connect(self, address):
        """To a member, with the session if there is one."""
        self.session = Session(address, TIMEOUT_MS, *self.known, wait_s=PATIENCE_S)
        if self.session.id != self.known[0]:
            self.heard = None
        self.remember()
        self.companion = Session(address, TIMEOUT_MS, wait_s=PATIENCE_S)
        self.companion.code(create(f"/bystander{self.number}"))

    def remember(self):
        """What it takes to come back."""
        self.known = (self.session.id, self.session.password, self.session.zxid)

    def stay(self):
        """Pings, and only pings, as long as the connection holds."""
        pinged = []
        while not self.ending.wait(BEAT_S):
            now = time.monotonic()
            self.session.ping()
            pinged.append(now)
            written = time.monotonic()
            self.companion.must(set_data(f"/bystander{self.number}", b""))
            while pinged and pinged[0] < written - PASSED_ON_S:
                self.heard = pinged.pop(0)

    def count(self):
        """The session has expired; was that right?"""
        silent_s = time.monotonic() - self.heard if self.heard else None
        if self.known[0]:
            self.expired += 1
        if silent_s is not None and silent_s < TIMEOUT_MS / 1000 - SPARE_S:
            self.wrongly.append(f"the pinging session 0x{self.known[0]:x} expired {silent_s:.2f} s "
                                "after a ping that its quorum had heard of")
        self.known, self.heard = (0, bytes(16), 0), None

    def expire_now(self):
        """What it would be if the session had expired right after a ping."""
        self.heard = time.monotonic()
        self.count()

    def drop(self):
        """Gives both connections up; the companion's session with them."""
        for one in (self.session, self.companion):
            if one is not None:
                one.drop()
        self.session = self.companion = None
