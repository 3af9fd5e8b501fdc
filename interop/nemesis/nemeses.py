"""What is done to the members. Each nemesis is a function of the world that does its harm, keeps it
up for a while and takes it back; where it strikes is drawn from the seed."""

import shutil
import time

import disk
from clock import set_ahead
from session import Session
from wire import create, get_data

# Longer than the silence after which leaders and followers give each other up (syncLimit).
HOLD_S = 4.5
SHORT_S = 1.0
JUMP_S = 3600
DELAY_S = 0.06
SLOW_SYNC_S = 0.15
SLOW_READER_BYTES_S = 400
# So long the clients may take to fill what a log has allocated ahead.
FULL_S = 40
# So long a member on a damaged disk has to find its way back by itself.
BACK_S = 12


def killed(world, members):
    """kill -9, and back."""
    world.ensemble.kill(*[one.sid for one in members])
    time.sleep(SHORT_S)


def paused(world, members, hold_s=HOLD_S):
    """Stopped in their tracks."""
    for one in members:
        one.suspend()
    time.sleep(hold_s)
    for one in members:
        one.resume()


def linked(world, **rules):
    """The links as they are told, for a while."""
    world.links.tell(**rules)
    time.sleep(HOLD_S)
    assert world.links.tell() > 0, "nothing was under way between the members"


def kill_one(world):
    """kill -9 of a member."""
    killed(world, [world.victim()])


def kill_leader(world):
    """kill -9 of the leader."""
    killed(world, [world.leader()])


def kill_all(world):
    """kill -9 of everybody."""
    killed(world, world.ensemble.members)


def pause_one(world):
    """SIGSTOP of a member."""
    paused(world, [world.victim()])


def pause_leader(world):
    """SIGSTOP of the leader."""
    paused(world, [world.leader()])


def pause_all(world):
    """SIGSTOP of everybody, for longer than sessions last."""
    paused(world, world.ensemble.members, 7.0)


def isolate_one(world):
    """A member and its peers don't hear each other."""
    sid = world.victim().sid
    linked(world, cut=world.links.to(sid) + world.links.of(sid))


def isolate_leader(world):
    """The leader and its peers don't hear each other."""
    sid = world.leader().sid
    linked(world, cut=world.links.to(sid) + world.links.of(sid))


def bridge(world):
    """The leader and a follower don't hear each other, and the third member both. Two followers
    would have nothing to say."""
    one, other = world.leader().sid, world.follower().sid
    linked(world, cut=[(one, other), (other, one)])


def blind_node(world):
    """A member hears nobody; everybody hears it."""
    linked(world, cut=world.links.to(world.victim().sid))


def blind_others(world):
    """Nobody hears a member; it hears everybody."""
    linked(world, cut=world.links.of(world.victim().sid))


def delayed(world):
    """All that members say to each other is late."""
    linked(world, delay=DELAY_S)


def slow_reader(world):
    """A follower takes in slowly what its leader says."""
    leader, follower = world.leader(), world.follower()
    linked(world, rate=[(leader.sid, follower.sid, SLOW_READER_BYTES_S)])


def clock_jump(world):
    """The time of day jumps an hour, there and back, on one member, and on all."""
    leader = world.leader()
    for members in ([leader], world.ensemble.members):
        ahead = world.random.choice((-JUMP_S, JUMP_S))
        for one in members:
            set_ahead(one, ahead)
        seen_s = seen_ahead(world, leader)
        assert seen_s is None or abs(seen_s - ahead) < JUMP_S / 2, f"it jumped {seen_s} s"
        time.sleep(HOLD_S / 2)
    for one in world.ensemble:
        set_ahead(one, 0)


def seen_ahead(world, leader):
    """How far ahead of ours the time is that the leader gives to a new znode; None if it leads no
    more."""
    path = f"/clock-{world.random.getrandbits(60):x}"
    try:
        with Session(leader.address) as session:
            session.must(create(path))
            stat = session.must(get_data(path))
    except (OSError, RuntimeError):
        return None
    stat.buf()
    stat.i64(), stat.i64()
    ctime_ms = stat.i64()
    return ctime_ms / 1000 - time.time() if leader.role() == "leader" else None


def disk_full(world):
    """No byte is free on a member's disk, and then there is room again."""
    victim = world.victim()
    disk.fill(victim)
    world.ensemble.wait(lambda: victim.role() not in ("leader", "follower"),
                        "the member with a full disk to give up", FULL_S)
    time.sleep(SHORT_S)
    disk.mend(victim)


def sync_fails(world):
    """A member's next fdatasync fails with EIO."""
    victim = world.victim()
    before = disk.acted(victim)
    disk.fail_once(victim)
    world.ensemble.wait(lambda: disk.acted(victim) > before, "a sync that fails", 20)
    time.sleep(SHORT_S)
    disk.mend(victim)


def disk_slow(world):
    """Each sync of a member takes long."""
    victim = world.victim()
    disk.slow(victim, SLOW_SYNC_S)
    time.sleep(HOLD_S)
    disk.mend(victim)


def flip_log(world):
    """A byte of a stopped member's newest log is not what it was."""
    damaged(world, "log.")


def flip_snapshot(world):
    """A byte of a stopped member's newest snapshot is not what it was."""
    damaged(world, "snapshot.")


def flip_both(world):
    """A byte of each."""
    damaged(world, "log.", "snapshot.")


def data_deleted(world):
    """A stopped member's data is gone."""
    victim = stopped(world)
    shutil.rmtree(victim.datadir / "version-2")
    world.ensemble.start(victim.sid, wait=False)


def stopped(world):
    """A member that is down while the two others have everything that was acknowledged: they serve,
    and every later write is on both of them."""
    victim = world.victim()
    world.ensemble.kill(victim.sid)
    world.others_serve(victim)
    return victim


def damaged(world, *prefixes):
    """Starts a member whose newest files were damaged. A server that can't trust its disk may stop:
    then an operator takes the data away."""
    victim = stopped(world)
    for prefix in prefixes:
        flip(world, victim, prefix)
    world.ensemble.start(victim.sid, wait=False)
    try:
        world.ensemble.wait_serving(victim.sid, wait_s=BACK_S)
        return
    except AssertionError:
        pass
    world.note("refused its damaged data; taken away")
    world.ensemble.kill(victim.sid)
    shutil.rmtree(victim.datadir / "version-2")
    world.ensemble.start(victim.sid, wait=False)


def flip(world, victim, prefix):
    """Changes one random byte of the newest file that begins with `prefix`."""
    files = [file for file in victim.datadir.glob(f"version-2/{prefix}*")
             if not file.name.endswith(".tmp")]
    if not files:
        world.note(f"no {prefix} yet")
        return
    newest = max(files, key=lambda file: int(file.name.rpartition(".")[2], 16))
    content = bytearray(newest.read_bytes())
    used = len(content.rstrip(b"\0"))
    if used:
        content[world.random.randrange(used)] ^= world.random.randrange(1, 256)
        newest.write_bytes(content)


ALL = (kill_one, kill_leader, kill_all, pause_one, pause_leader, pause_all, isolate_one,
       isolate_leader, bridge, blind_node, blind_others, delayed, slow_reader, clock_jump,
       disk_full, sync_fails, disk_slow, flip_log, flip_snapshot, flip_both, data_deleted)
