"""fetch.py URL: reads it all; prints octets, SHA-256, milliseconds, and the longest time without an octet."""
import hashlib
import sys
import time
import urllib.request

began = time.monotonic()
answer = urllib.request.urlopen(sys.argv[1], timeout=20)
octets, digest, last, gap = 0, hashlib.sha256(), time.monotonic(), 0.0
while block := answer.read1(65536):
    now = time.monotonic()
    gap, last = max(gap, now - last), now
    octets += len(block)
    digest.update(block)
print(octets, digest.hexdigest(), int((time.monotonic() - began) * 1000), int(gap * 1000))
