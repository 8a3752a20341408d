#!/usr/bin/env python3
"""inform.py ADDRESS: asks by DHCPINFORM on ppp0, to everybody as Windows does, and prints what is learned, a line each."""
import ipaddress
import os
import socket
import struct
import sys

address = socket.inet_aton(sys.argv[1])
xid = os.urandom(4)
ask = struct.pack("!4B4sHH4s12s16s64s128s", 1, 8, 0, 0, xid, 0, 0, address, b"", b"RAS \x01", b"", b"")
ask += b"\x63\x82\x53\x63" + b"\x35\x01\x08" + b"\x3c\x08MSFT 5.0" + bytes([55, 4, 6, 15, 121, 249]) + b"\xff"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"ppp0")
s.bind((sys.argv[1], 68))
s.settimeout(3)
for attempt in range(4):
    s.sendto(ask, ("255.255.255.255", 67))
    try:
        answer, sender = s.recvfrom(2048)
        break
    except socket.timeout:
        pass
else:
    sys.exit("no answer")
if answer[4:8] != xid or answer[236:240] != b"\x63\x82\x53\x63":
    sys.exit("not our answer")
print("from", *sender)
at, options = 240, {}
while answer[at] != 255:
    if answer[at]:
        code, n = answer[at], answer[at + 1]
        options[code] = options.get(code, b"") + answer[at + 2:at + 2 + n]
        at += 1 + n
    at += 1
print("type", options[53][0])
print("dns", *(str(ipaddress.ip_address(options[6][i:i + 4])) for i in range(0, len(options[6]), 4)))
print("domain", options[15].decode())
for code in 121, 249:
    at, all_routes = 0, options.get(code, b"")
    while at < len(all_routes):
        width = all_routes[at]
        n = (width + 7) // 8
        net = all_routes[at + 1:at + 1 + n] + bytes(4 - n)
        print("route", code, "%s/%d" % (ipaddress.ip_address(net), width), ipaddress.ip_address(all_routes[at + 1 + n:at + 5 + n]))
        at += 5 + n
