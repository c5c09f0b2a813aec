#!/usr/bin/env python3
"""An FTP-like server at an address that is another machine's: two_channel.py HANDOFF LOCAL FOREIGN PORT

Clients of FOREIGN:PORT are accepted (foreign listen); for a file a second channel is opened to the client, from the port
below the first one's and for that one connection (foreign connect, ONCE), as an FTP server does in active mode."""
import json, socket, sys

class Limpid:
    def __init__(self, path):
        self.socket, self.events = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), []
        self.socket.connect(path)

    def receive(self):
        data, descriptors, _, _ = socket.recv_fds(self.socket, 8192, 1)
        if not data:
            sys.exit("the gateway has gone")
        return {**json.loads(data), "stream": socket.socket(fileno=descriptors[0]) if descriptors else None}

    def ask(self, op, **arguments):
        self.socket.send(json.dumps({"op": op, "id": 1, **arguments}).encode())
        while "id" not in (answer := self.receive()):
            self.events.append(answer)
        if "errno" in answer:
            raise OSError(answer["errno"] + ": " + answer["error"])
        return {**answer["ok"], "stream": answer["stream"]}

    def bound(self, local, foreign):
        self.ask("assign", socket=(number := self.ask("bind", protocol="tcp", local=local)["socket"]), foreign=foreign)
        return number

    def accept(self):
        while (event := self.events.pop(0) if self.events else self.receive())["event"] != "accept":
            pass
        return event["stream"]

def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

def serve(limpid, control, local, foreign):
    lines, say = control.makefile("r", newline="\r\n"), lambda line: control.sendall(line.encode() + b"\r\n")
    say("220 two channels")
    while (verb := (words := lines.readline().split() or ["QUIT"])[0]) != "QUIT":
        if verb == "PORT" and (n := words[1].split(",")):
            peer = address(".".join(n[:4]), int(n[4]) * 256 + int(n[5]))
        elif verb == "EPRT":
            peer = address(*words[1].split("|")[2:4])
        elif verb == "RETR":
            say("150 here it comes")
            with limpid.ask("connect", socket=(data := limpid.bound(local, foreign)), remote=peer, once=True)["stream"] as stream:
                stream.sendall(f"you asked for {words[1]}\n".encode() * 10000)
            limpid.ask("close", socket=data)
        say({"USER": "230 come in", "RETR": "226 that was it"}.get(verb, "200 as you like"))
    say("221 good bye")

limpid, local, (foreign, port) = Limpid(sys.argv[1]), address(sys.argv[2], 0), (sys.argv[3], int(sys.argv[4]))
limpid.ask("listen", socket=limpid.bound(local, address(foreign, port)))
print(json.dumps({"listening": address(foreign, port)}), flush=True)
while True:
    with limpid.accept() as control:
        serve(limpid, control, local, address(foreign, port - 1))
