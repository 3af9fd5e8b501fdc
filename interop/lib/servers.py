#!/usr/bin/env python3
"""Starts and stops standalone ZooKeeper servers, oxkeeper's or Apache's, for the interop suites.

A library (`with Server("oxkeeper") as zk:`) and a command (`servers.py exec ... -- COMMAND`);
README.md beside the suites describes both. Servers listen on 127.0.0.1 on a port that was free when
it was chosen, own a temporary data directory, and are ended by their process id.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

from cache import CACHE, INTEROP, Claims, locked, maven

BINARY = pathlib.Path(
    os.environ.get("OXKEEPER_BIN", INTEROP.parent / "target" / "release" / "oxkeeper")
)
KINDS = ("oxkeeper", "apache")
# Ports are taken from below the range that the kernel uses for outgoing connections: a server that
# is away for a while must find its own free again.
PORTS = range(11_000, 32_000)
CLAIMED_PORTS = Claims("ports")
PORT_TRIES_MAX = 10_000
# Only a server that never serves takes this long, on the busiest machine.
START_S = 90
STOP_S = 20
# Exit status of a suite that could not run at all.
CANNOT_RUN = 2

DEFAULT_CFG = {
    "tickTime": "2000",
    "clientPortAddress": "127.0.0.1",
    "maxClientCnxns": "0",
    "4lw.commands.whitelist": "*",
    "admin.enableServer": "false",
}


def end_tidily(number, _frame):
    """Turns SIGTERM into an ordinary exit, so that servers are stopped and directories removed."""
    sys.exit(128 + number)


if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, end_tidily)


class CannotRun(Exception):
    """A tool, a package or a server that a suite needs is missing; the text says which."""


def apache_classpath():
    """Class path of Apache ZooKeeper 3.9.5, fetched from Maven Central the first time."""
    jars = CACHE / "apache-3.9.5"
    # Suites may run side by side; one of them fetches.
    with locked("apache-3.9.5"):
        if not (jars / "complete").exists():
            fetch_apache(jars)
    return f"{INTEROP / 'lib' / 'apache'}{os.pathsep}{jars}/*"


def fetch_apache(jars):
    """Copies the jars named by lib/apache/pom.xml into `jars`."""
    if shutil.which("mvn") is None:
        raise CannotRun("mvn (Maven) is not installed; Apache ZooKeeper cannot be fetched")
    done = maven(
        "-f", str(INTEROP / "lib" / "apache" / "pom.xml"), "dependency:copy-dependencies",
        "-DincludeScope=runtime", f"-DoutputDirectory={jars}",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise CannotRun(f"Maven could not fetch Apache ZooKeeper 3.9.5: {' '.join(tail)}")
    (jars / "complete").touch()


def free_port():
    """A loopback port that nobody listens on or will use to connect; none is given twice by this
    process, nor to another suite while this process lives, whether its server runs or not."""
    for _ in range(PORT_TRIES_MAX):
        port = random.choice(PORTS)
        if claim_port(port):
            return port
    raise CannotRun(f"no port from {PORTS.start} to {PORTS.stop - 1} is free on 127.0.0.1")


def claim_port(port):
    """Whether nobody listens on the loopback port or has been given it, and it is ours now."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return CLAIMED_PORTS.claim(port)


def four_letter_word(address, word, timeout_s=5.0):
    """What the server answers to `word` (text or bytes), read until it closes."""
    raw = word if isinstance(word, bytes) else word.encode("ascii")
    answer = b""
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(raw)
        while True:
            piece = sock.recv(65536)
            if not piece:
                return answer
            answer += piece


class Server:
    """One standalone server. `cfg` adds or replaces zoo.cfg keys (None removes one), `properties`
    are Java system properties. Port and data survive stop() and start(); close() removes all."""

    def __init__(self, kind, cfg=None, properties=None, port=None, log_level="WARN"):
        if kind not in KINDS:
            raise ValueError(f"server kind must be one of {KINDS}, not {kind!r}")
        self.kind = kind
        self.properties = dict(properties or {})
        self.log_level = log_level
        self.port = port or free_port()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"interop-{kind}-"))
        self.datadir = self.home / "data"
        self.datadir.mkdir()
        self.log = self.home / "server.log"
        self.cfg = {**DEFAULT_CFG, **(cfg or {})}
        self.process = None

    address = property(lambda self: ("127.0.0.1", self.port))
    hostport = property(lambda self: f"127.0.0.1:{self.port}")
    pid = property(lambda self: self.process.pid if self.process else None)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts the process and returns self when `srvr` is answered with a mode."""
        self.launch()
        return self.await_serving()

    def launch(self):
        """Starts the process and does not wait."""
        self.write_cfg()
        command, environment = self.command()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.home, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )

    def await_serving(self):
        """Returns self when `srvr` is answered with a mode; kills the process if it never is."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.serving():
                return self
            time.sleep(0.05)
        self.kill()
        raise CannotRun(f"the {self.kind} server did not start; its last lines: {self.log_tail()}")

    def write_cfg(self):
        """Writes zoo.cfg as Apache reads it."""
        keys = {"dataDir": self.datadir, "clientPort": self.port, **self.cfg}
        lines = [f"{key}={value}\n" for key, value in keys.items() if value is not None]
        (self.home / "zoo.cfg").write_text("".join(lines), encoding="utf-8")

    def command(self):
        """Command line and environment of the server process."""
        words = [f"-D{name}={value}" for name, value in self.properties.items()]
        environment = dict(os.environ)
        if self.kind == "oxkeeper":
            if not BINARY.exists():
                raise CannotRun(f"{BINARY} is missing; build it with `cargo build --release`")
            environment["JVMFLAGS"] = " ".join(words)
            return [str(BINARY), "serve", str(self.home / "zoo.cfg")], environment
        java = shutil.which("java")
        if java is None:
            raise CannotRun("java is not installed; Apache's server cannot be started")
        # The quickest start on a small machine; none of it changes what the server answers.
        flags = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        flags.append(f"-Dzookeeper.test.log={self.log_level}")
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        path = apache_classpath()
        return [java, *flags, *words, "-cp", path, main, str(self.home / "zoo.cfg")], environment

    def serving(self):
        """True once the server answers srvr with a mode line."""
        try:
            return b"Mode: " in four_letter_word(self.address, "srvr", timeout_s=2.0)
        except OSError:
            return False

    def log_tail(self, lines=12):
        """The end of what the process wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def end(self, number):
        """Sends a signal and waits; after STOP_S the process is killed and that is an error."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the {self.kind} server ignored signal {number}") from None

    def stop(self):
        """Ends the process as an operator does; returns its exit status."""
        return self.end(signal.SIGTERM)

    def kill(self):
        """Ends the process as a power cut does."""
        return self.end(signal.SIGKILL)

    def restart(self):
        """Stops and starts again on the same port and data."""
        self.stop()
        return self.start()

    def signal(self, number):
        """Sends a signal without waiting (SIGSTOP, SIGCONT)."""
        self.process.send_signal(number)

    def close(self):
        """Stops the server and removes its directory. Set OXKEEPER_KEEP=1 to keep the directory."""
        try:
            self.stop()
        finally:
            if os.environ.get("OXKEEPER_KEEP"):
                print(f"kept {self.home}", file=sys.stderr)
            else:
                shutil.rmtree(self.home, ignore_errors=True)

    def environment(self):
        """The variables a test finds in its environment."""
        return {
            "ZK_HOST": "127.0.0.1", "ZK_PORT": str(self.port), "ZK_HOSTPORT": self.hostport,
            "ZK_DATADIR": str(self.datadir), "ZK_SERVER": self.kind, "ZK_PID": str(self.pid),
        }


def under_test(kind, cfg=None, properties=None, port=None):
    """The server that a client suite tests: one that stands alone or, if OXKEEPER_ROLE names a role
    (leader, follower, observer), the member of an ensemble that has it. The other members are of
    the kind in OXKEEPER_BESIDE, or of the same."""
    role = os.environ.get("OXKEEPER_ROLE")
    if not role:
        return Server(kind, cfg, properties, port)
    # ensemble.py is built on this file.
    from ensemble import Place
    return Place(kind, role, os.environ.get("OXKEEPER_BESIDE"), cfg, properties, port)


def control_word(server, word):
    """Carries out one word of the control socket and returns the answer line."""
    actions = {
        "stop": server.stop,
        "kill": server.kill,
        "start": server.start,
        "restart": server.restart,
        "suspend": lambda: server.signal(signal.SIGSTOP),
        "resume": lambda: server.signal(signal.SIGCONT),
        "pid": lambda: None,
    }
    if word not in actions:
        return f"error: unknown word {word!r}; known: {' '.join(actions)}"
    try:
        actions[word]()
    except Exception as error:  # the test, not this process, has to hear of it
        return f"error: {error}".replace("\n", " | ")
    return str(server.pid) if word == "pid" else "ok"


def control_listener(server):
    """Serves `control_word` on a loopback port, one word a line; returns the listener."""

    class Words(socketserver.StreamRequestHandler):
        """One connection of the control socket."""

        def handle(self):
            for line in self.rfile:
                answer = control_word(server, line.decode("ascii", "replace").strip())
                self.wfile.write(answer.encode("utf-8") + b"\n")

    class Listener(socketserver.ThreadingTCPServer):
        """Dies with the process; open control connections don't hold it."""

        daemon_threads = True
        block_on_close = False

    listener = Listener(("127.0.0.1", 0), Words)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return listener


def send_control(word):
    """The client side of the control socket; returns the answer line."""
    host, port = os.environ["ZK_CONTROL"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=START_S + STOP_S) as sock:
        sock.sendall(word.encode("ascii") + b"\n")
        return sock.makefile("r", encoding="utf-8").readline().strip()


def pair(text):
    """Parses KEY=VALUE of the command line."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def run_command(options):
    """`servers.py exec`: a server around a command."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise CannotRun("nothing to run: give a command after --")
    with under_test(options.server, dict(options.cfg), dict(options.property)) as server:
        listener = control_listener(server)
        control = "127.0.0.1:%d" % listener.server_address[1]
        environment = {**os.environ, **server.environment(), "ZK_CONTROL": control}
        status = subprocess.run(command, env=environment, check=False).returncode
        if status != 0 and options.verbose:
            print(server.log_tail(60), file=sys.stderr)
        return status if status >= 0 else 1


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    around = verbs.add_parser("exec", help="run a command with a server beside it")
    around.add_argument("--server", choices=KINDS, default="oxkeeper")
    around.add_argument("--cfg", type=pair, action="append", default=[], metavar="KEY=VALUE")
    around.add_argument("--property", type=pair, action="append", default=[], metavar="NAME=VALUE")
    around.add_argument("--verbose", action="store_true", help="show the server's log on failure")
    around.add_argument("command", nargs=argparse.REMAINDER)
    control = verbs.add_parser("control", help="send a word to the server of `exec`")
    control.add_argument("word")
    verbs.add_parser("classpath", help="fetch Apache ZooKeeper and print its class path")
    options = parser.parse_args()
    try:
        if options.verb == "exec":
            return run_command(options)
        if options.verb == "control":
            answer = send_control(options.word)
            print(answer)
            return int(answer.startswith("error"))
        print(apache_classpath())
        return 0
    except CannotRun as error:
        print(f"could not run: {error}", file=sys.stderr)
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main())
