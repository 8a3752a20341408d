"""returns.py ADDRESS PORT USER=ADDRESS...: returns each datagram of stream.py to its sender, and names on standard output
each that did not come from its user's address."""
import socket
import sys

address = dict(pair.split("=") for pair in sys.argv[3:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
while True:
    data, sender = s.recvfrom(2048)
    user = data[4:20].rstrip(b"\0").decode("ascii", "replace")
    if address.get(user) != sender[0]:
        print("wrong:", user, "from", sender[0], flush=True)
    s.sendto(data, sender)
