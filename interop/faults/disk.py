"""A small disk for each member, that can be full, slow, or fail once (by disk.c, preloaded)."""

import os
import pathlib
import shutil
import tempfile

from network import run
from servers import CannotRun

DISK_MB = 64
SUITE = pathlib.Path(__file__).resolve().parent


class Shim:
    """The built disk.c, in a directory that goes with it."""

    def __init__(self):
        if shutil.which("gcc") is None:
            raise CannotRun("gcc is not installed; the disks' faults can't be built")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="interop-disk-"))
        self.library = self.home / "disk.so"
        run("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-o", str(self.library), str(SUITE / "disk.c"))

    def place(self, member):
        """Gives a member its disk; its namespace has been made."""
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(member.datadir))
        (member.datadir / "myid").write_text(f"{member.sid}\n", encoding="ascii")
        member.prefix = [*member.prefix, "env", f"LD_PRELOAD={self.library}",
                         f"FAULTY_DISK={wanted(member)}"]

    def close(self):
        """Takes the library away."""
        shutil.rmtree(self.home, ignore_errors=True)


def clear(members):
    """Takes the members' disks away; nothing may run on them any more."""
    for member in members:
        run("umount", str(member.datadir))


def wanted(member):
    """The file that says what is wrong with a member's disk."""
    return member.home / "disk-fault"


def acted(member):
    """How many of a member's syncs were not as they should be."""
    try:
        return os.stat(f"{wanted(member)}.acted").st_size
    except FileNotFoundError:
        return 0


def order(member, words):
    """Writes the order in one step: the member may be reading it."""
    new = member.home / "disk-fault.new"
    new.write_text(words, encoding="ascii")
    new.rename(wanted(member))


def slow(member, by_s):
    """Each sync takes that much longer from now on."""
    order(member, f"slow {round(by_s * 1000)}")


def fail_once(member):
    """The next sync fails with EIO."""
    order(member, "fail")


def fill(member):
    """Leaves not a byte on a member's disk."""
    with open(member.datadir / "filler", "wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


def mend(member):
    """Gives the space back, and lets syncs be as they should."""
    (member.datadir / "filler").unlink(missing_ok=True)
    wanted(member).unlink(missing_ok=True)
