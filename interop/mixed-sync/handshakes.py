"""What learners and leaders say to each other before they work together, Apache's and ours."""

import itertools
import shutil

from ensemble import Ensemble
from packets import Learner, Tap, encoded, epoch_start, learner_info
from session import Session
from wire import Reader, create, i32, set_data

# A leader keeps no fewer than 500 transactions in memory; of the log on disk it gives all, here.
PROPERTIES = {"zookeeper.commitLogCount": "500", "zookeeper.snapshotSizeFactor": "0"}
# Member 1 is a quorum, and member 2, which never runs, has a vote that weighs nothing.
ALONE = {"group.1": "1:2", "weight.1": "1", "weight.2": "0"}
# How many transactions each epoch has, beside those of the session that makes them.
EPOCHS = (120, 620, 30)
SNAPS_MAX = 10
PATIENCE_S = 60


def said_by_followers(ours):
    """A follower of ours and one of Apache's say the same bytes to Apache's leader: in their first
    connection, and in the next one, where they have promised the epoch before."""
    with Ensemble([ours, "apache", "apache"]) as ensemble:
        leader = ensemble[3]
        taps = {sid: Tap((leader.peer_host, leader.quorum_port)) for sid in (1, 2)}
        try:
            for sid, tap in taps.items():
                line = f"127.0.0.1:{tap.port}:{leader.election_port}"
                ensemble[sid].cfg["server.3"] = line
            ensemble.start_led_by(3)
            epoch = int(leader.srvr("Zxid"), 16) >> 32
            with Session(leader.address) as session:
                session.must(create("/said"))
            ensemble.wait(lambda: len({one.srvr("Zxid") for one in ensemble}) == 1,
                          "the same zxid on all members", PATIENCE_S)
            for sid in taps:
                problem = both_connections(ensemble, sid, taps[sid], epoch)
                if problem:
                    return f"{ensemble[sid].name}: {problem}"
        finally:
            for tap in taps.values():
                tap.close()
    return None


def both_connections(ensemble, sid, tap, epoch):
    """What is wrong with what one follower says before and after its connection is cut."""
    first = complete(ensemble, tap, 0)
    last = int(ensemble[sid].srvr("Zxid"), 16)
    connections = len(tap.said)
    tap.cut()
    again = complete(ensemble, tap, connections)
    ensemble.wait_serving(sid, wait_s=PATIENCE_S)
    # Where a leader was lost before it was established, an epoch has been promised already.
    promised = 0 if first == 0 else Reader(tap.packets(first)[0][4:]).i64() >> 32
    for number, before, zxid in ((first, promised, 0), (again, epoch, last)):
        vote = -1 if before == epoch else 0
        wanted = [encoded("FOLLOWERINFO", epoch_start(before), learner_info(sid)),
                  encoded("ACKEPOCH", zxid, i32(vote)), *[encoded("ACK", epoch_start(epoch))] * 2]
        said = tap.packets(number)[:4]
        if said != wanted:
            return (f"connection {number}: {[one.hex() for one in said]}, "
                    f"not {[one.hex() for one in wanted]}")
    return None


def complete(ensemble, tap, since):
    """The first connection, not before that number, in which the follower came to its place."""
    def found():
        numbers = range(since, len(tap.said))
        return [number for number in numbers if len(tap.packets(number)) >= 4]
    return ensemble.wait(found, "a follower's first words", PATIENCE_S)[0]


# ---- what a leader offers ----

def history(ensemble):
    """Three epochs of transactions by member 1; the last zxid of each. Nobody runs in the
    end."""
    lasts = []
    for number, count in enumerate(EPOCHS):
        ensemble.start(1)
        session = Session(ensemble[1].address, 60_000)
        session.send(create(f"/epoch{number}"),
                     *(set_data(f"/epoch{number}", b"%d" % at) for at in range(1, count)))
        for _ in range(count):
            assert session.reply()[0] == 0, "a write failed"
        # Or it would end while learners are asking.
        session.close()
        lasts.append(session.zxid)
        ensemble.kill(1)
    return lasts


def positions(lasts, leads):
    """(zxid, epoch) of learners that stand anywhere in that history, or beside it; `leads` is the
    epoch of whoever leads. Left out is one: Apache's leader takes the beginning of its epoch for
    its last transaction, and gives no snapshot to a learner that says the same."""
    newest = lasts[-1]
    kept = lasts[1] - (500 - (newest & 0xffffffff)) + 1
    zxids = [0, newest - 1, newest, newest + 1, newest + 1000]
    zxids += [kept + offset for offset in (-2, -1, 0, 1)]
    for last in lasts:
        start = last >> 32 << 32
        zxids += [start, start + 1, start + 10, last, last + 5]
    zxids += [epoch_start(leads) + 7, epoch_start(leads + 3), epoch_start(leads + 3) + 7]
    return [(zxid, min(zxid >> 32, leads)) for zxid in dict.fromkeys(zxids)]


def runs(packets):
    """Packets in a few words: those of one kind whose zxids are next to each other are one."""
    words, proposed = [], None
    for one in packets:
        if one.kind in ("PROPOSAL", "COMMIT") and words and proposed == one.zxid - 1:
            words[-1] = words[-1].partition("..")[0] + f"..{one.zxid:x}"
        elif one.kind != "COMMIT" or proposed != one.zxid:
            words.append(one.kind if one.zxid is None else f"{one.kind} {one.zxid:x}")
        if one.kind in ("PROPOSAL", "COMMIT"):
            proposed = one.zxid
    return words


def offers(ensemble, lasts):
    """What the running leader offers to a learner at each position, by position and role."""
    leader, sids = ensemble[1], itertools.count(100)
    leads = (lasts[-1] >> 32) + 1
    answers = {}
    for zxid, epoch in positions(lasts, leads):
        for kind in ("FOLLOWERINFO", "OBSERVERINFO"):
            with Learner((leader.peer_host, leader.quorum_port), next(sids), kind) as learner:
                packets = learner.offered(zxid, epoch)
            if packets[0].kind == "SNAP":
                # Before its first transaction Apache's leader names the beginning of its epoch.
                packets[0] = packets[0]._replace(zxid=None)
            answers[f"{kind} {zxid:x}"] = packets
    return answers


def throttled(ensemble, lasts):
    """The running leader gives snapshots to so many observers at a time and no more; a voter gets
    one nevertheless, and so does a follower that nobody knows; another observer when there is room
    again."""
    leader, learners = ensemble[1], []
    # Who claims to be at the beginning of an epoch to come gets nothing but a snapshot.
    leads = (lasts[-1] >> 32) + 1

    def ask(kind="OBSERVERINFO", sid=None):
        sid = sid or 500 + len(learners)
        learner = Learner((leader.peer_host, leader.quorum_port), sid, kind)
        learners.append(learner)
        try:
            packets = learner.offered(epoch_start(leads + 3), leads)
        except ConnectionError:
            return None
        assert packets[0].kind == "SNAP", f"not a snapshot: {runs(packets)}"
        return packets[-1]

    try:
        given = [ask() for _ in range(SNAPS_MAX)]
        assert all(given), f"{leader.name} gives {given.index(None)} snapshots at a time"
        assert ask() is None, f"{leader.name} gives more than {SNAPS_MAX} snapshots"
        assert ask("FOLLOWERINFO", 2), f"{leader.name} turns a voter away"
        assert ask("FOLLOWERINFO"), f"{leader.name} turns a follower without a vote away"
        for learner, new_leader in zip(learners[:3], given):
            learner.acknowledge(new_leader)
        ensemble.wait(lambda: ask(), "a snapshot when there is room", PATIENCE_S)
    finally:
        for learner in learners:
            learner.close()


def offered_by_leaders(ours):
    """Apache's leader and ours, each on the same directory with the same ports, offer the same to
    learners in every position, and turn the same number away."""
    with Ensemble([ours, ours], ALONE, PROPERTIES) as ensemble:
        leader = ensemble[1]
        lasts = history(ensemble)
        aside = leader.home / "aside"
        shutil.copytree(leader.datadir, aside)
        answers = []
        for kind in ("apache", ours):
            shutil.rmtree(leader.datadir)
            shutil.copytree(aside, leader.datadir)
            leader.become(kind)
            ensemble.start(1)
            answers.append(offers(ensemble, lasts))
            throttled(ensemble, lasts)
            ensemble.kill(1)
        apaches, others = answers
        different = [f"{at}: Apache {runs(apaches[at])}, {ours} {runs(others[at])}"
                     for at in apaches if apaches[at] != others[at]]
        kinds = {packets[0].kind for packets in apaches.values()}
        assert kinds == {"DIFF", "TRUNC", "SNAP"}, f"only {kinds} came up"
        return "\n".join(different)


CASES = (("what followers say first", said_by_followers),
         ("what leaders offer in every position", offered_by_leaders))
