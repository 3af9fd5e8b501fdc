"""A Python virtual environment for a suite, filled by pip once and kept in the cache."""

import hashlib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from cache import CACHE, locked  # noqa: E402
from servers import CannotRun  # noqa: E402


def venv_python(name, requirements):
    """Path of a python that has what the file `requirements` pins; made when the file changes."""
    home = CACHE / name
    home.mkdir(parents=True, exist_ok=True)
    pinned = pathlib.Path(requirements).read_bytes()
    mark = home / "installed"
    wanted = hashlib.sha256(pinned).hexdigest() + " " + sys.version
    python = home / "venv" / "bin" / "python"
    with locked(f"{name}/venv"):
        if not (mark.exists() and mark.read_text(encoding="utf-8") == wanted):
            install(home / "venv", python, requirements)
            mark.write_text(wanted, encoding="utf-8")
    return python


def install(folder, python, requirements):
    """Makes the environment anew and installs into it."""
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)],
    )
    for step in steps:
        output = subprocess.PIPE
        done = subprocess.run(step, stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            raise CannotRun(f"`{' '.join(step)}` failed: {' '.join(said)}")
