"""hostile.py GATEWAY: what strangers may send to a gateway: every answer must be small, and there must be few of them.

Deterministic: the same octets in every run. Prints PASS and FAIL lines.
"""
import random
import socket
import struct
import sys
import time

gateway = sys.argv[1]
rnd = random.Random(1701)


def udp(port, source=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", source))
    s.connect((gateway, port))
    s.setblocking(False)
    return s


def drain(s):
    octets = n = 0
    try:
        while True:
            octets += len(s.recv(65535))
            n += 1
    except OSError:
        return n, octets


def result(name, good, why):
    print("PASS %s" % name if good else "FAIL %s: %s" % (name, why))


def transform(number, attributes, last):
    body = b"".join(struct.pack("!HH", 0x8000 | t, v) for t, v in attributes)
    return struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(body), number, 1, 0) + body


def main_mode_1(cookie):
    t = transform(1, [(1, 7), (14, 256), (2, 4), (3, 1), (4, 14), (11, 1), (12, 28800)], True)
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(t), 1, 1, 0, 1) + t
    sa = struct.pack("!BBH", 0, 0, 12 + len(proposal)) + struct.pack("!II", 1, 1) + proposal
    return cookie + bytes(8) + struct.pack("!BBBBII", 1, 0x10, 2, 0, 0, 28 + len(sa)) + sa


def flood(name, port, datagrams, marker=b""):
    """Sends them all; what comes back must be less than three times what was sent."""
    s, sent = udp(port), 0
    n = octets = 0
    for i, d in enumerate(datagrams):
        try:
            s.send(marker + d)
        except OSError:
            continue
        sent += len(marker + d)
        if i % 64 == 63:
            a, b = drain(s)
            n, octets = n + a, octets + b
            time.sleep(0.005)
    time.sleep(0.5)
    a, b = drain(s)
    n, octets = n + a, octets + b
    result("%s: %d octets out, %d answers of %d octets back" % (name, sent, n, octets), octets <= 3 * max(sent, 1),
           "%d octets back for %d" % (octets, sent))


good = main_mode_1(b"\1\2\3\4\5\6\7\x08")
flood("random datagrams to 500", 500, [rnd.randbytes(rnd.randrange(0, 400)) for _ in range(2000)])
flood("random datagrams to 4500", 4500, [rnd.randbytes(rnd.randrange(0, 400)) for _ in range(2000)])
flood("random IKE behind the marker", 4500, [rnd.randbytes(rnd.randrange(0, 400)) for _ in range(1000)], bytes(4))
flood("keepalives", 4500, [b"\xff"] * 500)
flood("a first message cut at every octet", 500, [good[:i] for i in range(len(good))])


def changed(i):
    d = bytearray(main_mode_1(rnd.randbytes(8)))
    for _ in range(rnd.randrange(1, 4)):
        d[rnd.randrange(16, len(d))] = rnd.choice((0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)))
    return bytes(d)


flood("first messages with changed octets", 500, [changed(i) for i in range(3000)])
flood("first messages from one source, each with a cookie of its own", 500, [main_mode_1(rnd.randbytes(8)) for _ in range(3000)])
header = rnd.randbytes(16)
flood("length fields up to 4 GB", 500, [header + struct.pack("!BBBBII", nxt, 0x10, kind, 0, 0, length) + rnd.randbytes(64)
                                        for nxt in (1, 4, 5, 8, 10, 11, 12, 13, 20, 21, 132, 255) for kind in (2, 4, 5, 32, 255)
                                        for length in (0, 27, 28, 29, 92, 65535, 0xFFFFFFFF)])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
raw.connect((gateway, 0))
sent = 0
for _ in range(2000):
    sent += raw.send(rnd.randbytes(rnd.randrange(0, 200)) or b"\0")
result("random ESP as protocol 50: %d octets" % sent, True, "")
s = udp(1701, 1701)
try:
    for _ in range(3):
        s.send(bytes.fromhex("c802003f000000000000000080080000000000018008000000020100800a00000003000000038008000000090007800b00000007706c61696e8008000000060001"))
        time.sleep(0.3)
except OSError:
    pass
n, octets = drain(s)
result("L2TP outside an SA gets no answer", n == 0, "%d datagrams came back" % n)
