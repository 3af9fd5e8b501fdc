"""Distributed lock: of all programs that want a resource, one has it at a time.

Every contender makes an ephemeral sequential node; the lowest number holds the lock and each waits
for the one before it, so a release wakes one program, not all. If the holder dies its session ends
and the next one goes on. The holder's number grows with every turn: given to the resource with each
write, it lets the resource refuse a holder that only believes it still has the lock.
"""

import os
import threading

from kazoo.client import KazooClient

PATH = "/examples/lock"


class Account:
    """The guarded resource: no locking of its own, but it refuses an old holder's number."""

    def __init__(self):
        self.balance, self.last = 0, -1

    def deposit(self, amount, fence):
        assert fence >= self.last, "a holder from the past"
        self.last = fence
        seen = self.balance
        self.balance = seen + amount


def work(account):
    client = KazooClient(os.environ["ZK_HOSTPORT"])
    client.start()
    for _ in range(10):
        lock = client.Lock(PATH)
        with lock:
            account.deposit(1, fence=int(lock.node[-10:]))
    client.stop()


shared = Account()
programs = [threading.Thread(target=work, args=(shared,)) for _ in range(4)]
for program in programs:
    program.start()
for program in programs:
    program.join(60)
assert shared.balance == 40, shared.balance

# A holder that vanishes leaves the lock to the next.
first, second = KazooClient(os.environ["ZK_HOSTPORT"]), KazooClient(os.environ["ZK_HOSTPORT"])
first.start()
second.start()
assert first.Lock(PATH).acquire(timeout=15)
first.stop()
assert second.Lock(PATH).acquire(timeout=15)
second.stop()
print(f"40 deposits by 4 programs: {shared.balance}")
