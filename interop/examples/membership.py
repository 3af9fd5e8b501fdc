"""Cluster membership and heartbeat: everybody knows who is alive.

A member is an ephemeral node. The client's pings are its heartbeat: a member that ends its session
is gone at once, one that falls silent is gone when its session times out, and whoever watches the
group is told. Here one member says goodbye and another is killed without a word.
"""

import os
import subprocess
import sys
import threading

from kazoo.client import KazooClient

PATH = "/examples/members"


def member(name):
    """One member, a process of its own; it stays until its input ends or it is killed."""
    client = KazooClient(os.environ["ZK_HOSTPORT"], timeout=5)
    client.start()
    client.create(f"{PATH}/{name}", name.encode(), ephemeral=True, makepath=True)
    sys.stdin.read()
    client.stop()


def start(name):
    return subprocess.Popen([sys.executable, __file__, name], stdin=subprocess.PIPE)


def main():
    monitor = KazooClient(os.environ["ZK_HOSTPORT"])
    monitor.start()
    monitor.ensure_path(PATH)
    changed, alive = threading.Condition(), set()

    @monitor.ChildrenWatch(PATH)
    def roll_call(names):
        """Called once at the start and after every change."""
        with changed:
            alive.clear()
            alive.update(names)
            changed.notify_all()

    def expect(names):
        with changed:
            assert changed.wait_for(lambda: alive == names, timeout=30), alive
        print("alive:", ", ".join(sorted(names)) or "nobody")

    ann, bob = start("ann"), start("bob")
    expect({"ann", "bob"})
    ann.stdin.close()
    expect({"bob"})
    bob.kill()
    expect(set())
    ann.wait()
    bob.wait()
    monitor.stop()


if len(sys.argv) > 1:
    member(sys.argv[1])
else:
    main()
