#!/usr/bin/env python3
"""A UDP server at an address that is another machine's: datagrams.py HANDOFF LOCAL FOREIGN PORT

It answers each datagram to FOREIGN:PORT (foreign listen) as whom it was sent to, with what it was told and by whom. To
"ask HOST PORT TEXT" it asks that server from FOREIGN itself, by any port (foreign connect), and passes the answer on."""
import json, select, socket, struct, sys

HEADER = struct.Struct("!BxHHxx16s16s")  # family, ports of source and destination, their addresses
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}

def ask(gateway, op, **arguments):
    gateway.send(json.dumps({"op": op, "id": 1, **arguments}).encode())
    while "id" not in (answer := told(gateway)):
        pass
    if "errno" in answer:
        raise OSError(answer["errno"] + ": " + answer["error"])
    return {**answer["ok"], "descriptor": answer["descriptor"]}

def told(gateway):
    data, descriptors, _, _ = socket.recv_fds(gateway, 8192, 1)
    if not data:
        sys.exit("the gateway has gone")
    message = json.loads(data)
    if message.get("event") == "fault":
        print(json.dumps(message), flush=True)
    return {**message, "descriptor": socket.socket(fileno=descriptors[0]) if descriptors else None}

def receive(datagrams):
    family, source, destination, sender, meant = HEADER.unpack_from(packet := datagrams.recv(65600))
    name = lambda raw: socket.inet_ntop(FAMILY[family], raw[:4] if family == 4 else raw)
    return (name(sender), source), (name(meant), destination), packet[HEADER.size:]

def send(datagrams, source, destination, text):
    pack = lambda name: socket.inet_pton(FAMILY[family], name).ljust(16, b"\0")
    family = 6 if ":" in source[0] else 4
    datagrams.send(HEADER.pack(family, source[1], destination[1], pack(source[0]), pack(destination[0])) + text)

def bound(gateway, local, foreign):
    made = ask(gateway, "bind", protocol="udp", local=address(local, 0))
    ask(gateway, "assign", socket=made["socket"], foreign=address(*foreign))
    return made["socket"], made["descriptor"]

def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

gateway, (local, foreign, port) = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), sys.argv[2:5]
gateway.connect(sys.argv[1])
(server, served), (client, asking) = bound(gateway, local, (foreign, int(port))), bound(gateway, local, (foreign, 0))
ask(gateway, "listen", socket=server)
print(json.dumps({"listening": address(foreign, port)}), flush=True)
waiting = {}
while True:
    for ready in select.select([gateway, served, asking], [], [])[0]:
        if ready is gateway:
            told(gateway)
            continue
        sender, meant, text = receive(ready)
        if ready is asking and sender in waiting:
            send(served, *waiting.pop(sender), text)
        elif ready is served and text.startswith(b"ask "):
            host, to, question = text.decode().split(" ", 3)[1:]
            waiting[host, int(to)] = meant, sender
            ask(gateway, "connect", socket=client, remote=address(host, to))
            send(asking, (foreign, 0), (host, int(to)), question.encode())
        elif ready is served:
            send(served, meant, sender, f"{text.decode()} from {address(*sender)} to {address(*meant)}".encode())
