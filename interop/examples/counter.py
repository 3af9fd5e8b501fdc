"""Counter: a number that many programs change without losing a change.

Each reads the node, adds, and writes under the version it read; if somebody was quicker the server
refuses and it starts over. A sequential node is the other way to draw numbers: each create gets one
that nobody else will ever get.
"""

import os
import threading

from kazoo.client import KazooClient

PATH = "/examples/counter"


def connect():
    client = KazooClient(os.environ["ZK_HOSTPORT"])
    client.start()
    return client


def add(times):
    client = connect()
    counter = client.Counter(PATH)
    for _ in range(times):
        counter += 1
    client.stop()


programs = [threading.Thread(target=add, args=(25,)) for _ in range(4)]
for program in programs:
    program.start()
for program in programs:
    program.join(60)

reader = connect()
assert reader.Counter(PATH).value == 100
tickets = [reader.create("/examples/tickets/t-", sequence=True, makepath=True) for _ in range(3)]
assert [int(ticket[-10:]) for ticket in tickets] == [0, 1, 2], tickets
print(f"counted to {reader.Counter(PATH).value}; tickets {', '.join(t[-2:] for t in tickets)}")
reader.stop()
