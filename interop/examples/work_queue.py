"""Queue: producers leave work, consumers take it in order, each piece goes to one of them.

An entry is a persistent sequential node: the server's numbering is the order. A consumer first
claims an entry with an ephemeral lock node and removes it when the work is done, so the work of a
consumer that dies half-way goes to another one.
"""

import os
import threading

from kazoo.client import KazooClient

PATH = "/examples/queue"
ENTRIES = 20


def connect():
    client = KazooClient(os.environ["ZK_HOSTPORT"])
    client.start()
    return client


def consume(done, guard):
    client = connect()
    queue = client.LockingQueue(PATH)
    while len(done) < ENTRIES:
        entry = queue.get(timeout=1)
        if entry is None:
            continue
        with guard:
            done.append(entry)
        queue.consume()
    client.stop()


producer = connect()
tasks = producer.LockingQueue(PATH)
for number in range(ENTRIES):
    tasks.put(b"task %02d" % number)

# One takes an entry and dies: the entry is not lost.
unlucky = connect()
assert unlucky.LockingQueue(PATH).get(timeout=15) == b"task 00"
unlucky.stop()

finished, lock = [], threading.Lock()
consumers = [threading.Thread(target=consume, args=(finished, lock)) for _ in range(3)]
for consumer in consumers:
    consumer.start()
for consumer in consumers:
    consumer.join(60)

assert sorted(finished) == [b"task %02d" % number for number in range(ENTRIES)], finished
print(f"{len(finished)} tasks, each done once")
producer.stop()
