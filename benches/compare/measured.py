"""Servers as an operator would start them, what they are asked, and what they cost.

The ground that all comparisons of this folder stand on. Apache ZooKeeper gets a heap that is named
(`-Xmx`), the JVM's own defaults for everything else and a quiet log; ours gets what it always gets.
No limit on connections from one address on either side.
"""

import json
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "interop" / "lib"))

from ensemble import Ensemble  # noqa: E402
from session import Session  # noqa: E402
from servers import (  # noqa: E402
    BINARY, CANNOT_RUN, KINDS, CannotRun, Server, apache_classpath, free_port,
)

# Enough for the JVM to compile what is hot, in both directions.
JIT_WARM_UP = [["-o", "get", "-d", "3"], ["-o", "set", "-d", "3"]]
# A row takes seconds; a server that hangs must not hang us.
ROW_TIMEOUT_S = 600
FILL_TIMEOUT_S = 3_600
# Beside the connections of the load: files, listeners, the connections among members.
SPARE_FILES = 500
# What an operator would write into zoo.cfg; the first snapshot of a large tree may take its time.
OPERATORS_CFG = {"4lw.commands.whitelist": "srvr", "maxClientCnxns": "0"}
MEMBERS_CFG = {"tickTime": "2000", "initLimit": "30", "syncLimit": "5"}


def apache_command(home, heap):
    """How an operator would start Apache's server, not as a test does."""
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    flags = [f"-Xmx{heap}", "-Dzookeeper.test.log=WARN"]
    path = apache_classpath()
    return ["java", *flags, "-cp", path, main, str(home / "zoo.cfg")], dict(os.environ)


def pinned(command, cpus):
    """The command on these processors only (`0` or `0,1`; None is all). Both servers take the
    number of their threads from how many they may use."""
    if cpus is None:
        return command
    if shutil.which("taskset") is None:
        raise CannotRun("taskset (util-linux) is missing")
    return ["taskset", "-c", cpus, *command]


class MeasuredServer(Server):
    """A server as an operator would start it."""

    def __init__(self, kind, heap, cfg=None, cpus=None):
        super().__init__(kind, cfg={**OPERATORS_CFG, **(cfg or {})})
        self.heap = heap
        self.cpus = cpus

    hosts = property(lambda self: self.hostport)

    def command(self):
        """Command line and environment of the server process."""
        command, environment = (apache_command(self.home, self.heap) if self.kind == "apache"
                                else super().command())
        return pinned(command, self.cpus), environment


class MeasuredEnsemble(Ensemble):
    """Members as an operator would start them: the ordinary tick, no test's properties."""

    def __init__(self, kind, members, heap, cfg=None):
        cfg = {**OPERATORS_CFG, **MEMBERS_CFG, **(cfg or {})}
        super().__init__([kind] * members, cfg)
        self.kind = kind
        for member in self.members:
            member.properties = {}
            if kind == "apache":
                member.command = lambda member=member: apache_command(member.home, heap)

    def __enter__(self):
        return self.start()


class Limit:
    """A bare tokio server in the place of a ZooKeeper, for one row with these arguments of `bench`:
    answers with replies of the same size; of kind "echo + sync" only when what it was sent has been
    appended to a file and synced."""

    def __init__(self, kind, arguments):
        self.kind = kind
        self.port = free_port()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="limit-"))
        words = ["--sync", str(self.home)] if kind == "echo + sync" else []
        for flag in ("--size", "--children"):
            if flag in arguments:
                words += [flag, arguments[arguments.index(flag) + 1]]
        self.command = [str(BINARY), "bench-limit", "echo", "--port", str(self.port), *words]
        self.process = None

    hosts = property(lambda self: f"127.0.0.1:{self.port}")

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if b"listening" not in self.process.stdout.readline():
            self.__exit__()
            raise CannotRun(f"{' '.join(self.command)} did not start")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)


def measured(kind, options):
    """What the load goes to: one server, or as many members as the options say."""
    if options.members == 1:
        return MeasuredServer(kind, options.heap, cpus=getattr(options, "server_cpus", None))
    return MeasuredEnsemble(kind, options.members, options.heap)


def allow_connections(sessions):
    """Lets this process's children open as many files as so many sessions need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sessions + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotRun(f"{sessions} sessions need {needed} open files, the limit is {hard} "
                        "(ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def bench_command(hosts, arguments):
    """The command line of the load generator."""
    return [str(BINARY), "bench", "--server", hosts, "--format", "json", *arguments]


def bench(server, arguments, timeout_s=ROW_TIMEOUT_S):
    """One run of the load generator; its report as a dictionary."""
    command = bench_command(server.hosts, arguments)
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"{' '.join(command)}: no end after {timeout_s} s") from None
    return bench_report(server, command, done.returncode, done.stdout, done.stderr)


def bench_report(server, command, status, stdout, stderr):
    """What a run has said; CannotRun if it failed or met errors."""
    if status != 0:
        raise CannotRun(f"{' '.join(command)}: {stderr.decode(errors='replace').strip()}")
    report = json.loads(stdout.decode().splitlines()[-1])
    if report["errors"]:
        raise CannotRun(f"{server.kind} answered with errors: {report['errors']}")
    return report


def warm_up(server):
    """What a server has done before it is measured; bare ones need nothing."""
    for arguments in JIT_WARM_UP:
        bench(server, [*arguments, "--warm-up", "0"])


def fill(server, nodes, data_bytes=100):
    """Creates so many znodes below `/tree/c` and leaves them there; returns the report."""
    words = ["-o", "create", "--root", "/tree", "--ops", str(nodes), "--size", str(data_bytes),
             "-c", "4", "-f", "128", "--warm-up", "0", "--keep"]
    return bench(server, words, FILL_TIMEOUT_S)


def first_session(server, wait_s=600.0):
    """Returns when the server that was launched gives somebody a session."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            Session(server.address, wait_s=2.0).close()
            return
        except (OSError, ValueError):
            time.sleep(0.005)
    raise CannotRun(f"the {server.kind} server gave no session: {server.log_tail()}")


def sync_us(options):
    """How long one append and sync takes where the servers' data is: p50 and p99."""
    folder = tempfile.mkdtemp(prefix="limit-", dir=options.dir)
    try:
        command = [str(BINARY), "bench-limit", "sync", "--dir", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=ROW_TIMEOUT_S)
        if done.returncode != 0:
            raise CannotRun(f"{' '.join(command)} failed")
        took = json.loads(done.stdout)
        return took["p50"], took["p99"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def machine():
    """The processors in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x.split(":", 1)[1] for x in cpuinfo.read_text().splitlines() if "model name" in x]
        model = names[0].strip() if names else model
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}"


def java():
    """The JVM in words."""
    told = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, check=False).stderr
    return told.decode().splitlines()[0]


def conditions(options, *more):
    """One paragraph: where and how this was measured."""
    members = getattr(options, "members", 1)
    size = "" if members == 1 else f" {members} members on this machine."
    apache = ""
    if "apache" in options.kinds:
        apache = f"Apache on {java()} with -Xmx{options.heap}; "
    return (f"{machine()}, client on the same machine; {apache}fsync on; "
            f"{time.strftime('%Y-%m-%d', time.gmtime())}.{size} {' '.join(more)}").strip()


def add_options(parser, rounds, heap="2g"):
    """The flags that every comparison has."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--heap", default=heap, help="Apache's maximal heap")
    parser.add_argument("--kinds", default="apache,oxkeeper", help="the sides, of " + str(KINDS))
    parser.add_argument("--dir", type=pathlib.Path, help="where the data directories are made")
    parser.add_argument("--json", type=pathlib.Path, help="keep every figure in this file")


def check_options(options):
    """Turns the common flags into what the scripts use; returns the kinds."""
    kinds = options.kinds.split(",")
    if options.rounds < 1 or not 1 <= len(kinds) <= 2 or not set(kinds) <= set(KINDS):
        raise CannotRun("--rounds is at least 1, --kinds names one server or two")
    if options.dir:
        tempfile.tempdir = str(options.dir.resolve(strict=True))
    for needed in (["java"] if "apache" in kinds else []) + [str(BINARY)]:
        if shutil.which(needed) is None:
            raise CannotRun(f"{needed} is missing")
    return kinds


def note(text):
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def markdown(heads, rows):
    """A Markdown table; the first column is words, the others are figures."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def keep(options, record):
    """Writes the figures where --json says."""
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def conclude(main):
    """Runs a script's main; what can't be run ends it with a plain line and status 2."""
    try:
        sys.exit(main())
    except (CannotRun, AssertionError) as error:
        print(f"could not run: {error}", file=sys.stderr)
        sys.exit(CANNOT_RUN)


def spread(values, form="{:,.0f}"):
    """The median, and lowest and highest if there are several, as text."""
    middle = form.format(statistics.median(values))
    if len(values) < 2:
        return middle
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"
