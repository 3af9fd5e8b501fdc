"""A time of day for each member that can jump (by clock.c, preloaded)."""

import pathlib
import struct

from network import run

SUITE = pathlib.Path(__file__).resolve().parent


class Clocks:
    """The built clock.c, beside the library of the disks' faults."""

    def __init__(self, disks):
        self.disks = disks
        self.library = disks.home / "clock.so"
        run("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-o", str(self.library), str(SUITE / "clock.c"))

    def place(self, member):
        """Gives a member its clock; it has its disk."""
        set_ahead(member, 0)
        member.prefix = [*member.prefix, "env",
                         f"LD_PRELOAD={self.disks.library}:{self.library}",
                         f"FAULTY_CLOCK={told(member)}"]


def told(member):
    """The file with the member's offset."""
    return member.home / "clock-ahead"


def set_ahead(member, seconds):
    """Lets a member's time of day jump; in place, since the member has the file mapped."""
    with open(told(member), "r+b" if told(member).exists() else "w+b", buffering=0) as file:
        file.write(struct.pack("q", round(seconds * 1000)))
