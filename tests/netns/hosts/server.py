#!/usr/bin/python3
"""A server with one behaviour per port, for the end-to-end tests.

usage: server.py NAME LOG

Every port of HUNDREDS + BEHAVIOURS listens on IPv4 and IPv6. What a connection did is appended to LOG as one JSON
object a line: "accepted" when it came, "ended" with how it ended. The tests read that log: what a server saw is the
only proof of what crossed the gateway.
"""

import asyncio
import errno
import hashlib
import json
import socket
import struct
import sys

NAME = sys.argv[1]
LOG = open(sys.argv[2], "a", buffering=1)

# The hundreds say what the gateway does with the port (gateway.yaml), the last two digits what the server does.
HUNDREDS = [8000, 8100, 8200, 8300, 8350, 8400, 8500, 8600, 8700]
SELFTEST_PORT = 12080
CHUNK = 1 << 18


def log(**event):
    LOG.write(json.dumps(event) + "\n")


async def echo(reader, writer, end):
    """Sends back what comes; finishes when the client has."""
    while data := await reader.read(CHUNK):
        end["bytes"] += len(data)
        writer.write(data)
        await writer.drain()


async def greeting(reader, writer, end):
    """Speaks first, as SMTP and FTP servers do, then echoes."""
    writer.write(f"220 {NAME} ready\r\n".encode())
    await echo(reader, writer, end)


async def digest(reader, writer, end):
    """Takes everything until the client has finished, then answers over the half-closed connection."""
    sha = hashlib.sha256()
    while data := await reader.read(CHUNK):
        end["bytes"] += len(data)
        sha.update(data)
    end["sha256"] = sha.hexdigest()
    writer.write((sha.hexdigest() + "\n").encode())


async def finishes_first(reader, writer, end):
    """Half-closes at once and goes on listening to what the client still says."""
    writer.write(b"that is all\n")
    writer.write_eof()
    log(event="finished", port=end["port"], peer=end["peer"], peer_port=end["peer_port"])
    while data := await reader.read(CHUNK):
        end["bytes"] += len(data)


async def resets(reader, writer, end):
    """Answers the first line with RST: a close with SO_LINGER 0."""
    end["bytes"] += len(await reader.readline())
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def watches(reader, writer, end):
    """Acknowledges each line and notes how the client goes."""
    while line := await reader.readline():
        end["bytes"] += len(line)
        writer.write(b"ok\n")
        await writer.drain()


async def whoami(reader, writer, end):
    """Says who answers and which address and port it sees."""
    writer.write((json.dumps({"server": NAME, "peer": end["peer"], "peer_port": end["peer_port"]}) + "\n").encode())


BEHAVIOURS = {1: echo, 2: greeting, 3: digest, 4: finishes_first, 5: resets, 6: watches, 7: whoami}


def serving(behaviour):
    async def serve(reader, writer):
        peer, local = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        end = {"port": local[1], "peer": peer[0], "peer_port": peer[1], "bytes": 0}
        log(event="accepted", **end)
        try:
            await behaviour(reader, writer, end)
            writer.close()
            await writer.wait_closed()
            end["how"] = "closed"
        except OSError as failure:
            # asyncio's own "Connection lost" has the type and no number.
            number = errno.ECONNRESET if isinstance(failure, ConnectionResetError) else failure.errno
            end["how"] = errno.errorcode.get(number, str(failure))
            writer.transport.abort()
        log(event="ended", **end)

    return serve


async def main():
    servers = []
    for hundred in HUNDREDS:
        for offset, behaviour in BEHAVIOURS.items():
            servers.append(await asyncio.start_server(serving(behaviour), None, hundred + offset, backlog=4096, limit=CHUNK))
    servers.append(await asyncio.start_server(serving(whoami), None, SELFTEST_PORT))
    log(event="listening", ports=len(servers))
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
