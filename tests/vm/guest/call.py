"""call.py SERVER [required]: what xl2tpd does not do: one L2TP call to a gateway's IPv6 address, or with Sequencing Required in
its ICCN; with the kernel's tunnel, session and PPP, and pppd with /etc/ppp/options.vpn above. Runs until pppd ends or the
gateway says goodbye."""
import ctypes
import select
import socket
import struct
import subprocess
import sys
import time

SCCRQ, SCCRP, SCCCN, STOPCCN, HELLO, ICRQ, ICRP, ICCN, CDN = 1, 2, 3, 4, 6, 10, 11, 12, 14
server = (sys.argv[1], 1701)
six = ":" in server[0]
required = sys.argv[2:] == ["required"]
own_tunnel, own_session = 0x1234, 0x5678
control = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
control.bind(("::" if six else "0.0.0.0", 1701))
control.connect(server)
state = {"ns": 0, "nr": 0, "tunnel": 0, "session": 0}


def avp(kind, value, mandatory=True):
    return struct.pack("!HHH", (0x8000 if mandatory else 0) | 6 + len(value), 0, kind) + value


def send(session, body, number):
    control.send(struct.pack("!HHHHHH", 0xC802, 12 + len(body), state["tunnel"], session, number, state["nr"]) + body)


def receive(limit):
    """The next new message as (type, {avp: value}), acknowledged; None after limit seconds."""
    end = time.monotonic() + limit
    while select.select([control], [], [], max(0.0, end - time.monotonic()))[0]:
        try:
            data = control.recv(2048)
        except OSError:
            continue
        if len(data) < 12 or data[0] != 0xC8:
            continue
        number = struct.unpack("!H", data[8:10])[0]
        if len(data) == 12:
            continue  # an acknowledgement
        if number != state["nr"]:
            send(0, b"", state["ns"])
            continue
        state["nr"] += 1
        at, found = 12, {}
        while at + 6 <= len(data):
            n = struct.unpack("!H", data[at:at + 2])[0] & 0x3FF
            found[struct.unpack("!H", data[at + 4:at + 6])[0]] = data[at + 6:at + n]
            at += max(n, 6)
        if found.get(9):
            state["tunnel"] = struct.unpack("!H", found[9])[0]
        send(0, b"", state["ns"])
        return struct.unpack("!H", found[0])[0], found
    return None


def ask(session, kind, avps, wanted):
    body = avp(0, struct.pack("!H", kind)) + avps
    number = state["ns"]
    state["ns"] += 1
    for limit in 1, 2, 4, 8:
        send(session, body, number)
        if not wanted:
            return {}
        came = receive(limit)
        if came and came[0] == wanted:
            return came[1]
        if came:
            sys.exit("instead of message %d came %d: %r" % (wanted, came[0], came[1].get(1)))
    sys.exit("no answer to message %d" % kind)


def kernel(session, peer_session):
    """A socket of the kernel's tunnel (session 0) or of a call in it."""
    s = socket.socket(24, socket.SOCK_DGRAM, 1)
    address = struct.pack("=HI", 24, 1) + struct.pack("=ii", 0, control.fileno())
    ids = struct.pack("=HHHH", own_tunnel, session, state["tunnel"], peer_session)
    if six:
        address += ids + struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", 1701, 0)
        address += socket.inet_pton(socket.AF_INET6, server[0]) + bytes(4)
    else:
        address += struct.pack("=H", socket.AF_INET) + struct.pack("!H", 1701) + socket.inet_aton(server[0]) + bytes(8) + ids
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(s.fileno(), address, len(address)) != 0:
        sys.exit("connect of a PPPoL2TP socket: error %d" % ctypes.get_errno())
    return s


ask(0, SCCRQ, avp(2, b"\1\0") + avp(3, b"\0\0\0\3") + avp(7, b"six") + avp(9, struct.pack("!H", own_tunnel)) + avp(10, b"\0\4"), SCCRP)
ask(0, SCCCN, b"", 0)
tunnel = kernel(0, 0)
answer = ask(0, ICRQ, avp(14, struct.pack("!H", own_session)) + avp(15, b"\0\0\0\1"), ICRP)
state["session"] = struct.unpack("!H", answer[14])[0]
ask(state["session"], ICCN, avp(24, b"\0\0\x27\x10") + avp(19, b"\0\0\0\1") + (avp(39, b"") if required else b""), 0)
call = kernel(own_session, state["session"])
pppd = subprocess.Popen(["pppd", "plugin", "pppol2tp.so", "pppol2tp", str(call.fileno()), "nodetach", "passive", "file",
                         "/etc/ppp/options.vpn"], pass_fds=[call.fileno()])
while pppd.poll() is None:
    came = receive(0.5)
    if came and came[0] in (STOPCCN, CDN):
        pppd.terminate()
        pppd.wait(10)
if pppd.poll() is not None:
    ask(0, STOPCCN, avp(9, struct.pack("!H", own_tunnel)) + avp(1, b"\0\1"), 0)
