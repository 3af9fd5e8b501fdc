"""What the clients do: registers, a lock, unique ids, a set, a counter and a queue, all at once.

The paths are those that src/sim/history/linear/workloads.rs looks for.
"""

import itertools
import random
import threading

from recorder import (
    Client, check, children, create, delete, exists, get, multi, must, set_data, sync,
)

REGISTERS = ("/register1", "/register2", "/register3")
PARENTS = ("/ids", "/set", "/counter", "/queue")
EPHEMERAL, SEQUENTIAL = 1, 2
PAUSE_S = 0.004


def prepare(client):
    """Creates what all clients share."""
    for path in PARENTS:
        client.call(create(path))
        must(client, exists(path))


class Worker(threading.Thread):
    """One client that does a step of a workload that it draws, again and again."""

    def __init__(self, book, number, addresses, seed):
        super().__init__(daemon=True)
        self.client = Client(book, number, addresses)
        self.random = random.Random(f"{seed}/{number}")
        self.values = itertools.count()
        self.versions = {}
        self.holds_lock = False
        self.problem = None
        self.steps = 0
        self.answered = 0

    def run(self):
        todo = [self.register] * 4 + [self.lock, self.unique_id, self.add, self.count, self.put,
                                      self.take, self.watch, self.burst]
        try:
            while not self.client.ending.is_set():
                replies = self.random.choice(todo)()
                self.steps += 1
                self.answered += bool(replies)
                self.client.ending.wait(PAUSE_S)
        except Exception as error:  # the suite, not this thread, has to hear of it
            self.problem = f"client {self.client.number}: {type(error).__name__}: {error}"

    def value(self):
        """Data that nobody else ever writes."""
        return b"%d.%d" % (self.client.number, next(self.values))

    def register(self):
        """Reads, writes, compares and sets; seldom deletes."""
        path = self.random.choice(REGISTERS)
        draw = self.random.random()
        if draw < 0.35:
            replies = self.client.call(sync(path), get(path))
            if len(replies) == 2 and replies[1][1] == 0:
                self.versions[path] = int(replies[1][2].split(",")[4])
            return replies
        if draw < 0.55:
            return self.client.call(set_data(path, self.value()))
        if draw < 0.90:
            expected = self.versions.get(path, 0)
            replies = self.client.call(set_data(path, self.value(), expected))
            if replies and replies[0][1] == 0:
                self.versions[path] = expected + 1
            return replies
        if draw < 0.96:
            return self.client.call(create(path, self.value()))
        return self.client.call(delete(path, self.versions.get(path, 0)))

    def lock(self):
        """Takes the lock, or gives it back."""
        if not self.holds_lock:
            replies = self.client.call(create("/lock", b"%d" % self.client.number, EPHEMERAL))
            self.holds_lock = bool(replies) and replies[0][1] == 0
            return replies
        self.holds_lock = False
        return self.client.call(delete("/lock"))

    def unique_id(self):
        """Takes a number."""
        return self.client.call(create("/ids/n-", b"", SEQUENTIAL))

    def add(self):
        """Adds an element to the set."""
        return self.client.call(create(f"/set/{self.value().decode()}"))

    def count(self):
        """Adds to the counter, or reads it."""
        if self.random.random() < 0.05:
            return self.client.call(sync("/counter"), children("/counter"))
        parts = [create("/counter/n-", b"", SEQUENTIAL)] * self.random.randint(1, 3)
        return self.client.call(multi(*parts))

    def put(self):
        """Puts an item into the queue."""
        return self.client.call(
            multi(create("/queue/n-", self.value(), SEQUENTIAL), set_data("/queue", b"")))

    def take(self):
        """Takes the first item, if nobody is quicker."""
        replies = self.client.call(children("/queue"))
        if not replies or replies[0][1] != 0:
            return replies
        words = replies[0][2].split()
        names, version = sorted(words[2:-2]), int(words[-1].split(",")[4])
        if not names:
            return replies
        first = f"/queue/{names[0]}"
        replies = self.client.call(get(first))
        if not replies or replies[0][1] != 0:
            return replies
        return self.client.call(
            multi(check("/queue", version), delete(first), set_data("/queue", b"")))

    def watch(self):
        """Sets a watch of one kind or another."""
        path = self.random.choice(REGISTERS + ("/lock",))
        ask = self.random.choice([get(path, True), exists(path, True), children("/queue", True)])
        return self.client.call(ask)

    def burst(self):
        """Several requests without waiting for the first one's reply."""
        path = self.random.choice(REGISTERS)
        return self.client.call(
            set_data(path, self.value()), get(path), create("/ids/n-", b"", SEQUENTIAL),
            exists(path), set_data(path, self.value()))


def look(client):
    """At the end: everything behind a sync, from the member that the client is at."""
    for path in PARENTS:
        must(client, sync(path))
        must(client, children(path))
    for path in REGISTERS:
        must(client, sync(path))
        client.call(get(path))
