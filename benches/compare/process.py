"""What a running server costs and does, read from /proc: memory, processor time, open snapshots."""

import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

MIB = 1 << 20
# Names under which a snapshot is being written: Apache's own name, and ours before the rename.
SNAPSHOT = re.compile(r"^(snapshot\.|oxkeeper\.part\.)")
POLL_S = 0.02


def memory(pid):
    """Resident bytes: anonymous, of files (the binary, mapped files, shared memory), and both."""
    values = {"RssAnon": 0, "RssFile": 0, "RssShmem": 0}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in values:
            values[name] = int(rest.split()[0]) * 1024
    files = values["RssFile"] + values["RssShmem"]
    return {"anon": values["RssAnon"], "file": files, "all": values["RssAnon"] + files}


def settled_memory(pid, wait_s=3.0):
    """Memory when a background task that follows a load has had its time."""
    time.sleep(wait_s)
    return memory(pid)


def live_heap(pid):
    """Bytes that a JVM's heap holds after a full collection; None for what is no JVM."""
    jcmd = shutil.which("jcmd")
    if jcmd is None or "java" not in os.readlink(f"/proc/{pid}/exe"):
        return None
    for words in (["GC.run"], ["GC.heap_info"]):
        told = subprocess.run([jcmd, str(pid), *words], stdout=subprocess.PIPE, check=False).stdout
    used = re.search(rb"heap\s+total \d+K, used (\d+)K", told)
    return int(used.group(1)) * 1024 if used else None


def cpu_s(pid):
    """Processor time that the process has used, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writing_snapshot(pid):
    """Whether the process has a snapshot open."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return False
    for number in numbers:
        try:
            if SNAPSHOT.match(os.path.basename(os.readlink(f"{folder}/{number}"))):
                return True
        except OSError:
            continue
    return False


class Snapshots(threading.Thread):
    """Watches a process for the times (s since 1970) in which it writes a snapshot."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.ending = threading.Event()
        self.intervals = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join()

    def run(self):
        begun = None
        while not self.ending.wait(POLL_S):
            writing, now = writing_snapshot(self.pid), time.time()
            if writing and begun is None:
                begun = now - POLL_S
            elif not writing and begun is not None:
                self.intervals.append((begun, now))
                begun = None
        if begun is not None:
            self.intervals.append((begun, time.time()))
