"""Clients that write through an ensemble without pause, whatever happens to its members.

A Writer creates numbered znodes one after the other over a raw session. When its connection ends
it tries the members again in turn, every few milliseconds, with the session it has; a write whose
reply was lost is repeated. What it was promised, and when, is kept for the test to judge.
"""

import itertools
import threading
import time

from session import Refused, Session
from wire import create, get_children, sync

RETRY_S = 0.005
# A member that accepts and says nothing for this long is given up for the next.
PATIENCE_S = 1.0
NODE_EXISTS = -110
# Errors after which the same write is tried again: the connection, or the member, is no good.
PASSING = {-4, -112, -118, -119}


class Writer(threading.Thread):
    """One client. `addresses` in the order of preference; `path` is its own."""

    def __init__(self, addresses, path, timeout_ms=30_000, pause_s=0.0, patience_s=PATIENCE_S):
        super().__init__(daemon=True)
        self.path = path
        self.timeout_ms = timeout_ms
        self.pause_s = pause_s
        self.patience_s = patience_s
        self.turns = itertools.cycle(addresses)
        self.address = next(self.turns)
        self.session = None
        # (number, zxid, when it was acknowledged); the zxid is 0 if a repetition found it done.
        self.acked = []
        self.sessions = []
        self.expired = 0
        self.problem = None
        self.wanted = None
        self.ending = threading.Event()

    def run(self):
        try:
            self.must_write(create(self.path))
            for number in itertools.count(1):
                if self.ending.is_set():
                    break
                zxid = self.must_write(create(f"{self.path}/{number}", b"%d" % number))
                if zxid is not None:
                    self.acked.append((number, zxid, time.monotonic()))
                self.follow_order()
                if self.pause_s:
                    self.ending.wait(self.pause_s)
        except (RuntimeError, ValueError) as error:
            self.problem = f"{self.path}: {error}"
        if self.session is not None:
            self.session.drop()

    def move_to(self, address):
        """Asks the writer to go on at another member after its next write."""
        self.wanted = address

    def follow_order(self):
        """Leaves the member if the writer was asked to."""
        wanted, self.wanted = self.wanted, None
        if wanted is not None and wanted != self.address:
            self.disconnect()
            self.address = wanted

    def must_write(self, request):
        """Repeats the request until it is done; returns its zxid, 0 if it was found done, None if
        the writer was told to end before."""
        lost = False
        while not self.ending.is_set():
            try:
                if self.session is None:
                    self.connect()
                before = self.session.zxid
                error = self.session.code(request)
                if error == 0:
                    return self.session.zxid if self.session.zxid > before else 0
                if error == NODE_EXISTS and lost:
                    return 0
                if error not in PASSING:
                    raise RuntimeError(f"{request.op} failed with {error}")
            except OSError:
                pass
            lost = True
            self.disconnect()
            self.ending.wait(RETRY_S)
        return None

    def connect(self):
        """A connection to the member whose turn it is, with the session if there is one."""
        known = self.sessions[-1] if self.sessions else (0, bytes(16), 0)
        try:
            self.session = Session(self.address, self.timeout_ms, *known, wait_s=self.patience_s)
        except Refused:
            self.expired += 1
            self.sessions.append((0, bytes(16), known[2]))
            raise
        if self.session.id != known[0]:
            self.sessions.append(None)
        self.remember()

    def remember(self):
        """Keeps what it takes to come back to the session."""
        self.sessions[-1] = (self.session.id, self.session.password, self.session.zxid)

    def disconnect(self):
        """Gives up the connection; the next one goes to the next member."""
        if self.session is not None:
            self.remember()
            self.session.drop()
            self.session = None
        self.address = next(self.turns)

    def end(self):
        """Stops writing; returns when the thread has ended."""
        self.ending.set()
        self.join(30)

    def longest_gap(self, since, until):
        """The longest time in s without an acknowledgement between two moments."""
        times = [at for _, _, at in list(self.acked) if since <= at <= until]
        return max(b - a for a, b in zip([since, *times], [*times, until]))

    def first_after(self, moment):
        """When the first write was acknowledged that was sent after `moment`, or None."""
        last = self.acked[-1:]
        if not last or last[0][2] <= moment:
            return None
        return next(at for _, _, at in list(self.acked) if at > moment)


def start_writers(members, count=3, prefix="/load", **more):
    """Writers that begin at different members."""
    addresses = [member.address for member in members]
    writers = []
    for number in range(count):
        at = number % len(addresses)
        writers.append(Writer(addresses[at:] + addresses[:at], f"{prefix}{number}", **more))
        writers[-1].start()
    deadline = time.monotonic() + 30
    while not all(len(one.acked) > 2 for one in writers):
        assert time.monotonic() < deadline, "the writers do not get going"
        time.sleep(0.02)
    return writers


def spread(writers, members):
    """Lets each writer go on at a member of its own, and waits until it has."""
    for number, writer in enumerate(writers):
        writer.move_to(members[number % len(members)].address)
    since, deadline = time.monotonic(), time.monotonic() + 10
    while not all(one.first_after(since + 0.1) for one in writers):
        assert time.monotonic() < deadline, "the writers do not move"
        time.sleep(0.02)


def end_writers(writers):
    """Ends all; returns what went wrong with one of them, or None."""
    for one in writers:
        one.ending.set()
    for one in writers:
        one.end()
    return next((one.problem for one in writers if one.problem), None)


def lost_writes(member, writers):
    """What of the writers' acknowledged work a member does not show, or None."""
    promised = [(writer.path, list(writer.acked)) for writer in writers]
    with Session(member.address) as session:
        session.must(sync("/"))
        for path, acked in promised:
            reader = session.must(get_children(path))
            names = {name.decode() for name in reader.vector(reader.buf)}
            missing = [number for number, _, _ in acked if str(number) not in names]
            if missing:
                return (f"{member.name}: {path}: {len(missing)} of {len(acked)} "
                        f"acknowledged writes are gone, first {missing[0]}")
    return None


def zxid_given_twice(writers):
    """Two acknowledged writes with one zxid are two leaders in one epoch; text, or None."""
    seen = {}
    for writer in writers:
        for number, zxid, _ in writer.acked:
            if zxid and zxid in seen:
                return f"0x{zxid:x}: {seen[zxid]} and {writer.path}/{number}"
            seen[zxid] = f"{writer.path}/{number}"
    return None
