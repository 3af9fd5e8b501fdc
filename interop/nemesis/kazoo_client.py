"""Carries out, with Kazoo, what it reads as JSON, one request a line; see clients.py."""

import json
import logging
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

PATIENCE_S = 8.0
# Errors that say for certain that nothing was done.
CERTAIN = {-101, -103, -110, -111}
ROLLED_BACK = {0, -2}


def begun(client, ask):
    """The request, on its way."""
    do, path = ask["do"], ask.get("path")
    data, flags = ask.get("data", "").encode(), ask.get("flags", 0)
    version = ask.get("version", -1)
    if do == "create":
        return client.create_async(path, data, ephemeral=bool(flags & 1), sequence=bool(flags & 2))
    if do == "delete":
        return client.delete_async(path, version)
    if do == "set":
        return client.set_async(path, data, version)
    if do == "get":
        return client.get_async(path)
    if do == "children":
        return client.get_children_async(path, include_data=True)
    if do == "sync":
        return client.sync_async(path)
    return multi(client, ask["parts"]).commit_async()


def multi(client, parts):
    """A transaction, not yet sent."""
    whole = client.transaction()
    for part in parts:
        do, path, flags = part["do"], part["path"], part.get("flags", 0)
        data, version = part.get("data", "").encode(), part.get("version", -1)
        if do == "create":
            whole.create(path, data, ephemeral=bool(flags & 1), sequence=bool(flags & 2))
        elif do == "delete":
            whole.delete(path, version)
        elif do == "set":
            whole.set_data(path, data, version)
        else:
            whole.check(path, version)
    return whole


def told(do, result):
    """What a reply says."""
    if do in ("create", "sync"):
        return {"code": 0, "path": result}
    if do == "set":
        return {"code": 0, "stat": list(result)}
    if do == "get":
        return {"code": 0, "data": result[0].decode(), "stat": list(result[1])}
    if do == "children":
        return {"code": 0, "names": result[0], "stat": list(result[1])}
    if do == "multi":
        return of_multi(result)
    return {"code": 0}


def of_multi(results):
    """What the reply to a multi says."""
    codes = [one.code for one in results if isinstance(one, Exception)]
    if codes:
        real = [code for code in codes if code not in ROLLED_BACK]
        return {"code": real[0] if real and real[0] in CERTAIN else None}
    done = {"code": 0, "paths": [one if isinstance(one, str) else "" for one in results]}
    stats = [list(one) for one in results if isinstance(one, tuple)]
    return done | ({"stat": stats[-1]} if stats else {})


def carry_out(client, ask):
    """One request and what came of it."""
    before = client._session_id
    try:
        done = told(ask["do"], begun(client, ask).get(timeout=PATIENCE_S))
    except KazooTimeoutError:
        done = {"code": None}
    except KazooException as error:
        code = getattr(error, "code", None)
        done = {"code": code if code in CERTAIN else None}
    session = client._session_id or 0
    return done | {"session": session, "same": before == session}


def main():
    """Until the input ends."""
    logging.disable(logging.CRITICAL)
    retry = {"max_tries": -1, "delay": 0.05, "backoff": 1, "max_delay": 0.3, "max_jitter": 0.1}
    client = KazooClient(sys.argv[1], timeout=6.0, connection_retry=retry, randomize_hosts=False)
    client.start_async()
    for line in sys.stdin:
        print(json.dumps(carry_out(client, json.loads(line))), flush=True)
    client.stop()


if __name__ == "__main__":
    main()
