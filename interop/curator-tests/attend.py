#!/usr/bin/env python3
"""Keeps one server for a test of Curator: reads `start` and `stop`, answers `ok`; ends with its
input.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from servers import KINDS, pair, under_test  # noqa: E402


def main():
    """One line in, one line out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=KINDS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cfg", type=pair, action="append", default=[])
    parser.add_argument("--property", type=pair, action="append", default=[])
    options = parser.parse_args()
    server = under_test(options.server, dict(options.cfg), dict(options.property), options.port)
    try:
        for line in sys.stdin:
            word = line.strip()
            try:
                if word == "stop":
                    server.stop()
                elif server.pid is None:
                    server.start()
                print("ok", flush=True)
            except Exception as error:  # the test has to hear of it
                print(f"{error}".replace("\n", " | "), flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
