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

    def accept(self):
        while True:
            event = self.events.pop(0) if self.events else self.receive()
            if event["event"] == "accept":
                return event["stream"]


def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(limpid, control, local, foreign, port):
    say = lambda line: control.sendall(line.encode() + b"\r\n")
    say("220 two channels")
    for line in control.makefile("r", newline="\r\n"):
        verb, _, rest = line.strip().partition(" ")
        if verb == "PORT":
            n = rest.split(",")
            peer = address(".".join(n[:4]), int(n[4]) * 256 + int(n[5]))
        elif verb == "EPRT":
            peer = address(*rest.split("|")[2:4])
        if verb == "RETR":
            say("150 here it comes")
            data = limpid.ask("bind", protocol="tcp", local=address(local, 0))["socket"]
            limpid.ask("assign", socket=data, foreign=address(foreign, port - 1))
            with limpid.ask("connect", socket=data, remote=peer, once=True)["stream"] as stream:
                stream.sendall(f"you asked for {rest}\n".encode() * 10000)
            limpid.ask("close", socket=data)
        say({"USER": "230 come in", "RETR": "226 that was it", "QUIT": "221 good bye", "PORT": "200 noted",
             "EPRT": "200 noted", "TYPE": "200 as you like"}.get(verb, "502 not here"))
        if verb == "QUIT":
            break


if __name__ == "__main__":
    limpid, (local, foreign, port) = Limpid(sys.argv[1]), sys.argv[2:5]
    main = limpid.ask("bind", protocol="tcp", local=address(local, 0))["socket"]
    limpid.ask("assign", socket=main, foreign=address(foreign, int(port)))
    limpid.ask("listen", socket=main)
    print(json.dumps({"listening": address(foreign, port)}), flush=True)
    while True:
        with limpid.accept() as control:
            serve(limpid, control, local, foreign, int(port))
