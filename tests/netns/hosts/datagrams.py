#!/usr/bin/python3
"""UDP at the hosts of the end-to-end tests; each subcommand prints JSON objects, one a line.

serve NAME PORT...   answers on these ports: on ports that end in 7 or on 8080 with who answers and whom it sees, on others
                     with what it was told. Says "listening" when it does.
ask HOST PORT        sends a datagram and waits for the answer; failures are named by their errno, or "timeout"
resolve HOST NAME    asks a DNS server for a name's A and AAAA, by UDP, and for the A again by TCP
hold HOST PORT       asks, and asks the same again from the same socket whenever a line arrives on standard input
"""

import argparse
import errno
import json
import select
import socket
import struct
import sys


def say(**result):
    print(json.dumps(result), flush=True)


def name_of(failure):
    if isinstance(failure, TimeoutError) and failure.errno is None:
        return "timeout"
    return errno.errorcode.get(failure.errno, repr(failure))


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(arguments):
    sockets = []
    for port in map(int, arguments.more):
        for kind, everyone in [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]:
            listener = socket.socket(kind, socket.SOCK_DGRAM)
            if kind == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((everyone, port))
            sockets.append(listener)
    say(listening=len(sockets))
    while True:
        for ready in select.select(sockets, [], [])[0]:
            text, peer = ready.recvfrom(65536)
            port = ready.getsockname()[1]
            if port % 100 == 7 or port == 8080:
                text = json.dumps({"server": arguments.host, "peer": peer[0], "peer_port": peer[1]}).encode()
            ready.sendto(text, peer)


def dial(arguments):
    asking = socket.socket(family(arguments.host), socket.SOCK_DGRAM)
    asking.settimeout(arguments.timeout)
    asking.bind(("", arguments.source_port))
    asking.connect((arguments.host, int(arguments.more[0])))
    return asking


def exchange(asking, question):
    try:
        asking.send(question)
        answer = asking.recv(65536)
    except OSError as failure:
        return {"result": name_of(failure)}
    heard = answer.decode() if len(answer) < 1000 else f"{len(answer)} bytes"
    local = asking.getsockname()
    return {"result": "ok", "same": answer == question, "received": heard, "local": local[0], "local_port": local[1]}


def ask(arguments):
    question = (arguments.text * (arguments.size // len(arguments.text) + 1))[: arguments.size].encode()
    if arguments.size == 0:
        question = arguments.text.encode()
    with dial(arguments) as asking:
        say(**exchange(asking, question))


def hold(arguments):
    with dial(arguments) as asking:
        say(held=exchange(asking, arguments.text.encode()))
        for number, _ in enumerate(sys.stdin, 1):
            say(again=exchange(asking, arguments.text.encode()), number=number)


def question(name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x4C69, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def addresses(answer, asked):
    """The addresses of an answer whose names are pointers, as dnsmasq writes them."""
    identifier, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", answer)
    assert identifier == 0x4C69 and flags & 0x8000, answer
    at, found = len(asked), []
    for _ in range(count):
        length = struct.unpack_from("!H", answer, at + 10)[0]
        raw = answer[at + 12 : at + 12 + length]
        found.append(socket.inet_ntop(socket.AF_INET if length == 4 else socket.AF_INET6, raw))
        at += 12 + length
    return found


def resolve(arguments):
    name, results, ports = arguments.more[0], {}, []
    try:
        for word, kind in [("A", 1), ("AAAA", 28)]:
            with socket.socket(family(arguments.host), socket.SOCK_DGRAM) as asking:
                asking.settimeout(arguments.timeout)
                asking.connect((arguments.host, 53))
                asked = question(name, kind)
                asking.send(asked)
                results[word] = addresses(asking.recv(4096), asked)
                ports.append(asking.getsockname()[1])
        with socket.create_connection((arguments.host, 53), arguments.timeout) as asking:
            asked = question(name, 1)
            asking.sendall(struct.pack("!H", len(asked)) + asked)
            results["TCP"] = addresses(asking.recv(4096)[2:], asked)
        say(result="ok", **results, ports=ports)
    except OSError as failure:
        say(result=name_of(failure), **results)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve", "ask", "hold", "resolve"])
    parser.add_argument("host")
    parser.add_argument("more", nargs="*")
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("--source-port", type=int, default=0)
    parser.add_argument("--text", default="hello through the gateway")
    parser.add_argument("--size", type=int, default=0)
    arguments = parser.parse_args()
    globals()[arguments.command](arguments)


main()
