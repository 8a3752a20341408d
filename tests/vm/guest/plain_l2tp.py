"""plain_l2tp.py SERVER: an SCCRQ without IPsec, three times; prints "silence", "closed" after an ICMP error, or what came back."""
import socket
import struct
import sys


def avp(kind, value):
    return struct.pack("!HHH", 0x8000 | 6 + len(value), 0, kind) + value


body = (avp(0, b"\0\1") + avp(2, b"\1\0") + avp(3, b"\0\0\0\3") + avp(7, b"plain") + avp(9, b"\0\7") + avp(10, b"\0\4"))
request = struct.pack("!HHHHHH", 0xC802, 12 + len(body), 0, 0, 0, 0) + body
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 1701))
s.connect((sys.argv[1], 1701))
s.settimeout(1.5)
came = "silence"
for _ in range(3):
    try:
        s.send(request)
        came = "%d octets: %s" % ((lambda b: (len(b), b[:16].hex()))(s.recv(2048)))
        break
    except socket.timeout:
        pass
    except ConnectionRefusedError:
        came = "closed"
print(came)
