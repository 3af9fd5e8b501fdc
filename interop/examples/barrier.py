"""Barrier: several programs start a step together and leave it together.

Each enters by making a node below the barrier; when as many are there as were asked for, a ready
node is made and all go on. Each removes its node when it is done; nobody leaves before the last.
"""

import os
import threading

from kazoo.client import KazooClient

PATH = "/examples/barrier"
MEMBERS = 4

arrived, finished, guard = [], [], threading.Lock()


def compute(name):
    client = KazooClient(os.environ["ZK_HOSTPORT"])
    client.start()
    barrier = client.DoubleBarrier(PATH, MEMBERS)
    with guard:
        arrived.append(name)
    barrier.enter()
    assert len(arrived) == MEMBERS, "nobody starts before all are there"
    with guard:
        finished.append(name)
    barrier.leave()
    assert len(finished) == MEMBERS, "nobody leaves before all have finished"
    with guard:
        passed.append(name)
    client.stop()


passed = []
programs = [threading.Thread(target=compute, args=(f"worker {n}",)) for n in range(MEMBERS)]
for program in programs:
    program.start()
for program in programs:
    program.join(60)
assert len(passed) == MEMBERS, passed
print(f"{len(passed)} workers began and ended the step together")
