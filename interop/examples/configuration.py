"""Configuration management: one node holds the settings, every program keeps a copy.

The server tells a program when the node changes, so the copy is read from memory and refreshed only
then. The node's version says which of two copies is newer; an edit made from an old one is refused.
"""

import json
import os
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError

PATH = "/examples/configuration"


class Settings:
    """The cached copy; `get` never asks the server."""

    def __init__(self, client, path):
        self.changed = threading.Condition()
        self.version, self.values = -1, {}
        client.DataWatch(path, self.refresh)

    def refresh(self, data, stat):
        """Called once at the start and after every change."""
        with self.changed:
            if stat is not None and stat.version > self.version:
                self.version, self.values = stat.version, json.loads(data)
                self.changed.notify_all()

    def get(self, key):
        return self.values[key]

    def wait_for(self, version):
        with self.changed:
            return self.changed.wait_for(lambda: self.version >= version, timeout=15)


def edit(client, path, **changes):
    """Changes some settings; read again and tried again if somebody else was quicker."""
    while True:
        data, stat = client.get(path)
        values = {**json.loads(data), **changes}
        try:
            return client.set(path, json.dumps(values).encode(), version=stat.version)
        except BadVersionError:
            continue


program, operator = KazooClient(os.environ["ZK_HOSTPORT"]), KazooClient(os.environ["ZK_HOSTPORT"])
program.start()
operator.start()
operator.create(PATH, b'{"threads": 4, "log": "info"}', makepath=True)

settings = Settings(program, PATH)
assert settings.get("threads") == 4

stat = edit(operator, PATH, threads=8)
assert settings.wait_for(stat.version)
assert (settings.get("threads"), settings.get("log")) == (8, "info")

try:
    operator.set(PATH, b"{}", version=0)
    raise AssertionError("an edit made from version 0 must not overwrite version 1")
except BadVersionError:
    pass

print(f"version {settings.version}: {settings.values}")
program.stop()
operator.stop()
