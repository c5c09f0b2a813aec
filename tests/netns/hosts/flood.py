#!/usr/bin/python3
"""Garbage on the wire: random bytes, and frames that begin well and then are cut, stretched or bitten.

usage: flood.py DEVICE GATEWAY_MAC SECONDS SEED

About half of the bitten frames get their checksums mended, so that damage reaches the layers behind the checks.
Prints how many frames it sent. The same seed sends the same frames.
"""

import ipaddress
import random
import socket
import struct
import sys
import time

DEVICE, GATEWAY, SECONDS, SEED = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), float(sys.argv[3]), int(sys.argv[4])
RNG = random.Random(SEED)
BURST = 100  # frames between two looks at the clock
PACE = 0.005  # seconds a burst takes at least: ~20,000 frames/s, more than Python builds, less than starves two cores
OURS = bytes.fromhex("0200000000ee")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(protocol, payload):
    source = ipaddress.ip_address("10.0.1.0").packed[:3] + bytes([RNG.randrange(100, 250)])
    target = bytes([10, 0, RNG.choice([1, 2, 3]), RNG.choice([1, 7, 99, 255])])
    fragment = RNG.choice([0, 0, 0, 0x4000, 0x2000, 0x2003, 0x0003])
    options = RNG.randbytes(4 * RNG.choice([0, 0, 0, 1, 3, 10]))
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, RNG.randrange(256), 20 + len(options) + len(payload),
                         RNG.randrange(65536), fragment, RNG.choice([0, 1, 64, 255]), protocol, 0, source, target) + options
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return 0x0800, header, payload, source + target


def ipv6(protocol, payload):
    source = ipaddress.ip_address(f"fd00:1::{RNG.randrange(256, 65536):x}").packed
    target = ipaddress.ip_address(f"fd00:{RNG.choice([1, 2, 3])}::{RNG.choice(['1', '7', '99'])}").packed
    chain = RNG.choice([b"", b"", b"", bytes([protocol, 0]) + RNG.randbytes(6)])
    first = RNG.choice([0, 43, 44, 60]) if chain else protocol
    header = struct.pack("!IHBB", 6 << 28 | RNG.getrandbits(28), len(chain) + len(payload), first, RNG.choice([0, 1, 64, 255]))
    return 0x86DD, header + source + target + chain, payload, source + target


def tcp():
    options = RNG.choice([b"", bytes.fromhex("020405b40402080a0000000100000000"), RNG.randbytes(4 * RNG.randrange(11))])
    flags = RNG.choice([0x02, 0x10, 0x11, 0x12, 0x04, 0x14, 0x18, 0x00, 0x29, RNG.randrange(256)])
    port = RNG.choice([80, 8001, 8101, 8201, 8401, RNG.randrange(65536)])
    return 6, struct.pack("!HHIIBBHHH", RNG.randrange(65536), port, RNG.getrandbits(32), RNG.getrandbits(32),
                          (20 + len(options)) // 4 << 4, flags, RNG.randrange(65536), 0, 0) + options + RNG.randbytes(RNG.choice([0, 0, 1, 500]))


def udp():
    data = RNG.randbytes(RNG.choice([0, 1, 40, 900]))
    return 17, struct.pack("!HHHH", RNG.randrange(65536), RNG.randrange(65536), 8 + len(data) + RNG.choice([0, 0, -9, 7]) & 0xFFFF, 0) + data


def icmp():
    return RNG.choice([1, 58]), struct.pack("!BBHI", RNG.randrange(256), RNG.randrange(20), 0, RNG.getrandbits(32)) + RNG.randbytes(RNG.choice([0, 7, 28, 60]))


def arp():
    sender = bytes([10, 0, 1, RNG.randrange(100, 250)])
    target = bytes([10, 0, 1, RNG.randrange(256)])
    return 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, RNG.choice([1, 2, 1, 9])) + RNG.randbytes(6) + sender + RNG.randbytes(6) + target


def mended(protocol, payload, addresses):
    """The payload with the checksum that its receiver expects, where the protocol is known and the place exists."""
    place = {6: 16, 17: 6, 1: 2, 58: 2}.get(protocol)
    if place is None or len(payload) < place + 2:
        return payload
    payload = payload[:place] + b"\0\0" + payload[place + 2:]
    pseudo = b"" if protocol == 1 else addresses + struct.pack("!IHBB", len(payload), 0, 0, protocol)
    return payload[:place] + struct.pack("!H", checksum(pseudo + payload)) + payload[place + 2:]


def bitten(data):
    data = bytearray(data)
    for _ in range(RNG.choice([0, 0, 1, 1, 2, 8])):
        if data:
            data[RNG.randrange(len(data))] = RNG.randrange(256)
    return bytes(data)


def frame():
    kind = RNG.randrange(10)
    if kind == 0:
        return GATEWAY + OURS + RNG.randbytes(RNG.randrange(2, 1500))
    if kind == 1:
        ethertype, body = arp()
        body = bitten(body)
    else:
        protocol, payload = RNG.choice([tcp, tcp, udp, icmp])()
        payload = bitten(payload)
        ethertype, header, payload, addresses = RNG.choice([ipv4, ipv6])(protocol, payload)
        if RNG.random() < 0.5:
            payload = mended(protocol, payload, addresses)
        body = (bitten(header) if RNG.random() < 0.3 else header) + payload
    tag = RNG.choice([b"", b"", b"", b"", struct.pack("!HH", 0x8100, RNG.randrange(65536))])
    whole = RNG.choice([GATEWAY, GATEWAY, GATEWAY, b"\xff" * 6]) + OURS + tag + struct.pack("!H", ethertype) + body
    cut = RNG.randrange(10)
    if cut == 0:
        whole = whole[: RNG.randrange(14, len(whole) + 1)]
    elif cut == 1:
        whole += RNG.randbytes(RNG.randrange(1, 64))
    return whole[:1514]


def main():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((DEVICE, 0))
    end, sent, refused = time.monotonic() + SECONDS, 0, 0
    while (start := time.monotonic()) < end:
        for _ in range(BURST):
            try:
                wire.send(frame())
                sent += 1
            except OSError:
                refused += 1
        time.sleep(max(0.0, PACE - (time.monotonic() - start)))
    print(f'{{"sent": {sent}, "refused": {refused}}}')


main()
