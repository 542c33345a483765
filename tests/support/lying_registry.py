"""A registry that does what it is told, wrong things above all: a table from path to what happens there.

    registry = LyingRegistry()
    registry.serve(image, "web")                       an honest image first
    registry.at(f"/v2/web/blobs/{digest}", body=b"...")  then the lie

Each request is kept in `seen` with its path and headers. Another host is another LyingRegistry: 127.0.0.1 and localhost
are two hosts, and so are two ports.
"""
import http.server
import json
import socket
import threading

from .oci_image import digest


class LyingRegistry:
    def __init__(self):
        self.answers, self.seen, self.lock = {}, [], threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                owner.handle(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.host = f"127.0.0.1:{self.port}"
        self.closing = threading.Event()
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.at("/v2/", body=b"{}")

    def at(self, path, answer=None, **options):
        """What happens at a path: answer(request) -> bool (True: it has answered), or status, headers, body."""
        self.answers[path] = answer or (lambda request: self.reply(request, **options))

    def serve(self, image, name, tag="latest"):
        for key, data in image.blobs.items():
            self.at(f"/v2/{name}/blobs/{key}", body=data, headers={"Content-Type": "application/octet-stream"})
        self.serve_manifest(name, image.manifest, image.media_type, tag)

    def serve_manifest(self, name, raw, media_type, tag="latest"):
        for selector in (tag, digest(raw)):
            self.at(f"/v2/{name}/manifests/{selector}", body=raw, headers={"Content-Type": media_type})

    def handle(self, request):
        path = request.path.split("?")[0]
        with self.lock:
            self.seen.append({"method": request.command, "path": request.path, "headers": dict(request.headers.items())})
        answer = self.answers.get(path)
        if answer is None:
            body = json.dumps({"errors": [{"code": "UNKNOWN", "message": "not here"}]}).encode()
            return self.reply(request, status=404, body=body)
        return answer(request)

    @staticmethod
    def reply(request, status=200, headers=None, body=b"", length=None):
        """length: of the header, where it should not be the body's; the connection is closed behind the body then."""
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        if length is not None:
            request.close_connection = True
            request.send_header("Connection", "close")
        request.end_headers()
        if request.command != "HEAD":
            try:
                request.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                request.close_connection = True

    def break_off(self, path, data, pieces):
        """Sends `data` but breaks the connection after each of the first pieces (lengths in bytes); knows Range."""
        left = list(pieces)

        def answer(request):
            start = 0
            if asked := request.headers.get("Range"):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers = {}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            part = data[start:]
            sent = part[:left.pop(0)] if left else part
            self.reply(request, status=206 if start else 200, headers=headers, body=sent, length=len(part))

        self.at(path, answer)

    def stall(self, path, data, after):
        """Sends the first bytes and then nothing, until the other side or the test ends."""
        def answer(request):
            request.send_response(200)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data[:after])
            request.wfile.flush()
            request.connection.settimeout(0.05)
            while not self.closing.is_set():
                try:
                    if request.connection.recv(1) == b"":
                        break
                except (TimeoutError, socket.timeout):
                    continue
                except OSError:
                    break
            request.close_connection = True

        self.at(path, answer)

    def authorizations(self):
        """(path, Authorization) of each request that had one."""
        return [(s["path"], s["headers"]["Authorization"]) for s in self.seen if "Authorization" in s["headers"]]

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
