#!/usr/bin/python3
"""The clients of the end-to-end tests: each subcommand is one way to use a connection, and prints one JSON object.

Failures are results, not tracebacks: a failed step is reported by its errno name, or "timeout".
Subcommands that hold connections say so on a line of their own and go on when a line arrives on standard input.
"""

import argparse
import asyncio
import errno
import hashlib
import json
import socket
import struct
import sys
import threading
import time

CHUNK = 1 << 18


def name_of(failure):
    if isinstance(failure, TimeoutError) and failure.errno is None:
        return "timeout"
    return errno.errorcode.get(failure.errno, repr(failure))


def say(**result):
    print(json.dumps(result), flush=True)


def dial(arguments):
    connection = socket.create_connection((arguments.host, arguments.port), timeout=arguments.timeout)
    connection.settimeout(arguments.timeout)
    return connection


def read_all(connection):
    received = bytearray()
    while data := connection.recv(CHUNK):
        received += data
    return bytes(received)


def attempt(host, port, timeout):
    """One connect: how it ended and how long that took."""
    start = time.monotonic()
    try:
        socket.create_connection((host, port), timeout=timeout).close()
        result = "connected"
    except OSError as failure:
        result = name_of(failure)
    return {"result": result, "seconds": round(time.monotonic() - start, 3)}


def connect(arguments):
    say(**attempt(arguments.host, arguments.port, arguments.timeout))


def scan(arguments):
    """Connects to all ports at once, as a scanner does; results by port."""
    results = {}

    def probe(port):
        results[port] = attempt(arguments.host, port, arguments.timeout)["result"]

    ports = [arguments.port, *arguments.more]
    threads = [threading.Thread(target=probe, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(ports=results)


def echo(arguments):
    """Sends a text, finishes, and reads until the server has finished too."""
    with dial(arguments) as connection:
        connection.sendall(arguments.text.encode())
        connection.shutdown(socket.SHUT_WR)
        received = read_all(connection)
        local = connection.getsockname()
    say(result="ok", received=received.decode(), local=local[0], local_port=local[1])


def read(arguments):
    """Says nothing and reads until the server has finished."""
    with dial(arguments) as connection:
        received = read_all(connection)
        local = connection.getsockname()
    say(result="ok", received=received.decode(), local=local[0], local_port=local[1])


def read_line(arguments):
    """Says nothing until the server has spoken."""
    with dial(arguments) as connection, connection.makefile("rb") as stream:
        greeting = stream.readline()
        connection.sendall(b"QUIT\r\n")
        answer = stream.readline()
    say(result="ok", greeting=greeting.decode(), answer=answer.decode())


def upload(arguments):
    """Sends a file, finishes, and reads the answer over the half-closed connection."""
    sha, sent = hashlib.sha256(), 0
    with dial(arguments) as connection, open(arguments.text, "rb") as file:
        while data := file.read(CHUNK):
            sha.update(data)
            connection.sendall(data)
            sent += len(data)
        connection.shutdown(socket.SHUT_WR)
        reply = read_all(connection)
    say(result="ok", sent=sent, sha256=sha.hexdigest(), reply=reply.decode().strip())


def speak_after_eof(arguments):
    """Reads to the server's end first, and only then speaks."""
    payload = bytes(range(256)) * 4096
    with dial(arguments) as connection:
        received = read_all(connection)
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
    say(result="ok", received=received.decode(errors="replace"), sent=len(payload))


def read_late(arguments):
    """Sends a file to an echo and reads nothing until nothing can be sent any more; then reads on to the end."""
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    with socket.socket(family) as connection, open(arguments.text, "rb") as file:
        # A window that fills soon, whatever the kernel would let it grow to.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.settimeout(arguments.timeout)
        connection.connect((arguments.host, arguments.port))
        content = file.read()
        greeting = connection.recv(CHUNK)
        stuck = threading.Event()

        def send():
            sent = 0
            connection.settimeout(1)
            while sent < len(content):
                try:
                    sent += connection.send(content[sent : sent + CHUNK])
                except TimeoutError:
                    stuck.set()
            stuck.set()
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        stuck.wait()
        connection.settimeout(arguments.timeout)
        received = bytearray()
        while len(received) < len(content):
            received += connection.recv(CHUNK)
        sender.join()
        same = received == content and not connection.recv(1)
    say(result="ok" if same else "different", greeting=greeting.decode())


def keep_alive(arguments):
    """Says a line, and then nothing for some probes of its kernel's; then it says another."""
    with dial(arguments) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        connection.sendall(b"one\n")
        connection.recv(CHUNK)
        time.sleep(2.5)
        connection.sendall(b"two\n")
        reply = connection.recv(CHUNK)
    say(result="ok", reply=reply.decode())


def be_reset(arguments):
    """Says a line and tells how the read after it ended."""
    with dial(arguments) as connection:
        connection.sendall(b"go\n")
        try:
            data = connection.recv(CHUNK)
            say(result="data" if data else "eof")
        except OSError as failure:
            say(result=name_of(failure))


def reset(arguments):
    """Waits until the server has taken a line, then goes with RST."""
    connection = dial(arguments)
    connection.sendall(b"hello\n")
    reply = connection.recv(CHUNK)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    local = connection.getsockname()
    connection.close()
    say(result="ok", reply=reply.decode(), local_port=local[1])


def hold(arguments):
    """Opens one connection, keeps it until told to go on, and echoes over it then."""
    with dial(arguments) as connection:
        say(held=1, local_port=connection.getsockname()[1])
        sys.stdin.readline()
        connection.sendall(b"still here\n")
        connection.shutdown(socket.SHUT_WR)
        received = read_all(connection)
    say(result="ok", received=received.decode())


def read_held(arguments):
    """Says nothing, reads until the server has finished, and keeps its own side open until told to go on."""
    with dial(arguments) as connection:
        received = read_all(connection)
        local = connection.getsockname()
        say(held=1, received=received.decode(), local=local[0], local_port=local[1])
        sys.stdin.readline()
    say(result="ok")


def pour(arguments):
    """Sends without end and reads what comes back: ended from outside."""
    with dial(arguments) as connection:
        connection.settimeout(None)
        threading.Thread(target=lambda: read_all(connection), daemon=True).start()
        connection.sendall(bytes(CHUNK))
        say(pouring=1)
        while True:
            connection.sendall(bytes(CHUNK))


def many(arguments):
    """Holds many connections at once; when told to go on, says something different over each and compares."""

    async def open_one(index):
        return index, *await asyncio.wait_for(asyncio.open_connection(arguments.host, arguments.port), arguments.timeout)

    async def exchange(index, reader, writer):
        text = f"connection {index}\n".encode() * 16
        writer.write(text)
        writer.write_eof()
        received = await asyncio.wait_for(reader.read(-1), arguments.timeout)
        writer.close()
        return received == text

    async def run():
        opened = await asyncio.gather(*(open_one(i) for i in range(arguments.count)), return_exceptions=True)
        good = [each for each in opened if not isinstance(each, BaseException)]
        failures = sorted({repr(each) for each in opened if isinstance(each, BaseException)})
        say(held=len(good), failures=failures)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        equal = await asyncio.gather(*(exchange(*each) for each in good), return_exceptions=True)
        failures += sorted({repr(each) for each in equal if isinstance(each, BaseException)})
        say(result="ok", equal=sum(each is True for each in equal), failures=failures)

    asyncio.run(run())


def race(arguments):
    """Some connections start in the same instant; results sorted, so that who won does not matter."""
    start = threading.Barrier(arguments.count)
    results = []

    def run(index):
        start.wait()
        try:
            with dial(arguments) as connection:
                connection.sendall(b"mine\n")
                connection.shutdown(socket.SHUT_WR)
                results.append("taken" if read_all(connection) == b"mine\n" else "different")
        except OSError as failure:
            results.append(name_of(failure))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(arguments.count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(results=sorted(results))


COMMANDS = {
    each.__name__.replace("_", "-"): each
    for each in [connect, scan, echo, read, read_line, upload, speak_after_eof, read_late, keep_alive, be_reset, reset, hold, read_held, pour, many, race]
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("more", type=int, nargs="*")
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("--text", default="hello through the gateway\n", help="what to say, or the file to upload")
    parser.add_argument("--count", type=int, default=2)
    arguments = parser.parse_args()
    try:
        COMMANDS[arguments.command](arguments)
    except OSError as failure:
        say(result=name_of(failure))


main()
