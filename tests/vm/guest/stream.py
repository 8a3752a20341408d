"""stream.py SERVER PORT NAME SECONDS RATE: so many numbered datagrams a second with octets that only NAME sends, to a server
that returns them, and a look at every packet that comes out of ppp0. Prints
    sent N answered N strangers N spoiled N gap MS
where strangers are packets for another address, spoiled ones do not have the octets that were sent, and gap is the longest
time between two answers; then a line "lost SECOND..." when some were lost: the second in which each was sent.
"""
import hashlib
import select
import socket
import struct
import sys
import time

server, port, name, seconds, rate = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), float(sys.argv[5])


def content(number):
    head = struct.pack("!I16s", number, name.encode())
    return head + hashlib.sha256(head).digest() * 12


ppp = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
ppp.bind(("ppp0", 0x0800))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect((server, port))
own, own_port = socket.inet_aton(out.getsockname()[0]), out.getsockname()[1]

answered, strangers, spoiled, sent, gap = set(), 0, 0, 0, 0.0
began = last = time.monotonic()
end = began + seconds
while (now := time.monotonic()) < end + 3:
    if now < end and now >= began + sent / rate:
        try:
            out.send(content(sent))
        except OSError:
            pass  # no route while the link is down, or a refusal of an earlier one: it counts as lost
        sent += 1
        continue
    until = began + sent / rate if now < end else end + 3
    if not select.select([ppp], [], [], max(0.0, until - now))[0]:
        continue
    packet = ppp.recv(2048)
    if packet[16:20] != own:
        strangers += 1
        continue
    at = (packet[0] & 15) * 4
    if packet[9] != 17 or struct.unpack("!H", packet[at + 2:at + 4])[0] != own_port:
        continue
    data = packet[at + 8:struct.unpack("!H", packet[2:4])[0]]
    number = struct.unpack("!I", data[:4])[0] if len(data) >= 4 else 0
    if data != content(number):
        spoiled += 1
        continue
    now = time.monotonic()
    answered.add(number)
    gap, last = max(gap, now - last), now
print("sent", sent, "answered", len(answered), "strangers", strangers, "spoiled", spoiled, "gap", int(gap * 1000))
lost = sorted({int(n / rate) for n in range(sent) if n not in answered})
if lost:
    print("lost", *lost)
