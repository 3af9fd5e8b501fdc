"""The programs that the suite needs, built or fetched before there is no network any more."""

import collections
import os
import pathlib
import shutil
import subprocess

from judging import checker
from pip_venv import venv_python
from servers import CACHE, CannotRun

SUITE = pathlib.Path(__file__).resolve().parent

Programs = collections.namedtuple("Programs", "kazoo go judge")


def prepared():
    """The command lines of a Kazoo and a Go client, and of the judge of registers."""
    python = venv_python("kazoo", SUITE.parent / "kazoo" / "requirements.txt")
    # Named for the second time that this is asked.
    os.environ["OXKEEPER_CHECK"] = str(checker())
    return Programs([str(python), str(SUITE / "kazoo_client.py")], [str(go_client())],
                    os.environ["OXKEEPER_CHECK"])


def go_client():
    """The Go client, built anew unless it is newer than its source."""
    program = CACHE / "nemesis" / "goclient"
    sources = list((SUITE / "goclient").iterdir())
    if program.exists() and program.stat().st_mtime > max(one.stat().st_mtime for one in sources):
        return program
    if shutil.which("go") is None:
        raise CannotRun("go is not installed")
    program.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOMODCACHE": str(CACHE / "go" / "mod"),
                   "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", "build", "-o", str(program), "."], cwd=SUITE / "goclient",
                          env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"the Go client does not build: {done.stderr.strip()}")
    return program
