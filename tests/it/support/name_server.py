"""A name server for tests, in network and mount namespaces of its own.

Arguments: a directory for its resolv.conf, then the addresses that the name's lookups are answered with, in turn. It
brings the loopback interface up, makes itself the system's name server, says "ready", and then each address it gave.
"""

import fcntl
import itertools
import pathlib
import socket
import struct
import subprocess
import sys

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
TYPE_A = 1

directory, addresses = pathlib.Path(sys.argv[1]), sys.argv[2:]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as interface:
    fcntl.ioctl(interface, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))

resolv = directory / "resolv.conf"
resolv.write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
subprocess.run(["mount", "--bind", str(resolv), "/etc/resolv.conf"], check=True)

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)

turns = itertools.cycle(addresses)
while True:
    query, client = server.recvfrom(4096)
    end = query.index(0, 12) + 5
    question, (kind,) = query[12:end], struct.unpack("!H", query[end - 4 : end - 2])
    answers = b""
    if kind == TYPE_A:
        address = next(turns)
        print(address, flush=True)
        # The name is the question's; it may be kept for no time at all.
        answers = struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 0, 4) + socket.inet_aton(address)
    header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if answers else 0, 0, 0)
    server.sendto(header + question + answers, client)
