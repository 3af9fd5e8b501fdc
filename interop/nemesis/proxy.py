"""Stands between the members: every connection to a peer goes through this process.

Members live in network namespaces. In each of them this process listens at the addresses of the
others, and hands on what comes to the member that is meant, in that member's namespace. What it is
told (one JSON object a line on standard input) replaces what it was told before:
`cut`, pairs of members of which the second hears nothing of the first; `delay`, seconds that each
byte is under way; `rate`, triples of two members and the bytes a second that the second takes.
"""

import asyncio
import ctypes
import json
import os
import socket
import sys

CLONE_NEWNET = 0x40000000
PEERS = "10.99.1"
CHUNK = 1 << 14
# What may be under way on one connection, in chunks: as much as sockets hold.
UNDER_WAY_MAX = 16
SLICE = 256
# Whoever connects is accepted before it is known whether the other end listens. A server that was
# elected a moment ago does so soon; its follower, who would try again if it were refused, must not
# believe that its leader has hung up.
REFUSED_S, AGAIN_S = 1.0, 0.02
RUNNING = set()
libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    """Moves this thread into a network namespace."""
    namespace = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(namespace)


def socket_in(sid):
    """A socket that lives in a member's namespace; this process goes on where it was."""
    enter(f"/run/netns/member{sid}")
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        enter(f"/proc/{os.getppid()}/ns/net")


class Rules:
    """What is done to the links now."""

    def __init__(self):
        self.changed = asyncio.Condition()
        self.cuts, self.delay_s, self.rates = set(), 0.0, {}
        self.held = 0

    async def replace(self, told):
        """Takes what this process was told; returns how often the old rules held something up."""
        async with self.changed:
            held, self.held = self.held, 0
            self.cuts = {tuple(way) for way in told.get("cut", ())}
            self.delay_s = told.get("delay", 0.0)
            self.rates = {(one, other): rate for one, other, rate in told.get("rate", ())}
            self.changed.notify_all()
        return held

    async def passable(self, way):
        """Returns as soon as this way is not cut."""
        self.held += way in self.cuts
        async with self.changed:
            await self.changed.wait_for(lambda: way not in self.cuts)


async def take(reader, under_way, rules):
    """Reads one direction of a connection."""
    loop = asyncio.get_running_loop()
    data = b"-"
    while data:
        try:
            data = await reader.read(CHUNK)
        except OSError:
            data = b""
        rules.held += rules.delay_s > 0
        await under_way.put((loop.time() + rules.delay_s, data))


async def give(under_way, writer, way, rules):
    """Writes it to the other end, when it is due and the way is free."""
    loop = asyncio.get_running_loop()
    while True:
        due, data = await under_way.get()
        await asyncio.sleep(max(0.0, due - loop.time()))
        await rules.passable(way)
        if not data:
            writer.write_eof()
            return
        while data:
            rate = rules.rates.get(way)
            part, data = (data[:SLICE], data[SLICE:]) if rate else (data, b"")
            writer.write(part)
            await writer.drain()
            if rate:
                rules.held += 1
                await asyncio.sleep(len(part) / rate)


async def one_way(reader, writer, way, rules):
    """One direction, until its end or until nobody takes it."""
    under_way = asyncio.Queue(UNDER_WAY_MAX)
    taking = asyncio.create_task(take(reader, under_way, rules))
    try:
        await give(under_way, writer, way, rules)
    finally:
        taking.cancel()


async def connected(sid, port):
    """A socket that is connected to a member's port."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + REFUSED_S
    while True:
        sock = socket_in(sid)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, (f"{PEERS}.{sid}", port))
            return sock
        except OSError:
            sock.close()
            if loop.time() > give_up:
                raise
        await asyncio.sleep(AGAIN_S)


async def connection(reader, writer, way, port, rules):
    """One connection of a member to another, which is opened when the way is free."""
    one, other = way
    onward = None
    try:
        await rules.passable(way)
        answers, onward = await asyncio.open_connection(sock=await connected(other, port))
        for end in (writer, onward):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [asyncio.create_task(one_way(reader, onward, way, rules)),
                asyncio.create_task(one_way(answers, writer, (other, one), rules))]
        # After an error of one direction nothing more goes in the other.
        await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        for task in ways:
            task.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    except OSError:
        pass
    finally:
        for end in (writer, onward):
            if end is not None:
                end.close()


def begin(coroutine):
    """Runs a coroutine to its end: asyncio itself only keeps weak references to tasks."""
    task = asyncio.create_task(coroutine)
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)


async def serve(members):
    """Listens for each member at the addresses of the others, and obeys until the input ends."""
    rules, servers = Rules(), []
    for one in members:
        for other in members:
            if one is other:
                continue
            for port in other["ports"]:
                sock = socket_in(one["sid"])
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((f"{PEERS}.{other['sid']}", port))
                way = (one["sid"], other["sid"])
                servers.append(await asyncio.start_server(
                    lambda r, w, way=way, port=port: begin(connection(r, w, way, port, rules)),
                    sock=sock))
    print("ok 0", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(f"ok {await rules.replace(json.loads(line))}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
