"""oxkeeper-check, the program that judges histories of clients."""

import os
import pathlib
import shutil
import subprocess

from servers import INTEROP, CannotRun

REPOSITORY = INTEROP.parent


def checker():
    """The path of the program, which is built unless OXKEEPER_CHECK names a built one."""
    named = os.environ.get("OXKEEPER_CHECK")
    if named:
        return pathlib.Path(named)
    if shutil.which("cargo") is None:
        raise CannotRun("cargo is not installed to build oxkeeper-check; "
                        "set OXKEEPER_CHECK to a built one")
    words = ["cargo", "build", "--quiet", "--features", "sim", "--bin", "oxkeeper-check"]
    if subprocess.run(words, cwd=REPOSITORY, check=False).returncode != 0:
        raise CannotRun("oxkeeper-check does not build")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "debug" / "oxkeeper-check"
