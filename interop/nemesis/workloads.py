"""What the clients do: the workloads of ClickHouse Keeper's Jepsen suite, and a lock.

Each is a class with `prepare`, done once, and `step`, done again and again by each of its clients;
what it saw it keeps, and `judge` says what is wrong with that, given how it looks in the end on a
member: `names(path)` are the children there, behind a sync.
"""

import collections
import copy
import itertools
import time

from clients import EPHEMERAL, NODE_EXISTS, SEQUENTIAL

Kept = collections.namedtuple("Kept", "what client invoked returned")


def number_of(name):
    """The number that the server put behind a name."""
    return int(name[-10:])


class Workload:
    """What all have in common: lists of what was certainly and what was perhaps done."""

    parents = ()

    def __init__(self):
        self.tags = itertools.count(1)
        self.done, self.perhaps = [], []

    def prepare(self, client, give_up):
        """Creates the parents, whatever happens."""
        for path in self.parents:
            while client.ask("create", path, data="").code not in (0, NODE_EXISTS):
                assert time.monotonic() < give_up, f"{path} can't be created"

    def finish(self, client):
        """What each client does last."""

    def keep(self, what, client, answer):
        """Sorts what was asked for by the answer."""
        if answer.good or answer.unknown:
            (self.done if answer.good else self.perhaps).append(
                Kept(what, client.number, answer.invoked, answer.returned))


    def doctored(self):
        """What went well, spoilt: pairs of what is wrong with it and a copy that has it."""
        yield "something acknowledged that is not there", self.with_more("done", self.invented())

    def with_more(self, where, *kept):
        """A copy whose list `where` has more in it."""
        other = copy.copy(self)
        setattr(other, where, [*getattr(self, where), *kept])
        return other

    def invented(self, what="never"):
        """Something that was never asked for, after all that was."""
        now = time.monotonic_ns()
        return Kept(what, 0, now, now)


class Registers(Workload):
    """Compare-and-set registers: oxkeeper-check judges them."""

    paths = ("/register1", "/register2", "/register3")

    def __init__(self):
        super().__init__()
        self.versions = {}

    def step(self, client, random):
        """Reads behind a sync, writes, compares and sets; seldom creates and deletes."""
        path, draw = random.choice(self.paths), random.random()
        value = f"{client.number}.{next(self.tags)}"
        if draw < 0.35:
            if client.ask("sync", path).good:
                answer = client.ask("get", path)
                if answer.good:
                    self.versions[path] = answer.stat[4]
        elif draw < 0.55:
            client.ask("set", path, data=value, version=-1)
        elif draw < 0.88:
            answer = client.ask("set", path, data=value, version=self.versions.get(path, 0))
            if answer.good:
                self.versions[path] = answer.stat[4]
        elif draw < 0.96:
            client.ask("create", path, data=value)
        else:
            client.ask("delete", path, version=self.versions.get(path, 0))

    def finish(self, client):
        """Writes without a condition, the answers to which tell what is there: a version, or that
        there is nothing."""
        for path in self.paths:
            client.ask("set", path, data=f"{client.number}.{next(self.tags)}", version=-1)

    def doctored(self):
        """The suite `histories` does this to the judge of registers."""
        return ()


class Set(Workload):
    """Every acknowledged element is there, and nothing that was never added."""

    parents = ("/set",)

    def step(self, client, _random):
        """Adds an element."""
        name = f"{client.number}.{next(self.tags)}"
        self.keep(name, client, client.ask("create", f"/set/{name}", data=""))

    def judge(self, names):
        """Lost and invented elements."""
        found = set(names("/set"))
        done, perhaps = ({one.what for one in kept} for kept in (self.done, self.perhaps))
        if done - found:
            return f"{len(done - found)} acknowledged elements lost: {sorted(done - found)[:5]}"
        if found - done - perhaps:
            return f"elements that nobody added: {sorted(found - done - perhaps)[:5]}"
        return None


class Ids(Workload):
    """Sequential znodes: no number twice, and a later one is larger."""

    parents = ("/ids",)

    def step(self, client, _random):
        """Takes a number."""
        answer = client.ask("create", "/ids/n-", data="", flags=SEQUENTIAL)
        self.keep(number_of(answer.path) if answer.good else None, client, answer)

    def judge(self, names):
        """Numbers given twice, out of order, or lost."""
        given = [one.what for one in self.done]
        twice = [one for one, count in collections.Counter(given).items() if count > 1]
        if twice:
            return f"numbers given twice: {twice[:5]}"
        lost = set(given) - set(map(number_of, names("/ids")))
        if lost:
            return f"numbers acknowledged and lost: {sorted(lost)[:5]}"
        return out_of_order(self.done)

    def doctored(self):
        """A number given twice, one that is lost, one that comes late."""
        for what, number in (("a number given twice", self.done[-1].what),
                             ("a number that is lost", 10 ** 9)):
            yield what, self.with_more("done", self.invented(number))
        first = min(self.done, key=lambda one: one.what)
        others = [one for one in self.done if one is not first]
        late = copy.copy(self)
        late.done = [*others, self.invented(first.what)]
        yield "a number that comes late", late


def out_of_order(kept):
    """Two numbers of which the larger was known before the smaller one was asked for."""
    highest, by_return = None, sorted(kept, key=lambda one: one.returned)
    at = 0
    for one in sorted(kept, key=lambda one: one.invoked):
        while at < len(by_return) and by_return[at].returned < one.invoked:
            before = by_return[at]
            highest = before if highest is None or before.what > highest.what else highest
            at += 1
        if highest is not None and highest.what > one.what:
            return f"{highest.what} came before {one.what} was asked for"
    return None


class Counter(Workload):
    """Multis of several creates: each whole or not at all, none lost, none too many."""

    parents = ("/counter",)

    def step(self, client, random):
        """Adds one to three; the parts of one multi share a name."""
        count, tag = random.randint(1, 3), f"{client.number}.{next(self.tags)}"
        part = {"do": "create", "path": f"/counter/{tag}-", "data": "", "flags": SEQUENTIAL}
        self.keep((tag, count), client, client.ask("multi", parts=[part] * count))

    def judge(self, names):
        """The value, between what was acknowledged and what was tried; torn multis."""
        found = names("/counter")
        by_tag = collections.Counter(name.rpartition("-")[0] for name in found)
        low = sum(one.what[1] for one in self.done)
        high = low + sum(one.what[1] for one in self.perhaps)
        if not low <= len(found) <= high:
            return f"the counter is {len(found)}, {low} were acknowledged and {high} tried"
        certain = {one.what[0] for one in self.done}
        for tag, count in [one.what for one in self.done + self.perhaps]:
            if by_tag[tag] not in ((count,) if tag in certain else (0, count)):
                return f"of the {count} creates of multi {tag} there are {by_tag[tag]}"
        return None

    def doctored(self):
        """A multi that is lost, and one of which a part is."""
        yield "a multi that is lost", self.with_more("done", self.invented(("never", 1)))
        torn = copy.copy(self)
        (tag, count), *_ = self.done[-1]
        torn.done = [*self.done[:-1], self.invented((tag, count + 1))]
        torn.perhaps = [*self.perhaps, self.invented(("never", 1))]
        yield "a multi that is torn", torn


class Queue(Workload):
    """A queue of which each item is taken at most once, and none lost; in any order."""

    path = "/queue-total"
    parents = (path,)

    def __init__(self):
        super().__init__()
        self.taken, self.taken_perhaps = [], []

    def step(self, client, random):
        """Puts or takes."""
        if random.random() < 0.55:
            self.put(client)
        else:
            self.take(client, random)

    def put(self, client):
        """Puts an item that nobody else ever puts; its tag is in its name."""
        tag = f"{client.number}.{next(self.tags)}"
        answer = client.ask("create", f"{self.path}/{tag}-", data="", flags=SEQUENTIAL)
        self.keep(tag, client, answer)

    def take(self, client, random):
        """Takes an item near the head."""
        answer = client.ask("children", self.path)
        if answer.good and answer.names:
            name = random.choice(sorted(answer.names, key=number_of)[:3])
            self.took(name, client, client.ask("delete", f"{self.path}/{name}", version=-1))

    def took(self, name, client, answer):
        """Keeps what was taken."""
        if answer.good or answer.unknown:
            (self.taken if answer.good else self.taken_perhaps).append(
                Kept(name, client.number, answer.invoked, answer.returned))

    def judge(self, names):
        """Items taken twice, lost, or from nowhere."""
        left = [name.rpartition("-")[0] for name in names(self.path)]
        taken = [one.what.rpartition("-")[0] for one in self.taken]
        gone = {one.what.rpartition("-")[0] for one in self.taken_perhaps}
        put, perhaps = ({one.what for one in kept} for kept in (self.done, self.perhaps))
        twice = [one for one, count in collections.Counter(left + taken).items() if count > 1]
        if twice:
            return f"items taken twice, or taken and still there: {twice[:5]}"
        lost = put - set(left) - set(taken) - gone
        if lost:
            return f"{len(lost)} items put and lost: {sorted(lost)[:5]}"
        strange = (set(left) | set(taken)) - put - perhaps
        return f"items that nobody put: {sorted(strange)[:5]}" if strange else None

    def doctored(self):
        """An item that is lost, one taken twice, one that nobody put."""
        yield from super().doctored()
        yield "an item taken twice", self.with_more("taken", self.invented(self.taken[0].what))
        yield "an item that nobody put", self.with_more("taken", self.invented("never-0000000000"))


class LinearQueue(Queue):
    """A queue whose first item is taken: in order, too."""

    path = "/queue-linear"
    parents = (path,)

    def put(self, client):
        """Puts an item; the queue's version says that something has changed."""
        tag = f"{client.number}.{next(self.tags)}"
        self.keep(tag, client, client.ask("multi", parts=[
            {"do": "create", "path": f"{self.path}/{tag}-", "data": "", "flags": SEQUENTIAL},
            {"do": "set", "path": self.path, "data": "", "version": -1}]))

    def take(self, client, _random):
        """Takes the first item, if nothing has changed since it was seen to be the first."""
        seen = client.ask("children", self.path)
        if seen.good and seen.names:
            name = min(seen.names, key=number_of)
            self.took(name, client, client.ask("multi", parts=[
                {"do": "check", "path": self.path, "version": seen.stat[4]},
                {"do": "delete", "path": f"{self.path}/{name}", "version": -1},
                {"do": "set", "path": self.path, "data": "", "version": -1}]))

    def judge(self, names):
        """As any queue; and in the order of the numbers."""
        return super().judge(names) or out_of_order(
            [one._replace(what=number_of(one.what)) for one in self.taken])

    def doctored(self):
        """As any queue; and the first item taken last."""
        yield from super().doctored()
        first = min(self.taken, key=lambda one: number_of(one.what))
        late = copy.copy(self)
        late.taken = [one for one in self.taken if one is not first]
        late.taken.append(self.invented(first.what))
        yield "the first item taken last", late


class Lock(Workload):
    """A fair lock of ephemeral sequential znodes, and a znode that only its holder may write."""

    parents = ("/lock-queue", "/fenced")
    WAIT_S = 0.05

    def __init__(self):
        super().__init__()
        self.mine = {}
        self.held = []

    def step(self, client, _random):
        """Queues for the lock, or looks whether its turn has come and writes as the holder."""
        name = self.mine.get(client.number)
        if name is None:
            self.queue(client)
            return
        seen = client.ask("children", "/lock-queue")
        if not seen.good:
            return
        if name not in seen.names:
            # The session is over.
            self.mine[client.number] = None
            return
        first = min(seen.names, key=number_of)
        if first == name:
            self.hold(client, name)
        elif first.startswith(f"{client.number}-"):
            # A create that nobody knew of came late.
            client.ask("delete", f"/lock-queue/{first}", version=-1)
        else:
            time.sleep(self.WAIT_S)

    def queue(self, client):
        """Takes a place in the queue; first gives up those that it does not know of."""
        seen = client.ask("children", "/lock-queue")
        for name in seen.names if seen.good else ():
            if name.startswith(f"{client.number}-"):
                client.ask("delete", f"/lock-queue/{name}", version=-1)
        answer = client.ask("create", f"/lock-queue/{client.number}-", data="",
                            flags=EPHEMERAL | SEQUENTIAL)
        self.mine[client.number] = answer.path.rpartition("/")[2] if answer.good else None

    def hold(self, client, name):
        """Writes some times as the holder, each time only if it still is; then lets go."""
        for _ in range(2):
            answer = client.ask("multi", parts=[
                {"do": "check", "path": f"/lock-queue/{name}", "version": 0},
                {"do": "set", "path": "/fenced", "data": name, "version": -1}])
            if answer.good:
                kept = Kept(number_of(name), client.number, answer.invoked, answer.returned)
                self.held.append((answer.stat[4], kept))
        if client.ask("delete", f"/lock-queue/{name}", version=-1).code is not None:
            self.mine[client.number] = None

    def judge(self, _names):
        """Writes in the order of the fenced znode's versions: no holder comes back after another,
        and no version is given twice."""
        writes = sorted(self.held, key=lambda one: one[0])
        for (version, one), (later, other) in zip(writes, writes[1:]):
            if version == later:
                return f"version {version} was written by {one.what} and {other.what}"
            if one.what > other.what:
                return f"holder {other.what} wrote version {later}, after holder {one.what}"
        return out_of_order([one for _, one in self.held])

    def doctored(self):
        """A former holder writes once more."""
        version, one = min(self.held)
        last = max(self.held)[0]
        yield "a former holder that writes", self.with_more(
            "held", (last + 1, self.invented(one.what)))
        yield "a write in another's place", self.with_more(
            "held", (version, self.invented(one.what + 1)))


ALL = (Registers, Set, Ids, Counter, Queue, LinearQueue, Lock)
