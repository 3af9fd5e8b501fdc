#!/usr/bin/env python3
"""Builds a JVM suite with Maven, runs its JUnit tests beside a server, prints the closing line.

    junit.py SUITE --server KIND [--cfg KEY=VALUE ...] [--property NAME=VALUE ...] [--only CLASS]

Everything but --only goes to lib/servers.py. Classes and jars live in $OXKEEPER_CACHE/SUITE; Maven
is started only when a source file or a pom is newer than what is there.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from cache import CACHE, INTEROP, locked, maven  # noqa: E402

CANNOT_RUN = 2
# A suite that hangs is a failed suite.
SUITE_S = 900


def cannot_run(text):
    """Ends with the status of a suite that could not run."""
    print(f"could not run: {text}", file=sys.stderr)
    sys.exit(CANNOT_RUN)


def build(suite):
    """Compiles the suite's tests and gathers its jars; returns the class path."""
    # It may be asked for in several roles side by side; one of them builds.
    with locked(suite):
        build_if_old(suite, CACHE / suite)
    return f"{CACHE / suite / 'test-classes'}{os.pathsep}{CACHE / suite / 'jars'}/*"


def build_if_old(suite, home):
    """Builds the suite into `home` unless what is there is newer than the sources."""
    stamp = home / "built"
    pom = INTEROP / suite / "pom.xml"
    sources = [pom, INTEROP / "lib" / "jvm" / "pom.xml", *(INTEROP / suite / "src").rglob("*.java")]
    newest = max(source.stat().st_mtime for source in sources)
    if shutil.which("java") is None:
        cannot_run("java is not installed; the client runs on a JDK 11 or later")
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        if shutil.which("mvn") is None:
            cannot_run("mvn (Maven) is not installed")
        # A class whose source has gone must not be run again.
        shutil.rmtree(home, ignore_errors=True)
        words = [
            "-Dstyle.color=never", "-f", str(pom), f"-Dsuite.build={home}",
            "test-compile", "dependency:copy-dependencies", f"-DoutputDirectory={home / 'jars'}",
        ]
        # Offline first: quick, and the only way without a network once ~/.m2 has the packages.
        if maven(*words, "-o", capture_output=True).returncode != 0:
            done = maven(*words, stdout=sys.stderr)
            if done.returncode != 0:
                cannot_run(f"Maven could not build interop/{suite} (its errors are above)")
        stamp.touch()


def launcher(suite, classpath, only):
    """The command line that runs the tests."""
    selection = [f"--select-class={name}" for name in only]
    if not selection:
        selection = [f"--scan-classpath={CACHE / suite / 'test-classes'}"]
    return [
        "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath,
        "org.junit.platform.console.ConsoleLauncher", "execute", *selection,
        "--disable-banner", "--disable-ansi-colors", "--details=summary", "--fail-if-no-tests",
        "--config=junit.jupiter.execution.parallel.enabled=true",
        "--config=junit.jupiter.execution.parallel.mode.classes.default=concurrent",
        "--config=junit.jupiter.execution.parallel.config.strategy=fixed",
        "--config=junit.jupiter.execution.parallel.config.fixed.parallelism=4",
        "--config=junit.jupiter.execution.timeout.default=90s",
    ]


def count(text, what):
    """The number in the launcher's summary line `[ N what ]`."""
    found = re.search(rf"\[\s*(\d+) {what}\s*\]", text)
    return int(found[1]) if found else 0


def main():
    """Builds, runs, counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("--only", action="append", default=[], metavar="CLASS")
    options, for_server = parser.parse_known_args()
    classpath = build(options.suite)
    servers = [sys.executable, str(INTEROP / "lib" / "servers.py"), "exec", *for_server, "--"]
    command = servers + launcher(options.suite, classpath, options.only)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=False, timeout=SUITE_S
        )
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"))
        print(f"the suite did not end within {SUITE_S} s\n0 passed, 1 failed")
        return 1
    if done.returncode == CANNOT_RUN or "tests found" not in done.stdout:
        print(done.stdout)
        return CANNOT_RUN
    passed = count(done.stdout, "tests successful")
    failed = count(done.stdout, "tests failed") + count(done.stdout, "containers failed")
    failed += count(done.stdout, "tests aborted") + count(done.stdout, "tests skipped")
    if failed:
        print(done.stdout)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
