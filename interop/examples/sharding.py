"""Work sharding: the members of a group divide keys among themselves without a master.

All see the same list of members and put it on the same hash ring, so all agree who owns a key. When
a member leaves, only the keys it owned move; the others stay where they are.
"""

import bisect
import hashlib
import os
import threading

from kazoo.client import KazooClient

PATH = "/examples/shards"
POINTS = 64  # places on the ring for each member: more of them share more evenly
KEYS = [f"user-{number}" for number in range(1000)]


def place(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Ring:
    """Who owns which key, for one list of members."""

    def __init__(self, members):
        self.points = sorted((place(f"{m}/{n}"), m) for m in members for n in range(POINTS))

    def owner(self, key):
        at = bisect.bisect(self.points, (place(key),))
        return self.points[at % len(self.points)][1]


class Worker:
    """One member; it knows the others by a watch on the group."""

    def __init__(self, name):
        self.changed, self.members = threading.Condition(), []
        self.client = KazooClient(os.environ["ZK_HOSTPORT"])
        self.client.start()
        self.client.create(f"{PATH}/{name}", ephemeral=True, makepath=True)
        self.client.ChildrenWatch(PATH, self.regroup)

    def regroup(self, members):
        with self.changed:
            self.members = sorted(members)
            self.changed.notify_all()

    def owners(self, members):
        """The owner of every key, once this worker has heard of exactly these members."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.members == members, timeout=15), self.members
            ring = Ring(self.members)
        return {key: ring.owner(key) for key in KEYS}


workers = {name: Worker(name) for name in ("ann", "bob", "cid", "dan")}
before = workers["ann"].owners(["ann", "bob", "cid", "dan"])
assert all(worker.owners(sorted(workers)) == before for worker in workers.values())
shares = {name: sum(owner == name for owner in before.values()) for name in workers}
assert min(shares.values()) > 100, shares

workers.pop("cid").client.stop()
after = workers["ann"].owners(["ann", "bob", "dan"])
assert all(worker.owners(sorted(workers)) == after for worker in workers.values())
moved = [key for key in KEYS if before[key] != after[key]]
assert moved == [key for key in KEYS if before[key] == "cid"], "only the keys of the one that left"

print(f"shares {shares}; {len(moved)} keys moved when cid left")
for worker in workers.values():
    worker.client.stop()
