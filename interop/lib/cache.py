"""The folder that downloads are kept in, and locks for what suites that run side by side share."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import threading

INTEROP = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("OXKEEPER_CACHE", INTEROP / ".cache"))


@contextlib.contextmanager
def locked(name):
    """Holds the lock of that name among all processes with this cache; it ends with its process."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def maven(*words, **how):
    """Runs Maven as subprocess.run does, `how` being what that takes. One Maven at a time: two that
    fetch the same package into the local repository harm each other. Whoever holds another lock may
    wait here, and nothing else is waited for from within."""
    with locked("maven"):
        return subprocess.run(["mvn", "-q", "-B", *words], check=False, **how)


class Claims:
    """Numbers that this process has for as long as it lives, and no other one with this cache."""

    def __init__(self, name):
        self.name = name
        self.file = None
        self.taken = set()
        self.mutex = threading.Lock()

    def claim(self, number):
        """Whether the number was nobody's and is ours from now on.

        A lock on the byte at that offset says so to others. It is a lock of the process: children
        don't have it, and it ends only with the file, which is therefore opened once and never
        closed."""
        with self.mutex:
            if self.file is None:
                CACHE.mkdir(parents=True, exist_ok=True)
                self.file = open(CACHE / f"{self.name}.lock", "wb")  # noqa: SIM115
            if number in self.taken:
                return False
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                return False
            self.taken.add(number)
            return True
