"""The rows of load that `run` knows: names, what `oxkeeper bench` is told, what bounds them."""

import collections

# `arguments` of `oxkeeper bench`; `limit`, which bare server bounds it: "echo", "echo + sync" for
# what must be on disk before it is answered, None where a bare server has no such thing;
# `sessions`, how many connections the row opens.
Row = collections.namedtuple("Row", "arguments limit sessions")


def row(operation, sessions, in_flight, *more, limit=None):
    """One row."""
    words = ["-o", operation, "-c", str(sessions), "-f", str(in_flight), *more]
    return Row(words, limit, sessions)


READ, WRITE = "echo", "echo + sync"

# The rows of the goals, most looked at first. `N x M`: N sessions, M requests in flight on each.
TARGETS = {
    "reads, 32 x 16": row("get", 32, 16, limit=READ),
    "writes, 32 x 16": row("set", 32, 16, limit=WRITE),
    "reads, 1 x 1": row("get", 1, 1, limit=READ),
    "writes, 1 x 1": row("set", 1, 1, limit=WRITE),
    "creates, 32 x 16": row("create", 32, 16, limit=WRITE),
    "reads, 32 x 1": row("get", 32, 1, limit=READ),
    "writes, 32 x 1": row("set", 32, 1, limit=WRITE),
    "creates, 32 x 1": row("create", 32, 1, limit=WRITE),
    "creates, 1 x 1": row("create", 1, 1, limit=WRITE),
    "mixed 90/10, 64 x 4": row("mixed", 64, 4, limit=WRITE),
    "children of 1,000, 32 x 4": row("children", 32, 4, "--children", "1000", limit=READ),
    "sessions, 32": row("session", 32, 1, limit=WRITE),
    "watches, 1 node x 10,000": row("watch", 10_000, 64, "--nodes", "1"),
    "watches, 10,000 nodes x 100": row("watch", 100, 64, "--nodes", "10000"),
}
DEFAULT = list(TARGETS)[:4]

# Beside the goals.
MORE = {
    "exists, 32 x 16": row("exists", 32, 16, limit=READ),
    "writes of 1 KB, 32 x 16": row("set", 32, 16, "--size", "1024", limit=WRITE),
    "deletes, 32 x 16": row("delete", 32, 16, limit=WRITE),
    "children of 100, 32 x 4": row("children", 32, 4, limit=READ),
    "field mix, 32 x 4": row("field-mix", 32, 4, limit=WRITE),
    "multi of 10 sets, 32 x 4": row("multi", 32, 4, limit=WRITE),
}

# Operation of the grid -> words for `oxkeeper bench`.
GRID_OPERATIONS = {
    "get": ("get", READ),
    "exists": ("exists", READ),
    "set100": ("set", WRITE),
    "set1k": ("set", WRITE, "--size", "1024"),
    "create": ("create", WRITE),
    "delete": ("delete", WRITE),
    "children100": ("children", READ),
    "mixed": ("mixed", WRITE),
    "field-mix": ("field-mix", WRITE),
    "multi10": ("multi", WRITE),
}
GRID_SESSIONS = (1, 10, 100, 1_000)
# Deletes are counted, not timed: as many as keep a row at a second or more.
DELETES = {1: 10_000, 10: 50_000, 100: 100_000, 1_000: 200_000}


def grid():
    """One request in flight on each of 1 to 1,000 sessions, every operation."""
    rows = {}
    for name, (operation, limit, *more) in GRID_OPERATIONS.items():
        for sessions in GRID_SESSIONS:
            counted = ["--ops", str(DELETES[sessions])] if operation == "delete" else []
            rows[f"{name} x {sessions}"] = row(operation, sessions, 1, *more, *counted, limit=limit)
    return rows


GRID = grid()
ROWS = {**TARGETS, **MORE, **GRID}
GROUPS = {"targets": TARGETS, "more": MORE, "grid": GRID}
