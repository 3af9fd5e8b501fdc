"""The ensemble that conf/ensemble.sh starts, as the README tells people to."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from servers import BINARY, PORTS, CannotRun, claim_port, four_letter_word
from session import Session, tree, tree_difference
from wire import create, exists, sync

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "conf" / "ensemble.sh"
# How far the script's quorum and election ports are above the client ports.
OFFSETS = (0, 701, 1701)
SERVING_S = 60


def first_port(members):
    """A client port for the first member with all of the script's ports free."""
    for _ in range(200):
        first = random.randrange(PORTS.start, PORTS.stop - OFFSETS[-1] - members)
        if all(claim_port(first + offset + n) for offset in OFFSETS for n in range(members)):
            return first
    raise CannotRun("no free range of ports for conf/ensemble.sh")


class Script:
    """conf/ensemble.sh with that many members, on a directory of its own."""

    def __init__(self, members):
        self.members = members
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="interop-script-"))
        first = first_port(members)
        self.addresses = [("127.0.0.1", first + number) for number in range(members)]
        self.process = None

    def start(self):
        """Starts the script and waits until all members serve; returns the modes, sorted."""
        environment = dict(os.environ, OXKEEPER=str(BINARY),
                           FIRST_CLIENT_PORT=str(self.addresses[0][1]))
        self.process = subprocess.Popen(
            [str(SCRIPT), str(self.members), str(self.home)], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + SERVING_S
        while True:
            modes = sorted(filter(None, map(mode, self.addresses)))
            if len(modes) == self.members:
                return modes
            assert self.process.poll() is None, f"the script ended: {self.process.returncode}"
            assert time.monotonic() < deadline, f"after {SERVING_S} s only {modes} serve"
            time.sleep(0.05)

    def stop(self):
        """Ends the script as Ctrl-C does; every member must have ended with it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        left = [address for address in self.addresses if mode(address)]
        assert not left, f"still there after the script: {left}"

    def close(self):
        """Ends whatever runs and removes the directory."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def mode(address):
    """The mode that a server tells, None if it serves nobody."""
    try:
        text = four_letter_word(address, "srvr", 2.0).decode()
    except OSError:
        return None
    return next((line[6:] for line in text.splitlines() if line.startswith("Mode: ")), None)


def of_the_script(members):
    """Start, write through each member, read at each, stop, start again: all is there."""
    script = Script(members)
    try:
        wanted = ["follower"] * (members - 1) + ["leader"]
        modes = script.start()
        assert modes == wanted, f"modes {modes}"
        for number, address in enumerate(script.addresses):
            with Session(address) as session:
                session.must(create(f"/by{number}", b"hello"))
        for address in script.addresses:
            with Session(address) as session:
                session.must(sync("/"))
                for number in range(members):
                    session.must(exists(f"/by{number}"))
        before = tree(script.addresses[0])
        script.stop()
        modes = script.start()
        assert modes == wanted, f"after a restart: modes {modes}"
        return tree_difference(before, tree(script.addresses[-1]))
    finally:
        script.close()
