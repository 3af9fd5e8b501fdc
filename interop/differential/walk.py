"""Seeded random walks: many requests of all kinds over a few pipelined connections.

A walk is decided by its seed alone, never by what a server answers, so that both servers get the
same bytes. One connection at a time sends a burst; then all connections receive what is on its way
to them. Requests whose answer is a matter of our own rule (see badinput/) are not generated.
"""

import os
import random

from scenarios import Scenario
from wire import CONTAINER, EPHEMERAL, OPEN, SEQUENTIAL, TTL
from wire import Request, add_watch, auth, buf, check, check_watches, create, create2
from wire import create_container, create_ttl, delete, exists, flag, get_acl
from wire import get_all_children_number, get_children, get_children2, get_data, get_ephemerals
from wire import i32, multi, multi_read, ping, remove_watches, set_acl, set_data, set_watches, sync
from wire import who_am_i

NAMES = ("a", "b", "c", "a/a", "a/b", "a/b/c", "b/a", "c/a", "c/a/a", "zookeeper", "a/b/c/a")
BAD_NAMES = ("/", "", "x", "//", "/.", "/a/", "/a/..", "/\0", "/zookeeper/config", "/nope/x/y")
ACLS = (
    OPEN, OPEN, OPEN, OPEN, OPEN, [(1, "world", "anyone")], [(30, "world", "anyone")],
    [(0, "world", "anyone")], [], [(31, "auth", "")], [(31, "ip", "127.0.0.1"), (1, "world", "anyone")],
    [(31, "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="), (5, "world", "anyone")],
    [(31, "nonsense", "x")], [(7, "world", "anyone"), (7, "world", "anyone")],
)
DATA = (None, b"", b"x", b"0123456789" * 10, bytes(2000))
# A member of an ensemble refuses by itself what it cannot parse; that takes no zxid there.
IN_AN_ENSEMBLE = bool(os.environ.get("OXKEEPER_ROLE"))
WRITES = {
    "create", "create2", "createContainer", "createTTL", "delete", "setData", "setACL", "multi",
}


class Walk:
    """One walk; everything it does comes out of its random generator."""

    def __init__(self, seed, side):
        self.random = random.Random(seed)
        self.enforced = enforced(seed)
        self.side = side
        self.connections = []

    def path(self):
        """A path, mostly below the walk's own node, now and then an odd one."""
        if self.random.random() < 0.06:
            return self.random.choice(BAD_NAMES)
        name = self.random.choice(NAMES)
        if self.random.random() < 0.05:
            name += "/%s%010d" % (self.random.choice("s-"), self.random.randrange(6))
        return self.side.path(name)

    def version(self):
        """Mostly any, else a small number."""
        return -1 if self.random.random() < 0.7 else self.random.randrange(4)

    def creation(self):
        """One of the creates, with flags that suit its opcode most of the time."""
        pick = self.random.random()
        path, data = self.path(), self.random.choice(DATA)
        acls = self.random.choice(ACLS)
        if pick < 0.1:
            return create_container(path, data, acls)
        if pick < 0.2:
            return create_ttl(path, self.random.choice((100_000, 2**39, 0, 2**40)), data, acls, TTL)
        flags = self.random.choice((0, 0, 0, 0, EPHEMERAL, SEQUENTIAL, 3, CONTAINER, 7))
        if IN_AN_ENSEMBLE and flags in (CONTAINER, 7):
            flags = 0
        if flags in (SEQUENTIAL, 3):
            path += "/s" if self.random.random() < 0.5 else "-"
        return (create if pick < 0.7 else create2)(path, data, acls, flags)

    def write(self):
        """One write that may also stand in a multi."""
        pick = self.random.random()
        if pick < 0.45:
            return self.creation()
        if pick < 0.65:
            return delete(self.path(), self.version())
        if pick < 0.95:
            return set_data(self.path(), self.random.choice(DATA), self.version())
        return check(self.path(), self.version())

    def read(self):
        """One read, every other time with a watch."""
        watch = self.random.random() < 0.5
        kind = self.random.choice((exists, exists, get_data, get_children, get_children2, None))
        if kind is not None:
            return kind(self.path(), watch)
        kind = self.random.choice((get_acl, sync, get_all_children_number, get_ephemerals))
        return kind(self.path())

    def watch_request(self):
        """One of the requests about watches."""
        pick = self.random.random()
        if pick < 0.4:
            return add_watch(self.path(), self.random.choice((0, 1, 0, 1, 2)))
        kind = self.random.choice((1, 2, 3, 4, 5, 3, 0))
        if pick < 0.8:
            return (check_watches if pick < 0.6 else remove_watches)(self.path(), kind)
        lists = [[self.path() for _ in range(self.random.randrange(3))] for _ in range(3)]
        # Nothing but deletions to catch up with: what a client may be told about a node that it may
        # not read is the subject of one scenario (watching.set_watches_and_acls).
        lists[1], relative = [], 2**40
        if pick < 0.9:
            return set_watches(relative, *lists)
        return set_watches(relative, *lists, persistent=[self.path()], recursive=[self.path()])

    def quota_request(self):
        """Makes, changes or removes one of the nodes of a quota on the walk's own node."""
        root = "/zookeeper/quota" + self.side.path()
        limits = self.random.choice((
            b"count=5,bytes=100", b"count=-1,bytes=-1=;byteHardLimit=3000;countHardLimit=8",
        ))
        return self.random.choice((
            create(root), create(root + "/zookeeper_limits", limits),
            create(root + "/zookeeper_stats", b"count=0,bytes=0"),
            set_data(root + "/zookeeper_limits", limits), delete(root + "/zookeeper_limits"),
            get_data(root + "/zookeeper_stats"), get_data(root + "/zookeeper_stats"),
        ))

    def request(self):
        """Any request."""
        pick = self.random.random()
        if pick < 0.35:
            one = self.write()
            # check is legal only inside a multi; alone it ends the connection.
            return exists(self.path(), True) if one.op == "check" else one
        if pick < 0.65:
            return self.read()
        if pick < 0.73:
            return multi(*[self.write() for _ in range(self.random.randrange(5))])
        if pick < 0.76:
            reads = (get_data, get_children)
            return multi_read(*[
                self.random.choice(reads)(self.path(), True) for _ in range(self.random.randrange(4))
            ])
        if pick < 0.86:
            return self.watch_request()
        if pick < 0.91:
            return set_acl(self.path(), self.random.choice(ACLS), self.version())
        if pick < 0.94:
            return self.quota_request()
        if pick < 0.96:
            # Not in a burst with others: its reply may overtake theirs.
            return ping()
        return self.random.choice((
            who_am_i(), Request("exists", buf(self.path())), Request("getData", flag(1)),
            Request("addWatch", buf("/") + i32(0)[:2]), ping(),
        ))

    def burst(self, connection):
        """Several requests in one write."""
        count = self.random.choice((1, 1, 2, 3, 8))
        requests = [self.request() for _ in range(count)]
        # Whether a write right behind a setACL is checked against the old list or the new one
        # depends on timing in Apache, and so does a quota's check of a write behind another write.
        racing = WRITES if self.enforced else {"setACL"}
        first = next((n for n, one in enumerate(requests) if one.op in racing), count)
        connection.pipeline(*requests[:first + 1])
        if first < count:
            # The same holds of a write that another member has been told of before the leader.
            self.side.applied_by_leader(connection.last_zxid)

    def step(self):
        """One thing that happens."""
        # A connection may have been closed by the server; that is in the transcript already.
        live = [one for one in self.connections if one.open]
        pick = self.random.random()
        if len(live) < 2 or (pick < 0.02 and len(live) < 5):
            self.connections.append(self.side.connect(self.random.choice((10_000, 30_000))))
            return
        connection = self.random.choice(live)
        if pick < 0.03:
            connection.close_session()
        elif pick < 0.045:
            self.connections.append(self.side.resume(connection))
            connection.until_closed()
        elif pick < 0.06:
            connection.call(auth("digest", self.random.choice((b"bob:pw", b"eve:pw", b"x"))))
        else:
            self.burst(connection)
        self.side.settle()


def enforced(seed):
    """Every other walk has quotas enforced."""
    return seed % 2 == 0


def scenario(seed, length):
    """The walk of a seed as a scenario on a server of its own."""

    def run(side):
        """Walks."""
        one = Walk(seed, side)
        first = side.connect()
        for name in ("", "a", "b", "a/b"):
            first.call(create(side.path(name), b"start"))
        one.connections.append(first)
        for number in range(length):
            side.note(f"step {number}")
            one.step()

    cfg = {"extendedTypesEnabled": "true", "enforceQuota": str(enforced(seed)).lower()}
    made = Scenario(run, cfg, {}, True)
    made.name = f"walk-{seed}"
    return made


def shortest_failing(seed, length, fails):
    """The least number of steps that still fails; the steps of a seed don't depend on it."""
    low, high = 1, length
    while low < high:
        middle = (low + high) // 2
        if fails(scenario(seed, middle)):
            high = middle
        else:
            low = middle + 1
    return low
