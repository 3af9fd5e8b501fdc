"""One round: an ensemble, clients of all workloads, nemeses one after the other, and the judges."""

import collections
import contextlib
import copy
import functools
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time

import clock
import disk
import links
import network
import workloads
from bystander import Bystander
from clients import Book, Client
from ensemble import Ensemble
from load import end_writers, lost_writes, start_writers, zxid_given_twice
from session import Session, tree, tree_difference
from wire import get_children, sync

PAUSE_S = 0.03
# After a nemesis: so long until every member serves again, and until every client is answered.
SERVING_S, PROGRESS_S = 60, 45
# What a member that is running gets to find its way back before it is started again.
PATIENCE_S = 20
JOIN_S = 60
CHECK_S = 300
# Short logs, so that there are many of them, and snapshots; and how many of these stay.
CFG = {"snapCount": "800"}
SNAPSHOTS_KEPT = 3


class Worker(threading.Thread):
    """One client of a workload."""

    def __init__(self, workload, client, seed):
        super().__init__(daemon=True)
        self.workload, self.client = workload, client
        self.random = random.Random(seed)
        self.ending = threading.Event()
        self.problem = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.workload.step(self.client, self.random)
                self.ending.wait(PAUSE_S)
            self.workload.finish(self.client)
        except Exception as error:  # the suite, not this thread, has to hear of it
            self.problem = (f"client {self.client.number} of {type(self.workload).__name__}: "
                            f"{type(error).__name__}: {error}")


class Round:
    """One round; also the world that a nemesis sees."""

    def __init__(self, kind, seed, programs, folder):
        self.kind, self.seed = kind, seed
        # Of each nemesis its own, so that it draws the same without the others.
        self.random = random.Random(seed)
        self.programs = programs
        self.folder = pathlib.Path(folder)
        self.book = Book()
        self.ensemble = self.links = None
        self.workers, self.bystanders, self.writers = [], [], []
        self.notes = []
        self.workloads = [one() for one in workloads.ALL]

    # ---- what a nemesis asks for ----

    def leader(self):
        """The member that leads."""
        return self.ensemble.wait_leader()

    def victim(self):
        """A member drawn from the seed."""
        return self.random.choice(self.ensemble.members)

    def follower(self):
        """A member that follows."""
        return self.ensemble.wait(
            lambda: next((one for one in self.ensemble if one.role() == "follower"), None),
            "a follower")

    def others_serve(self, victim):
        """Waits until the two others serve and have acknowledged a write since."""
        others = [one.sid for one in self.ensemble if one is not victim]
        self.ensemble.wait_serving(*others, wait_s=SERVING_S)
        self.written()

    def note(self, text):
        """Something that the summary has to tell."""
        self.notes.append(text)

    # ---- the round ----

    def run(self, verdict, chosen, summary):
        """All of it."""
        with contextlib.ExitStack() as stack:
            disks = disk.Shim()
            stack.callback(disks.close)
            clocks = clock.Clocks(disks)

            def place(member):
                links.place(member)
                disks.place(member)
                clocks.place(member)

            beside = os.environ.get("OXKEEPER_BESIDE") or self.kind
            kinds = [self.kind, beside, self.kind]
            self.ensemble = stack.enter_context(Ensemble(kinds, CFG, place=place))
            stack.callback(network.clear, self.ensemble, ("clients",))
            stack.callback(disk.clear, self.ensemble)
            stack.callback(self.ensemble.stop)
            self.links = links.Links(self.ensemble.members)
            stack.callback(self.links.close)
            stack.callback(self.end_clients)
            if not verdict.attempt(f"{self.seed}: members and clients get going", self.begin):
                return
            for nemesis in chosen:
                name = nemesis.__name__.replace("_", " ")
                summary.suffered[name] += 1
                if not verdict.attempt(f"{self.seed}: {name}", self.suffer, nemesis):
                    self.ensemble.show_logs()
                    verdict.attempt(f"{self.seed}: all serve once more", self.begin_anew)
                    break
                self.purge()
            self.judge(verdict, summary)

    def begin(self):
        """Starts the members and the clients, two of each workload: Kazoo's and Go's."""
        self.ensemble.start()
        hosts = [member.hostport for member in self.ensemble]
        give_up = time.monotonic() + PROGRESS_S
        for workload in self.workloads:
            for command in (self.programs.kazoo, self.programs.go):
                number = len(self.workers) + 1
                at = number % len(hosts)
                client = Client(command, ",".join(hosts[at:] + hosts[:at]), number, self.book)
                self.workers.append(Worker(workload, client, f"{self.seed}/{number}"))
        for worker in self.workers:
            worker.workload.prepare(worker.client, give_up)
        for worker in self.workers:
            worker.start()
        self.bystanders = [Bystander(self.ensemble.members, at)
                           for at in range(len(self.ensemble.members))]
        for bystander in self.bystanders:
            bystander.start()
        self.writers = start_writers(self.ensemble.members, pause_s=0.05)

    def suffer(self, nemesis):
        """One nemesis, and what is wrong when it is over."""
        self.random = random.Random(f"{self.seed}/{nemesis.__name__}")
        moments, said, epoch = [time.monotonic()], len(self.notes), self.epoch()
        try:
            nemesis(self)
        finally:
            self.put_right()
        for step in (self.members_serve, self.clients_go_on):
            moments.append(time.monotonic())
            step()
        moments.append(time.monotonic())
        harm, members, clients = (b - a for a, b in zip(moments, moments[1:]))
        told = "".join(f"; {note}" for note in self.notes[said:])
        print(f"     {harm:.1f} s of harm, {members:.1f} s until all serve, {clients:.1f} s until "
              f"all clients go on, epoch {epoch} to {self.epoch()}{told}", flush=True)

    def epoch(self):
        """The epoch of the last zxid that the leader shows."""
        return self.ensemble.wait(
            lambda: next((int(one.srvr("Zxid") or "0", 16) >> 32 for one in self.ensemble
                          if one.role() == "leader"), None), "a leader")

    def put_right(self):
        """Takes back whatever is wrong with links, disks and clocks."""
        self.links.tell()
        for member in self.ensemble:
            disk.mend(member)
            clock.set_ahead(member, 0)
            if member.suspended and member.running:
                member.resume()

    def purge(self):
        """Keeps the disks from filling up with snapshots, as an operator does."""
        for member in self.ensemble:
            snapshots = sorted(member.datadir.glob("version-2/snapshot.*"),
                               key=lambda file: file.stat().st_mtime)
            for old in snapshots[:-SNAPSHOTS_KEPT]:
                old.unlink()

    def begin_anew(self):
        """Stops and starts everybody, for the judges to have somebody to ask."""
        self.put_right()
        self.ensemble.stop()
        self.purge()
        self.ensemble.start()

    def members_serve(self):
        """Waits until all members serve."""
        for member in self.ensemble:
            if not member.running:
                self.ensemble.start(member.sid, wait=False)
        try:
            self.ensemble.wait_serving(wait_s=PATIENCE_S)
        except AssertionError:
            # As an operator would.
            for member in self.ensemble:
                if member.role() is None:
                    self.note("a member had to be started again")
                    self.ensemble.kill(member.sid)
                    self.ensemble.start(member.sid, wait=False)
            self.ensemble.wait_serving(wait_s=SERVING_S)

    def clients_go_on(self):
        """Waits until every client has been answered."""
        before = [worker.client.answered for worker in self.workers]
        self.ensemble.wait(
            lambda: all(worker.client.answered > count + 1 or worker.problem
                        for worker, count in zip(self.workers, before)),
            "an answer for every client", PROGRESS_S)
        self.written()
        problems = [worker.problem for worker in self.workers if worker.problem]
        problems += [one.problem for one in self.writers if one.problem]
        assert not problems, "\n".join(problems)

    def written(self):
        """Waits until a write is acknowledged that was sent after now."""
        since = time.monotonic()
        self.ensemble.wait(lambda: all(one.first_after(since + 0.1) for one in self.writers),
                           "an acknowledged write", PROGRESS_S)

    # ---- the judges ----

    def judge(self, verdict, summary):
        """Stops the clients and lets each judge say what it has to say."""
        verdict.attempt(f"{self.seed}: the clients end", self.end_clients)
        for workload in self.workloads:
            name = type(workload).__name__.lower()
            test = self.judge_registers if name == "registers" else self.judge_workload
            verdict.attempt(f"{self.seed}: {name}", test, workload, summary)
        verdict.attempt(f"{self.seed}: numbered writes", self.judge_writes, summary)
        verdict.attempt(f"{self.seed}: no session expired wrongly", self.judge_sessions, summary)
        verdict.attempt(f"{self.seed}: all members have the same", self.judge_trees)
        clients = [worker.client for worker in self.workers]
        summary.rounds.append(self.seed)
        summary.asked += sum(one.asked for one in clients)
        summary.answered += sum(one.answered for one in clients)
        summary.writes += sum(len(one.acked) for one in self.writers)
        summary.expired += sum(one.expired for one in clients + self.bystanders)
        summary.notes.update(self.notes)

    def end_clients(self):
        """Ends whatever is still going."""
        for worker in self.workers:
            worker.ending.set()
        for bystander in self.bystanders:
            bystander.ending.set()
        problem = end_writers(self.writers) if self.writers else None
        for thread in [*self.workers, *self.bystanders]:
            if thread.ident is not None:
                thread.join(JOIN_S)
        late = [worker.client.number for worker in self.workers if worker.is_alive()]
        for worker in self.workers:
            if worker.client.process.poll() is None:
                worker.client.close()
        return problem or (f"clients that did not end: {late}" if late else None)

    def judge_workload(self, workload, summary):
        """What a workload says of each member; and whether it says no to what was spoilt."""
        for member in self.ensemble:
            names = functools.cache(functools.partial(names_at, member))
            problem = workload.judge(names)
            if problem:
                summary.lost += "lost" in problem
                return f"{member.name}: {problem}"
            for what, spoilt in workload.doctored():
                assert spoilt.judge(names), f"the judge does not see {what}"
        return None

    def judge_registers(self, _workload, _summary):
        """What oxkeeper-check says: whether they are linearizable."""
        history = self.folder / "history"
        history.write_text(self.book.text(), encoding="ascii")
        done = subprocess.run([self.programs.judge, str(history)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=CHECK_S, check=False)
        if done.returncode == 0:
            calls = [line for line in done.stdout.splitlines() if "/register" in line]
            print("     " + "; ".join(line.removeprefix("search: ") for line in calls))
            return None
        kept = tempfile.mkdtemp(prefix="interop-nemesis-history-")
        shutil.copy(history, kept)
        return f"{done.stdout[-1500:]}\nthe history is kept in {kept}"

    def judge_writes(self, summary):
        """The numbered writes of raw clients: none lost, no zxid given twice."""
        lost = [problem for problem in (lost_writes(member, self.writers)
                                        for member in self.ensemble) if problem]
        summary.lost += len(lost)
        return "\n".join(lost) or zxid_given_twice(self.writers)

    def judge_sessions(self, summary):
        """Sessions that expired though their clients had been heard; and whether the judges notice
        one that does so now."""
        everybody = [worker.client for worker in self.workers] + self.bystanders
        wrongly = [text for one in everybody for text in one.wrongly]
        summary.wrongly += len(wrongly)
        for one in (everybody[0], everybody[-1]):
            spoilt = copy.copy(one)
            spoilt.wrongly = []
            spoilt.expire_now()
            assert spoilt.wrongly, "the judge does not see a session that expires too early"
        return "\n".join(wrongly)

    def judge_trees(self):
        """Differences between the members."""
        first = tree(self.ensemble[1].address)
        for member in self.ensemble.members[1:]:
            problem = tree_difference(first, tree(member.address))
            if problem:
                return f"{member.name}: {problem}"
        return None


def names_at(member, path):
    """The names of a znode's children at a member, behind a sync."""
    with Session(member.address) as session:
        session.must(sync(path))
        reader = session.must(get_children(path))
        return [name.decode() for name in reader.vector(reader.buf)]


class Summary:
    """What all rounds together were."""

    def __init__(self):
        self.rounds, self.suffered = [], collections.Counter()
        self.notes = collections.Counter()
        self.asked = self.answered = self.writes = 0
        self.lost = self.expired = self.wrongly = 0

    def tell(self):
        """Prints it; the last lines before the verdict's."""
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.suffered.items()))
        print(f"note: seeds {' '.join(self.rounds)}")
        print(f"note: {sum(self.suffered.values())} nemeses: {kinds}")
        for text, count in sorted(self.notes.items()):
            print(f"note: {count} times: {text}")
        print(f"note: {self.asked} requests of Kazoo and Go clients, {self.answered} of them with "
              f"a certain outcome; {self.writes} acknowledged numbered writes")
        print(f"note: acknowledged and lost {self.lost}, sessions expired {self.expired}, "
              f"of these wrongly {self.wrongly}", flush=True)
