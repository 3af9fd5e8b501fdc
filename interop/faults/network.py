"""A network of the test's own: one namespace a member, with a wire to its peers and one to clients.

All of it lives in a network and a mount namespace that `enter` makes, so it goes when the test
ends, however that happens. Needs root, or whoever may make namespaces.
"""

import os
import shutil
import subprocess
import sys

from servers import CannotRun

INSIDE = "OXKEEPER_FAULTS_INSIDE"
PEERS, CLIENTS = "10.99.1", "10.99.2"
DISK_MB = 64


def enter():
    """Starts the program again inside fresh namespaces; returns at once when it is there."""
    if os.environ.get(INSIDE):
        prepare()
        return
    for tool in ("unshare", "ip", "mount"):
        if shutil.which(tool) is None:
            raise CannotRun(f"{tool} is not installed (packages util-linux, iproute2)")
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True,
                      check=False).returncode != 0:
        raise CannotRun("no network namespace can be made here: run this suite as root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def run(*words):
    """Runs a command; CannotRun with what it said if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"`{' '.join(words)}` failed: {done.stderr.strip()}")


def prepare():
    """The two bridges, and a place of our own for the names of namespaces."""
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    run("ip", "link", "set", "lo", "up")
    for bridge in ("peers", "clients"):
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "link", "set", bridge, "up")
    run("ip", "addr", "add", f"{CLIENTS}.254/24", "dev", "clients")


def place(member):
    """Gives a member its namespace, its two addresses and a small disk."""
    name = f"member{member.sid}"
    run("ip", "netns", "add", name)
    inside = ("ip", "-n", name)
    run(*inside, "link", "set", "lo", "up")
    for bridge, network in (("peers", PEERS), ("clients", CLIENTS)):
        wire = f"{bridge}{member.sid}"
        run("ip", "link", "add", wire, "type", "veth", "peer", "name", bridge, "netns", name)
        run("ip", "link", "set", wire, "master", bridge, "up")
        run(*inside, "addr", "add", f"{network}.{member.sid}/24", "dev", bridge)
        run(*inside, "link", "set", bridge, "up")
    run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(member.datadir))
    (member.datadir / "myid").write_text(f"{member.sid}\n", encoding="ascii")
    member.host, member.peer_host = f"{CLIENTS}.{member.sid}", f"{PEERS}.{member.sid}"
    member.prefix = ["ip", "netns", "exec", name]


def clear(members):
    """Takes the members' disks and namespaces away; nothing may run in them any more."""
    for member in members:
        run("umount", str(member.datadir))
        run("ip", "netns", "del", f"member{member.sid}")


def cut(member):
    """Takes the wire between a member and its peers away; its clients still reach it."""
    run("ip", "link", "set", f"peers{member.sid}", "down")


def join(member):
    """Puts the wire back."""
    run("ip", "link", "set", f"peers{member.sid}", "up")


def fill(member):
    """Leaves not a byte on a member's disk."""
    with open(member.datadir / "filler", "wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


def drain(member):
    """Gives the space back."""
    (member.datadir / "filler").unlink(missing_ok=True)
