"""Counts a suite's checks and ends it as interop/README.md says."""

import argparse
import sys
import traceback

from servers import CANNOT_RUN, KINDS, CannotRun


class Verdict:
    """The checks of one run."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, problem=""):
        """Prints and counts one check; `problem` is what is wrong, empty if nothing is."""
        self.passed, self.failed = self.passed + (not problem), self.failed + bool(problem)
        print(f"{'FAIL' if problem else 'ok  '} {name}", flush=True)
        if problem:
            print("     " + str(problem).replace("\n", "\n     "), flush=True)
        return not problem

    def attempt(self, name, test, *arguments):
        """Runs a test that says what is wrong by returning text or by an AssertionError, and that
        fails when a connection, a server or a deadline does; returns whether it passed."""
        try:
            return self.check(name, test(*arguments) or "")
        except (AssertionError, OSError, RuntimeError, ValueError) as error:
            trace = traceback.extract_tb(error.__traceback__)[1:]
            at = " > ".join(f"{one.name}:{one.lineno}" for one in trace)
            return self.check(name, f"{type(error).__name__}: {error} ({at})")

    def close(self):
        """Prints the closing line; returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return int(self.failed > 0)


def options(description, **more):
    """The command line that every suite has; `more` maps further flags to add_argument's words."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", choices=KINDS, default="oxkeeper")
    for flag, words in more.items():
        parser.add_argument(f"--{flag}", **words)
    parser.add_argument("only", nargs="*", help="only tests whose name holds one of these words")
    return parser.parse_args()


def conclude(main):
    """Runs a suite's main, which returns an exit status; a suite that cannot run exits with 2."""
    try:
        sys.exit(main())
    except CannotRun as error:
        print(f"could not run: {error}", file=sys.stderr)
        sys.exit(CANNOT_RUN)
