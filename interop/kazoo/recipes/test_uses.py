"""The uses of ZooKeeper that people read about, each one short running example in Python."""

import bisect
import datetime
import hashlib
import queue
import threading
import uuid

from kazoo.exceptions import LockTimeout
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

import pytest

WAIT_S = 15


def fresh(name):
    """A path nobody else uses."""
    return f"/{name}-{uuid.uuid4().hex}"


def heard(events):
    """The next event, or a failure when none comes."""
    return events.get(timeout=WAIT_S)


def test_configuration_is_pushed_to_everyone_who_watches_it(connect):
    """A configuration is one node; programs keep a copy and are told when it changes. The version
    in the node's Stat says which of two copies is newer, and guards a change made from an old one."""
    path, operator, program = fresh("config"), connect(), connect()
    operator.create(path, b"threads=4")
    seen = queue.Queue()
    DataWatch(program, path, lambda data, stat: seen.put((data, stat and stat.version)))
    assert heard(seen) == (b"threads=4", 0)
    operator.set(path, b"threads=8", version=0)
    assert heard(seen) == (b"threads=8", 1)


def test_lock_has_one_holder_and_a_queue(connect):
    """Contenders create ephemeral sequential nodes; the lowest number holds the lock and each
    waits only for the one before it."""
    path, first, second = fresh("lock"), connect(), connect()
    one, two = first.Lock(path, "one"), second.Lock(path, "two")
    assert one.acquire(timeout=WAIT_S)
    with pytest.raises(LockTimeout):
        two.acquire(timeout=0.2)
    got = threading.Event()
    waiter = threading.Thread(target=lambda: two.acquire(timeout=WAIT_S) and got.set())
    waiter.start()
    one.release()
    waiter.join(WAIT_S)
    assert got.is_set() and two.contenders() == ["two"]
    two.release()


def test_lock_is_freed_when_its_holder_vanishes(connect):
    """The holder's node is ephemeral: when its session ends, the next in line goes on."""
    path, first, second = fresh("lock"), connect(), connect()
    assert first.Lock(path).acquire(timeout=WAIT_S)
    first.stop()
    assert second.Lock(path).acquire(timeout=WAIT_S)


def test_read_locks_share_and_a_write_lock_excludes(connect):
    """Readers wait only for writers before them."""
    path, one, two, three = fresh("rw"), connect(), connect(), connect()
    assert one.ReadLock(path).acquire(timeout=WAIT_S)
    assert two.ReadLock(path).acquire(timeout=WAIT_S)
    assert not three.WriteLock(path).acquire(blocking=False)


def test_semaphore_counts_leases(connect):
    """At most `max_leases` holders at a time."""
    path, client = fresh("semaphore"), connect()
    holders = [client.Semaphore(path, max_leases=2) for _ in range(3)]
    assert holders[0].acquire(timeout=WAIT_S) and holders[1].acquire(timeout=WAIT_S)
    assert not holders[2].acquire(blocking=False)
    holders[0].release()
    assert holders[2].acquire(timeout=WAIT_S)


def test_election_has_one_leader_and_a_successor(connect):
    """Everybody runs; the winner leads until it leaves, then the next in line leads."""
    path, events = fresh("election"), queue.Queue()
    leave = {"one": threading.Event(), "two": threading.Event()}

    def lead(name):
        events.put(name)
        leave[name].wait(WAIT_S)

    runners = []
    for name in ("one", "two"):
        election = connect().Election(path, name)
        runners.append(threading.Thread(target=election.run, args=(lead, name)))
    runners[0].start()
    assert heard(events) == "one"
    runners[1].start()
    leave["one"].set()
    assert heard(events) == "two"
    leave["two"].set()
    for runner in runners:
        runner.join(WAIT_S)


def test_queue_hands_out_in_order_of_priority_then_arrival(connect):
    """Entries are sequential nodes; the number keeps the order of arrival."""
    path, client = fresh("queue"), connect()
    entries = client.Queue(path)
    entries.put(b"later")
    entries.put(b"later still")
    entries.put(b"first", priority=1)
    assert [entries.get() for _ in range(4)] == [b"first", b"later", b"later still", None]


def test_locking_queue_keeps_an_entry_until_it_is_consumed(connect):
    """A consumer that vanishes does not take its entry along."""
    path, first, second = fresh("queue"), connect(), connect()
    one, two = first.LockingQueue(path), second.LockingQueue(path)
    one.put(b"job")
    assert one.get(timeout=WAIT_S) == b"job"
    first.stop()
    assert two.get(timeout=WAIT_S) == b"job"
    assert two.consume() and len(two) == 0


def test_barrier_holds_until_it_is_removed(connect):
    """A node that is there means: wait."""
    path, one, two = fresh("barrier"), connect(), connect()
    Barrier(one, path).create()
    assert not Barrier(two, path).wait(timeout=0.2)
    Barrier(one, path).remove()
    assert Barrier(two, path).wait(timeout=WAIT_S)


def test_double_barrier_starts_and_ends_together(connect):
    """Nobody enters before all are there; nobody leaves before all are done."""
    path, inside, outside = fresh("double"), queue.Queue(), queue.Queue()

    def party(client, number):
        barrier = DoubleBarrier(client, path, 2, identifier=str(number))
        barrier.enter()
        inside.put(number)
        barrier.leave()
        outside.put(number)

    parties = [threading.Thread(target=party, args=(connect(), n)) for n in range(2)]
    parties[0].start()
    with pytest.raises(queue.Empty):
        inside.get(timeout=0.2)
    parties[1].start()
    assert {heard(inside), heard(inside)} == {0, 1} == {heard(outside), heard(outside)}


def test_counter_adds_up_over_clients(connect):
    """Compare and set by version: no increment is lost, however many add at once."""
    path, clients = fresh("counter"), [connect() for _ in range(4)]

    def add(client):
        counter = client.Counter(path)
        for _ in range(10):
            counter += 1

    adders = [threading.Thread(target=add, args=(client,)) for client in clients]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join(WAIT_S)
    assert clients[0].Counter(path).value == 40


def test_party_is_who_is_alive(connect):
    """Cluster membership and heartbeat monitoring: an ephemeral node a member, kept by the pings of
    its session, and a watch on the parent that tells of everyone who comes or goes."""
    path, one, two, monitor = fresh("party"), connect(), connect(), connect()
    one.Party(path, "one").join()
    seen = queue.Queue()
    ChildrenWatch(monitor, path, lambda children: seen.put(len(children)))
    assert heard(seen) == 1
    two.ShallowParty(path, "two").join()
    assert heard(seen) == 2
    two.stop()
    assert heard(seen) == 1
    assert list(monitor.Party(path)) == ["one"]


def test_work_is_sharded_by_consistent_hashing_over_the_members(connect):
    """Every member computes the same owner for a key from the list of members alone; when one
    leaves, only its keys move."""
    path, monitor = fresh("shards"), connect()
    workers = {name: connect() for name in ("a", "b", "c")}
    for name, client in workers.items():
        client.create(f"{path}/{name}", ephemeral=True, makepath=True)

    def point(text):
        return int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big")

    def owners(members):
        ring = sorted((point(f"{member}#{n}"), member) for member in members for n in range(50))
        keys = [f"key-{n}" for n in range(200)]
        return {key: ring[bisect.bisect(ring, (point(key),)) % len(ring)][1] for key in keys}

    before = owners(monitor.get_children(path))
    assert set(before.values()) == {"a", "b", "c"}
    workers["b"].stop()
    after = owners(monitor.get_children(path))
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key, owner in before.items() if owner == "b"}


def test_services_are_found_by_name_and_used_in_turn(connect):
    """Naming and service discovery: instances register themselves under the service's name, a
    client keeps a cache of them and goes round."""
    path, client = fresh("services"), connect()
    for port in (8001, 8002):
        address = b"127.0.0.1:%d" % port
        connect().create(f"{path}/web/i-", address, ephemeral=True, sequence=True, makepath=True)
    ready = threading.Event()
    cache = TreeCache(client, path)
    cache.listen(lambda event: event.event_type == TreeEvent.INITIALIZED and ready.set())
    cache.start()
    assert ready.wait(WAIT_S)
    names = sorted(cache.get_children(f"{path}/web"))
    turn = [cache.get_data(f"{path}/web/{names[n % len(names)]}").data for n in range(4)]
    assert turn == [b"127.0.0.1:8001", b"127.0.0.1:8002"] * 2
    cache.close()


def test_lease_is_taken_by_one_program_for_a_while(connect):
    """A job that must not run more often than once in the lease's time, whoever starts it."""
    path, one, two = fresh("lease"), connect(), connect()
    while_it_lasts = datetime.timedelta(minutes=1)
    assert one.NonBlockingLease(path, while_it_lasts, identifier="one")
    assert not two.NonBlockingLease(path, while_it_lasts, identifier="two")
    assert one.NonBlockingLease(path, while_it_lasts, identifier="one")


def test_transaction_is_all_or_nothing(connect):
    """Several changes as one: either each is made or none."""
    path, client = fresh("multi"), connect()
    client.create(path)
    good = client.transaction()
    good.check(path, 0)
    good.create(f"{path}/a", b"1")
    good.set_data(path, b"2", version=0)
    assert good.commit()[:2] == [True, f"{path}/a"]
    bad = client.transaction()
    bad.create(f"{path}/b")
    bad.delete(f"{path}/missing")
    bad.create(f"{path}/c")
    names = [type(result).__name__ for result in bad.commit()]
    assert names == ["RolledBackError", "NoNodeError", "RuntimeInconsistency"]
    assert client.get_children(path) == ["a"]
