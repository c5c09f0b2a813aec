#!/usr/bin/python3
"""A client of FTP by ftplib: logs in, sends a file, fetches it again, compares; one line of JSON at the end.

    ftp.py SERVER PORT USER MODE TLS FILE [COUNT]

MODE is active or passive, TLS is clear or tls. With COUNT so many sessions run at once, each with a file of its own.
"""

import ftplib
import hashlib
import io
import json
import ssl
import sys
import threading

server, port, user, mode, tls, path = sys.argv[1:7]
count = int(sys.argv[7]) if len(sys.argv) > 7 else 1


def connect():
    if tls == "tls":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        ftp = ftplib.FTP_TLS(context=context, timeout=50)
    else:
        ftp = ftplib.FTP(timeout=50)
    # Servers take few connections that they have not accepted yet; what does not fit waits for minutes.
    with gate:
        ftp.connect(server, int(port))
    name = ftp.sock.getsockname()
    ftp.login(user, "secret")
    if tls == "tls":
        ftp.prot_p()
    ftp.set_pasv(mode == "passive")
    return ftp, name


def one(number, results, together):
    try:
        ftp, name = connect()
        remote = f"upload/{name[1]}-{number}"
        sent, got = hashlib.sha256(), hashlib.sha256()
        if count > 1:
            content = hashlib.sha256(remote.encode()).digest() * 2000
            source = io.BytesIO(content)
            together.wait(50)
        else:
            source = open(path, "rb")
        stored = ftp.storbinary("STOR " + remote, source, 1 << 16, lambda block: sent.update(block))
        size = ftp.size(remote)
        names = ftp.nlst("upload")
        fetched = ftp.retrbinary("RETR " + remote, lambda block: got.update(block), 1 << 16)
        ftp.delete(remote)
        bye = ftp.quit()
        results.append({
            "number": number, "address": name[0], "port": name[1], "size": size, "listed": len(names) > 0,
            "equal": sent.hexdigest() == got.hexdigest(), "sha256": got.hexdigest(),
            "replies": [stored[:3], fetched[:3], bye[:3]],
        })
    except Exception as error:
        results.append({"number": number, "error": repr(error)})


results = []
together = threading.Barrier(count)
gate = threading.Semaphore(20)
threads = [threading.Thread(target=one, args=(number, results, together)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
good = [result for result in results if result.get("equal") and result["replies"] == ["226", "226", "221"]]
print(json.dumps({"good": len(good), "first": results[0], "bad": [r for r in results if r not in good][:3]}))
