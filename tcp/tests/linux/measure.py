#!/usr/bin/env python3
"""What Linux's TCP does on the links of tests/table.rs, for the column beside ours: two hosts of this kernel in namespaces that
this program makes, joined by tests/interop/node, one transfer per congestion control. Real time, so only what a busy machine
can carry; needs root, python3, iproute2 and ethtool. From the repository's root:

    cargo build --profile gateway -p tests --bin lossy-node
    python3 tcp/tests/linux/measure.py target/gateway/lossy-node > tcp/tests/linux/figures.txt
    UPDATE=1 cargo test --profile gateway -p tcp --test table

Rates after the node measure only links of these; AT_ONCE=4 so many transfers side by side, for slow links on idle cores.

A line is the link as in goodput.txt and a figure per congestion control: bytes from connect() to the end of the stream, as a
fraction of what the link can carry beside the headers. Links with losses are measured with three seeds. Left out: the row with
a small buffer, whose window Linux reckons differently, and the kernel's own BBR beyond version 1, which it does not have.
"""

import concurrent.futures
import itertools
import os
import platform
import signal
import socket
import subprocess
import sys
import time

CONTROLS = ["cubic", "reno", "bbr"]
PAYLOAD, WIRE = 1448, 1514
TCP_CONGESTION = 13
PORT = 5001
BUFFER = 8 << 20


def links():
    """Mbit/s, round trip in ms, loss in %, queue in products of the two, milliseconds that the transfer takes at full rate."""
    for rate, rtt, loss in itertools.product([10], [10, 50, 150], [0, 0.1, 1, 3]):
        yield rate, rtt, loss, 1, 15_000 if loss == 0 or (rtt, loss) == (50, 1) else 5_000
    for rate, rtt, loss in [(1, 20, 0), (1, 50, 1), (100, 10, 0), (100, 10, 1), (100, 50, 0)]:
        yield rate, rtt, loss, 1, 10_000 if rate == 1 else 4_000
    for queue in [0.1, 4]:
        yield 20, 50, 0, queue, 8_000


def receive():
    """Accepts one connection, reads to its end, says when that was."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen()
    print("listening", flush=True)
    connection, _ = listener.accept()
    total = 0
    while piece := connection.recv(1 << 16):
        total += len(piece)
    print(time.monotonic(), total, flush=True)


def send(address, control, total):
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, control.encode())
    start = time.monotonic()
    connection.connect((address, PORT))
    block = bytes(1 << 16)
    while total > 0:
        total -= connection.send(block[:total])
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
    print(start, flush=True)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def host(name, device, address):
    run("ip", "netns", "add", name)
    run("ip", "link", "set", device, "netns", name)
    inside = ("ip", "netns", "exec", name)
    for setting in [
        f"net.ipv4.tcp_rmem=4096 131072 {BUFFER}",
        f"net.ipv4.tcp_wmem=4096 65536 {BUFFER}",
        "net.ipv4.tcp_no_metrics_save=1",
    ]:
        run(*inside, "sysctl", "-qw", setting)
    run(*inside, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    run(*inside, "ip", "link", "set", device, "up", "txqueuelen", "10000")
    run(*inside, "ip", "address", "add", f"{address}/24", "dev", device)
    return inside


def transfer(node, number, link, control, seed):
    """Seconds that a transfer takes."""
    rate, rtt, loss, queue, ms = link
    tag = f"lx{os.getpid() % 10_000}n{number}"
    devices, names = (f"{tag}a", f"{tag}b"), (f"{tag}x", f"{tag}y")
    held = max(int(rate * 1_000 * rtt / 8 * queue), 30_000)
    words = [f"delay={rtt * 500}us", f"rate={rate}mbit", f"ab.queue={held}B", "ba.queue=100MB", f"seed={seed}"]
    words += [f"ab.loss={loss}%"] if loss else []
    cable = subprocess.Popen([node, *devices, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    children = [cable]
    try:
        cable.stdout.readline()
        client = host(names[0], devices[0], "10.9.0.1")
        server = host(names[1], devices[1], "10.9.0.2")
        # The neighbours' first question is not the transfer's.
        run(*client, "ping", "-c", "2", "-i", "0.3", "-W", "2", "10.9.0.2")
        receiver = subprocess.Popen([*server, sys.executable, __file__, "receive"], stdout=subprocess.PIPE, text=True)
        children.append(receiver)
        receiver.stdout.readline()
        total = rate * 125 * ms
        sender = subprocess.Popen(
            [*client, sys.executable, __file__, "send", "10.9.0.2", control, str(total)], stdout=subprocess.PIPE, text=True
        )
        children.append(sender)
        start = float(sender.communicate(timeout=600)[0])
        end, got = receiver.communicate(timeout=60)[0].split()
        assert int(got) == total, f"{got} of {total}"
        return total * 8 / (float(end) - start) / (rate * 1e6) * WIRE / PAYLOAD
    finally:
        for child in children:
            child.kill()
            child.wait()
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def main(node, only):
    jobs = []
    at_once = int(os.environ.get("AT_ONCE", "1"))
    pool = concurrent.futures.ThreadPoolExecutor(at_once)
    try:
        number = itertools.count()
        for link in links():
            if only and link[0] not in only:
                continue
            seeds = range(1, 4) if link[2] else [1]
            figures = [[pool.submit(transfer, node, next(number), link, control, seed) for seed in seeds] for control in CONTROLS]
            jobs.append((link, figures))
        cores, load = os.cpu_count(), os.getloadavg()[0]
        print(f"# Linux {platform.release()}, 8 MiB of buffers, bbr version 1; on {cores} cores under a load of {load:.0f}: where the")
        print("# node wakes late for its rate (100 Mbit/s, short queues) the figures are lower bounds. By tests/linux/measure.py")
        print("# Mbit/s rtt_ms loss_% queue " + " ".join(CONTROLS))
        for (rate, rtt, loss, queue, _), figures in jobs:
            means = [sum(future.result() for future in runs) / len(runs) for runs in figures]
            print(rate, rtt, loss, queue, *(f"{mean:.3f}" for mean in means), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    # What was made is unmade, however this ends: a signal is an exception like another, and what waits is not begun.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    match sys.argv[1:]:
        case ["receive"]:
            receive()
        case ["send", address, control, total]:
            send(address, control, int(total))
        case [node, *only]:
            main(node, [int(rate) for rate in only])
        case _:
            sys.exit(__doc__)
