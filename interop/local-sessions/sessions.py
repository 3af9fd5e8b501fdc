"""What a local session may do, as requests to one member of an ensemble and to its neighbours."""

import time

from client import Side
from wire import EPHEMERAL, SEQUENTIAL, add_watch, auth, check, close_session, create, create2
from wire import create_container, delete, exists, get_children2, get_data, get_ephemerals, multi
from wire import ping, set_data, set_watches, sync, who_am_i

# A member that is busy may take so long to end a session whose time is over.
EXPIRY_S = 60.0
SHORT_MS, LONG_MS = 4_000, 60_000
NO_NODE = -101


class LocalSide(Side):
    """One member of an ensemble, and the way to the others."""

    def __init__(self, ensemble, member, root):
        self.ensemble = ensemble
        self.upgrading = ensemble.cfg["localSessionsUpgradingEnabled"] == "true"
        super().__init__(member, root)

    def neighbour(self):
        """Another member, neither this one nor the leader."""
        return next(one for one in self.ensemble if one.sid in (1, 2) and one is not self.server)

    def connect(self, timeout_ms=LONG_MS, **fields):
        """As Side's, with a timeout that no test reaches."""
        return super().connect(timeout_ms, **fields)

    def resume(self, old, timeout_ms=LONG_MS, **fields):
        """As Side's."""
        return super().resume(old, timeout_ms, **fields)

    def elsewhere(self, act):
        """Does `act` with the connections it opens going to the neighbour."""
        self.address = self.neighbour().address
        try:
            return act()
        finally:
            self.address = self.server.address

    def follow(self, zxid):
        """Waits until member and neighbour have applied a transaction."""
        for member in (self.server, self.neighbour()):
            self.ensemble.wait(lambda one=member: int(one.srvr("Zxid") or "0", 16) >= zxid,
                               f"{member.name} at {zxid:#x}")

    def has_gone(self, session):
        """Whether the member knows nothing of a session any more."""
        dump = self.server.word("dump")
        return bool(dump) and f"{session & (2**64 - 1):#x}" not in dump

    def wait_pinging(self, connection, test, what):
        """Waits until a test comes true, and keeps a connection's session alive meanwhile."""
        deadline = time.monotonic() + EXPIRY_S
        while not test():
            assert time.monotonic() < deadline, f"{what}: not within {EXPIRY_S} s"
            # Not written down: how often there is time for it.
            connection.quietly(ping())
            time.sleep(0.2)


def life(side):
    """Writes, reads and watches; no transaction for the session itself."""
    one, two = side.connect(), side.connect()
    two.call(exists(side.path(), True))
    two.call(add_watch(side.path(), 1))
    one.pipeline(
        create(side.path(), b"0"), get_data(side.path()), set_data(side.path(), b"1"),
        create2(side.path("c")), get_children2(side.path()), set_data(side.path(), b"2", 9),
        delete(side.path("c")), sync("/"), exists(side.path()), get_ephemerals("/"),
        multi(set_data(side.path(), b"3", 1), check(side.path(), 2), create(side.path("d"))),
        ping(),
    )
    two.settle()
    one.close_session()
    two.call(exists(side.path()))
    side.resume(one).until_closed()


def ephemerals(side):
    """The first ephemeral needs a session that everybody knows."""
    one, two = side.connect(), side.connect()
    one.call(create(side.path()))
    one.call(create_container(side.path("container")))
    one.call(create(side.path("e"), b"x", flags=EPHEMERAL))
    one.call(create2(side.path("s-"), b"y", flags=EPHEMERAL | SEQUENTIAL))
    one.call(create(side.path("e/below")))
    one.call(create(side.path("nope/e"), flags=EPHEMERAL))
    one.call(get_ephemerals(side.path()))
    two.call(get_children2(side.path(), True))
    two.call(exists(side.path("e"), True))
    one.close_session()
    two.settle()
    two.call(get_children2(side.path()))
    side.resume(one).until_closed()


def failed_ephemeral(side):
    """A session counts as everybody's even if the ephemeral itself fails."""
    one = side.connect()
    one.call(create(side.path("nope/e"), flags=EPHEMERAL))
    one.call(create(side.path()))
    one.close_session()


def pipelined(side):
    """Ephemerals among other requests in flight."""
    one = side.connect()
    one.pipeline(
        create(side.path()), create(side.path("a")), exists(side.path("a")),
        create(side.path("e"), flags=EPHEMERAL), exists(side.path("e")), delete(side.path("a")),
        create(side.path("f"), flags=EPHEMERAL), get_ephemerals("/"), set_data(side.path(), b"z"),
    )
    one.close_session()


def ephemeral_in_a_multi(side):
    """An ephemeral in a multi."""
    one = side.connect()
    one.call(create(side.path()))
    one.call(multi(set_data(side.path(), b"1"), check(side.path(), 1)))
    one.call(multi(
        set_data(side.path(), b"2"), create(side.path("p")),
        create(side.path("e"), flags=EPHEMERAL), check(side.path(), 2),
    ))
    one.call(multi(create(side.path("f"), flags=EPHEMERAL)))
    one.call(get_children2(side.path()))
    one.close_session()


def coming_back(side):
    """The same member knows the session, another one does not, and asking harms nobody."""
    one = side.connect()
    one.call(create(side.path()))
    side.follow(one.last_zxid)
    side.elsewhere(lambda: side.resume(one)).until_closed()
    one.call(exists(side.path()))
    side.resume(one, password=bytes(16)).until_closed()
    again = side.resume(one)
    again.call(exists(side.path()))
    again.call(set_data(side.path(), b"again"))
    again.drop()
    third = side.resume(one, last_zxid=again.last_zxid)
    third.call(get_data(side.path()))
    third.close_session()


def moving_when_everybody_knows(side):
    """A session that has become everybody's moves with its ephemerals, where that is allowed."""
    one = side.connect()
    one.call(create(side.path()))
    one.call(create(side.path("e"), flags=EPHEMERAL))
    side.follow(one.last_zxid)
    other = side.elsewhere(lambda: side.resume(one))
    if not side.upgrading:
        other.until_closed()
        return
    other.call(get_ephemerals("/"))
    other.call(set_data(side.path("e"), b"moved"))
    # Its old connection may read, but a write ends it. A server may tell a session's requests by
    # their xids, so this one has its own.
    one.xid = 100
    one.raw(one.encode(set_data(side.path(), b"late")))
    one.until_closed()
    other.call(set_data(side.path("e"), b"still there"))


def staying_behind(side):
    """What is still answered on a connection that its session has left.

    By a leader: auth and the end of the session; anything else ends the connection. By another
    member: whatever its leader need not judge."""
    if not side.upgrading:
        return
    requests = (ping(), exists(side.path("e")), get_data(side.path("e")), who_am_i(), sync("/"),
                set_watches(0, data=[side.path("e")]), get_ephemerals("/"), close_session())
    owner = side.connect()
    owner.call(create(side.path()))
    for number, request in enumerate(requests):
        side.note(request.op)
        one = side.connect()
        one.call(create(side.path("e"), flags=EPHEMERAL))
        side.follow(one.last_zxid)
        other = side.elsewhere(lambda one=one: side.resume(one))
        other.call(set_data(side.path("e"), b"moved"))
        side.follow(other.last_zxid)
        # A server may tell a session's requests by their xids.
        one.xid = 100
        one.call(auth("digest", b"one:%d" % number))
        if request.op == "closeSession":
            one.raw(one.encode(request))
            one.until_closed()
            other.until_closed()
        else:
            one.call(request)
            one.call(ping())
            other.call(set_data(side.path("e"), b"still there"))
            other.close_session()
        one.drop()
        side.follow(max(one.last_zxid, other.last_zxid))
        owner.call(exists(side.path("e")))


def expiry(side):
    """A silent session is ended: by its member, or by the leader if everybody knows it."""
    watcher = side.connect()
    watcher.call(create(side.path()))
    silent, upgraded = side.connect(SHORT_MS), side.connect(SHORT_MS)
    lively = side.connect(SHORT_MS * 3)
    upgraded.call(create(side.path("e"), flags=EPHEMERAL))
    watcher.quietly(exists(side.path("e"), True))
    side.wait_pinging(lively, lambda: side.has_gone(silent.session), "the end of a local session")
    if side.upgrading:
        side.wait_pinging(
            lively, lambda: lively.quietly(exists(side.path("e"))) == NO_NODE,
            "the end of a session that everybody knows",
        )
    else:
        side.wait_pinging(
            lively, lambda: side.has_gone(upgraded.session), "the end of another local session")
    silent.until_closed()
    upgraded.until_closed()
    watcher.settle()
    watcher.call(get_children2(side.path()))
    side.resume(silent).until_closed()
    side.resume(upgraded).until_closed()


def restart(side):
    """A member that restarts has forgotten its local sessions, not the others."""
    local, upgraded = side.connect(), side.connect()
    local.call(create(side.path()))
    upgraded.call(create(side.path("e"), flags=EPHEMERAL))
    side.ensemble.stop(side.server.sid)
    local.until_closed()
    upgraded.until_closed()
    side.ensemble.start(side.server.sid)
    side.resume(local).until_closed()
    again = side.resume(upgraded)
    if again.session:
        again.call(get_ephemerals("/"))


TESTS = (
    life, ephemerals, failed_ephemeral, pipelined, ephemeral_in_a_multi, coming_back,
    moving_when_everybody_knows, staying_behind, expiry,
)
RESTARTS = (restart,)
