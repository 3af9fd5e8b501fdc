"""pytest plug-in: Kazoo's test harness on servers that ours starts.

Kazoo's tests ask `kazoo.testing.harness.get_global_cluster()` for a cluster and start, stop and
address its members. This plug-in answers with one standalone server of the kind named by
OXKEEPER_KAZOO_SERVER, leaves out the tests listed in excluded.txt, takes a skip that is not listed
there for a failure, and prints the suite's closing line.
"""

import atexit
import os
import pathlib

from kazoo.testing import harness

from servers import under_test

KIND = os.environ["OXKEEPER_KAZOO_SERVER"]
EXCLUDED = pathlib.Path(__file__).with_name("excluded.txt")
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="  # super:test, as Kazoo's own harness has it


class Member:
    """One server with the face of kazoo.testing.common.ManagedZooKeeper."""

    def __init__(self):
        self.server = None

    running = property(lambda self: self.server is not None and self.server.pid is not None)
    address = property(lambda self: self.server.hostport)
    client_port = property(lambda self: self.server.port)

    def run(self):
        """Starts the server; after stop() on the same port and data."""
        if self.running:
            return
        if self.server is None:
            properties = {"zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST}
            self.server = under_test(KIND, properties=properties)
        self.server.start()

    def stop(self):
        """Ends the process and keeps the data."""
        if self.server is not None:
            self.server.stop()

    def destroy(self):
        """Ends the process and removes the data."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def reset(self):
        """An empty, stopped server."""
        self.destroy()

    def get_logs(self, num_lines=100):
        """Last lines of the server's log."""
        return self.server.log_tail(num_lines).splitlines() if self.server else []


class Cluster:
    """A cluster of one, with the face of kazoo.testing.common.ZookeeperCluster."""

    def __init__(self):
        self.members = [Member()]

    def __getitem__(self, index):
        return self.members[index]

    def __iter__(self):
        return iter(self.members)

    def start(self):
        """Starts every member; returns when it serves."""
        for member in self.members:
            member.run()

    def stop(self):
        """Stops every member."""
        for member in self.members:
            member.stop()

    def terminate(self):
        """Stops every member and removes its data."""
        for member in self.members:
            member.destroy()

    def reset(self):
        """Empties every member."""
        self.terminate()

    def get_logs(self):
        """Last lines of all logs."""
        return [line for member in self.members for line in member.get_logs()]


CLUSTER = Cluster()
harness.get_global_cluster = lambda: CLUSTER
atexit.register(CLUSTER.terminate)


def excluded_tests():
    """Test names of excluded.txt: `file.py::Class::test` (or a prefix of that), reason after #."""
    lines = EXCLUDED.read_text(encoding="utf-8").splitlines()
    names = [line.split("#")[0].strip() for line in lines]
    return tuple(name for name in names if name)


def pytest_collection_modifyitems(config, items):
    """Leaves out what excluded.txt names."""
    names = excluded_tests()
    left_out = [item for item in items if item.nodeid.rsplit("/", 1)[-1].startswith(names)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """Counts what ran; the closing line is printed when pytest has said everything else."""
    stats = terminalreporter.stats
    skipped = stats.get("skipped", [])
    for report in skipped:
        terminalreporter.write_line(f"SKIPPED (not in excluded.txt) {report.nodeid}")
    failed = len(stats.get("failed", [])) + len(stats.get("error", [])) + len(skipped)
    config.stash_counts = (len(stats.get("passed", [])), failed)


def pytest_sessionfinish(session, exitstatus):
    """A skip that nobody explained fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter.stats.get("skipped"):
        session.exitstatus = 1


def pytest_unconfigure(config):
    """The closing line."""
    passed, failed = getattr(config, "stash_counts", (0, 1))
    print(f"{passed} passed, {failed} failed")
