"""replies.py SECONDS FROM PREFIX N: watches the echo replies that the host FROM sends to the addresses of N clients, which
begin with PREFIX, on their way to the clients' device. Tells when all N have been seen ("ready"), and at the end, in
milliseconds, the longest time that any of them was without a reply, and the longest that one had waited when it ended.
All devices are watched, since the one of the clients may be removed and made anew."""
import select
import socket
import struct
import sys
import time

seconds, sender, prefix, clients = float(sys.argv[1]), socket.inet_aton(sys.argv[2]), sys.argv[3], int(sys.argv[4])
ETH_P_IP, OUTGOING, ICMP, REPLY = 0x0800, 4, 1, 0
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.setblocking(False)
last, longest, end = {}, {}, None
start = time.monotonic()
while end is None or time.monotonic() < end:
    if end is None and time.monotonic() > start + 15:
        print("only", len(last), "of", clients, "clients have replies", flush=True)
        sys.exit(1)
    if not select.select([s], [], [], 0.05)[0]:
        continue
    data, origin = s.recvfrom(64)
    if origin[2] != OUTGOING or origin[1] != ETH_P_IP or len(data) < 21 or data[9] != ICMP or data[12:16] != sender:
        continue
    head = (data[0] & 15) * 4
    to = socket.inet_ntoa(data[16:20])
    if data[head] != REPLY or not to.startswith(prefix):
        continue
    now = time.monotonic()
    if end is not None and to in last:
        longest[to] = max(longest.get(to, 0), now - last[to])
    last[to] = now
    if end is None and len(last) >= clients:
        end = now + seconds
        longest = {}
        print("ready", flush=True)
now = time.monotonic()
print("%d %d %d" % (len(last), 1000 * max(longest.values(), default=seconds), 1000 * max(now - t for t in last.values())))
