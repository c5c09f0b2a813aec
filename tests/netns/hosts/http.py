"""HTTP in raw bytes, for what curl does not say: cases of a table, many at once, slow ones, WebSocket; one JSON result."""

import base64
import hashlib
import json
import os
import socket
import struct
import sys
import time


def connect(host, port, seconds=20):
    return socket.create_connection((host, port), timeout=seconds)


def read_all(sock):
    """All bytes up to the end, and whether that was a reset."""
    heard = b""
    try:
        while chunk := sock.recv(65536):
            heard += chunk
    except ConnectionResetError:
        return heard, True
    return heard, False


def say(host, port, said, finish=True):
    with connect(host, port) as sock:
        try:
            sock.sendall(said)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read_all(sock)


def cases(host, port, file):
    """Says each case on a connection of its own, and a mark after it; the marks tell the server's log apart."""
    results = []
    with open(file) as text:
        for number, case in enumerate(json.load(text)):
            heard, reset = say(host, port, bytes.fromhex(case))
            mark, _ = say(host, port, b"GET /mark-%d HTTP/1.1\r\nHost: mark\r\nConnection: close\r\n\r\n" % number)
            results.append({"heard": heard[:200].decode("latin-1"), "reset": reset, "marked": mark[:12].decode("latin-1")})
    return {"results": results}


def pipeline(host, port, count):
    request = b"GET /index.html HTTP/1.1\r\nHost: web\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    heard, _ = say(host, port, request * (count - 1) + last, finish=False)
    return {"answers": heard.count(b"HTTP/1.1 200"), "bytes": len(heard)}


def crowd(host, port, count):
    """So many sessions at once, each with a request before and one after all others were answered."""
    request = b"GET /index.html HTTP/1.1\r\nHost: web\r\n\r\n"
    socks = [connect(host, port) for _ in range(count)]
    answered = 0
    for _ in range(2):
        for sock in socks:
            sock.sendall(request)
        for sock in socks:
            heard = b""
            while b"\r\n\r\n" not in heard or not heard.endswith(b"</p>\n"):
                chunk = sock.recv(65536)
                if not chunk:
                    break
                heard += chunk
            answered += heard.startswith(b"HTTP/1.1 200")
    return {"answered": answered}


def slow(host, port, kind, count):
    """So many slow ones of a kind, kept up until the gateway ends each; an honest request every second meanwhile."""
    begin = {
        "head": b"GET / HTTP/1.1\r\nHost: web\r\nX: ",
        "body": b"PUT /slow HTTP/1.1\r\nHost: web\r\nContent-Length: 100000\r\n\r\n",
        "reader": b"GET /large HTTP/1.1\r\nHost: web\r\n\r\n",
    }[kind]
    socks = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if kind == "reader":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect((host, port))
        sock.sendall(begin)
        sock.setblocking(False)
        socks.append(sock)
    honest = ended = 0
    began = time.monotonic()
    open_socks = set(socks)
    statuses = {}
    while open_socks and time.monotonic() - began < 45:
        heard, _ = say(host, port, b"GET /index.html HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n", finish=False)
        honest += heard.startswith(b"HTTP/1.1 200")
        for sock in list(open_socks):
            try:
                if kind != "reader":
                    sock.send(b"a")
                    chunk = sock.recv(4096)
                else:
                    # Whether it has failed is seen by writing; reading nothing is the point.
                    sock.send(b"\r\n")
                    chunk = None
                if chunk is not None:
                    status = chunk[9:12].decode("latin-1")
                    statuses[status] = statuses.get(status, 0) + 1
                    open_socks.discard(sock)
                    ended += 1
            except BlockingIOError:
                pass
            except OSError:
                open_socks.discard(sock)
                ended += 1
        time.sleep(0.5)
    return {"honest": honest, "ended": ended, "statuses": statuses, "seconds": time.monotonic() - began}


def frame(payload, masked):
    head = struct.pack("!BB", 0x82, (0x80 if masked else 0) | len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += chunk
    return data


def read_frame(sock):
    _, length = read_exactly(sock, 2)
    mask = read_exactly(sock, 4) if length & 0x80 else None
    payload = read_exactly(sock, length & 0x7F)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload


def read_head(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise EOFError(head.decode("latin-1"))
        head += byte
    return head.decode("latin-1")


GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def websocket(host, port):
    """RFC 6455: shakes hands, has three frames echoed."""
    key = base64.b64encode(os.urandom(16)).decode()
    with connect(host, port) as sock:
        sock.sendall(
            f"GET /chat HTTP/1.1\r\nHost: web\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = read_head(sock)
        echoed = []
        if " 101 " in head.splitlines()[0]:
            for payload in (b"hello", os.urandom(100), b"x" * 125):
                sock.sendall(frame(payload, True))
                echoed.append(read_frame(sock) == payload)
    return {"status": head.splitlines()[0], "accepted": accept_key(key) in head, "echoed": echoed}


def websocket_server(port):
    """Shakes hands with one client after the other and echoes frames, until it is ended."""
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print(json.dumps({"listening": port}), flush=True)
    while True:
        sock, peer = listener.accept()
        with sock:
            try:
                head = read_head(sock)
                fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                fields = {name.lower(): value for name, value in fields.items()}
                if "upgrade" not in fields:
                    sock.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    continue
                answer = accept_key(fields["sec-websocket-key"])
                sock.sendall(
                    f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Accept: {answer}\r\n\r\n".encode()
                )
                while True:
                    sock.sendall(frame(read_frame(sock), False))
            except (EOFError, OSError, KeyError):
                pass


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "websocket-server":
        websocket_server(int(words[0]))
    host, port, *rest = words
    result = {
        "cases": lambda: cases(host, int(port), rest[0]),
        "pipeline": lambda: pipeline(host, int(port), int(rest[0])),
        "crowd": lambda: crowd(host, int(port), int(rest[0])),
        "slow": lambda: slow(host, int(port), rest[0], int(rest[1])),
        "websocket": lambda: websocket(host, int(port)),
    }[what]()
    print(json.dumps(result))
