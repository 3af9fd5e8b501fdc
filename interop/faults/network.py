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
MEMBERS_MAX = 9
# A queue with room for less than any packet.
NO_ROOM, ONE_BYTE = ("qdisc", "replace"), ("root", "bfifo", "limit", "1")


def enter():
    """Starts the program again inside fresh namespaces; returns at once when it is there."""
    if os.environ.get(INSIDE):
        prepare()
        return
    for tool in ("unshare", "ip", "tc", "mount"):
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


def hardware_address(bridge, sid):
    """The address of a member's network card on a bridge: known to all, so that nobody has to ask
    for it over a wire that works one way only."""
    return f"02:00:00:00:0{('peers', 'clients').index(bridge)}:{sid:02x}"


def house(member):
    """Gives a member its namespace."""
    name = f"member{member.sid}"
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    member.host, member.peer_host = f"{CLIENTS}.{member.sid}", f"{PEERS}.{member.sid}"
    member.prefix = ["ip", "netns", "exec", name]


def wire(member, bridge, network):
    """Gives a member a network card on a bridge."""
    name = f"member{member.sid}"
    run("ip", "link", "add", f"{bridge}{member.sid}", "type", "veth", "peer", "name", bridge,
        "address", hardware_address(bridge, member.sid), "netns", name)
    run("ip", "link", "set", f"{bridge}{member.sid}", "master", bridge, "up")
    run("ip", "-n", name, "addr", "add", f"{network}.{member.sid}/24", "dev", bridge)
    run("ip", "-n", name, "link", "set", bridge, "up")


def place(member):
    """Gives a member its namespace and its two addresses."""
    house(member)
    wire(member, "peers", PEERS)
    wire(member, "clients", CLIENTS)
    for sid in range(1, MEMBERS_MAX + 1):
        if sid != member.sid:
            run("ip", "-n", f"member{member.sid}", "neigh", "replace", f"{PEERS}.{sid}",
                "dev", "peers", "lladdr", hardware_address("peers", sid), "nud", "permanent")


def clear(members, bridges=("peers", "clients")):
    """Takes the members' namespaces away; nothing may run in them any more."""
    for member in members:
        # The kernel takes its time with what is in a namespace that goes; the next test may want
        # wires of the same names.
        for bridge in bridges:
            run("ip", "link", "del", f"{bridge}{member.sid}")
        run("ip", "netns", "del", f"member{member.sid}")


def cut(member):
    """Takes the wire between a member and its peers away; its clients still reach it."""
    run("ip", "link", "set", f"peers{member.sid}", "down")


def mute(member):
    """Nothing that a member says reaches its peers: no packet fits into its card's queue. It hears
    them, and its clients reach it both ways."""
    run("tc", "-n", f"member{member.sid}", *NO_ROOM, "dev", "peers", *ONE_BYTE)


def deafen(member):
    """Nothing that its peers say reaches a member; they hear it."""
    run("tc", *NO_ROOM, "dev", f"peers{member.sid}", *ONE_BYTE)


def join(member):
    """Puts the wire back, both ways."""
    run("ip", "link", "set", f"peers{member.sid}", "up")
    for words in (("-n", f"member{member.sid}", "qdisc", "del", "dev", "peers", "root"),
                  ("qdisc", "del", "dev", f"peers{member.sid}", "root")):
        # There is none unless this way was cut.
        subprocess.run(["tc", *words], capture_output=True, check=False)
