"""Picks out of a suite's output the lines that say what failed.

A CI log may be cut at its head, so interop/run says at its very end again what each failing suite
said in the midst of it. The suites report in the formats of half a dozen test kits.
"""

import re

LINES_MAX = 60
# Of one failure: its first lines say what was wrong, the rest is mostly frames of a stack.
LINES_PER_FAILURE_MIN = 4
LINE_CHARACTERS_MAX = 300
NAMES_A_FAILURE = re.compile(
    r"""^\s*(
        FAIL(ED)?\b                       # lib/verdict.py and other suites in Python; pytest -rf
      | ERROR\b                           # pytest -rE
      | _{3,}\ .*\ _{3,}$                 # pytest, above a trace
      | not\ ok\b                         # TAP (node)
      | ---\ FAIL:                        # go test
      | panic:                            # go test
      | ----\ .*\ stdout\ ----$           # cargo test
      | JUnit\ \w+:                       # JUnit's console, below "Failures (N):"
      | (could\ not|cannot)\ run\b
    )""",
    re.VERBOSE,
)
# Belongs to a failure wherever it stands: pytest, JUnit, go test, cargo test.
SAYS_WHY = re.compile(
    r"^\s*(E\s|=>|Caused by:|\w*\.go:\d+:|assertion |left:|right:)|.*panicked at "
)


def of_failures(output):
    """The lines of `output` (a list) that name failures, with what is indented below each; if none
    does, its last lines. At most LINES_MAX."""
    starts = [n for n, line in enumerate(output) if NAMES_A_FAILURE.match(line)]
    if not starts:
        return [clip(line) for line in output[-LINES_MAX:]]
    share = max(LINES_PER_FAILURE_MIN, LINES_MAX // len(starts))
    picked = sorted({n for start in starts for n in about(output, start, share)})
    lines = [clip(output[n]) for n in picked[:LINES_MAX]]
    if len(picked) > LINES_MAX:
        lines.append(f"... and {len(picked) - LINES_MAX} more lines about failures")
    return lines


def about(output, start, share):
    """Numbers of at most `share` lines about the failure that line `start` names."""
    numbers = [start]
    depth = indentation(output[start])
    of_go = "--- FAIL:" in output[start]
    if of_go:
        # It prints what a test said before its name; what comes below is the next test's.
        n = start - 1
        while n >= 0 and len(numbers) < share and SAYS_WHY.match(output[n]):
            numbers.append(n)
            n -= 1
    below = True
    for n in range(start + 1, len(output)):
        line = output[n]
        if len(numbers) == share or NAMES_A_FAILURE.match(line):
            break
        below = below and (indentation(line) > depth or not line.strip())
        if (below and line.strip()) or (SAYS_WHY.match(line) and not of_go):
            numbers.append(n)
    return numbers


def indentation(line):
    """How many blanks the line begins with."""
    return len(line) - len(line.lstrip())


def clip(line):
    """The line, shortened if it is a very long one."""
    return line if len(line) <= LINE_CHARACTERS_MAX else line[:LINE_CHARACTERS_MAX] + " ..."
