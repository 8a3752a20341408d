"""site.py FOLDER ADDRESS PORT: serves the files of a folder over HTTP; "?rate=N" paces at N megabytes per second."""
import http.server
import os
import socket
import sys
import time
import urllib.parse

folder, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        rate = float(urllib.parse.parse_qs(url.query).get("rate", ["0"])[0]) * 1e6
        try:
            source = open(os.path.join(folder, os.path.basename(url.path)), "rb")
        except OSError:
            self.send_error(404)
            return
        with source:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(source.fileno()).st_size))
            self.end_headers()
            began, sent = time.monotonic(), 0
            while block := source.read(65536):
                self.wfile.write(block)
                sent += len(block)
                ahead = began + sent / rate - time.monotonic() if rate else 0
                if ahead > 0:
                    time.sleep(ahead)

    def log_message(self, format, *args):
        sys.stderr.write("%s %s\n" % (self.address_string(), format % args))


http.server.ThreadingHTTPServer.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
http.server.ThreadingHTTPServer((address, port), Site).serve_forever()
