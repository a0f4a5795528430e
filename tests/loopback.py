"""A server on loopback for the tests that fetch: files by their paths, or what a subclass answers.

Owns sockets and threads, and a list of what was asked. Does not know what a release is, or GitLab.
"""

import http.server
import threading


class Server:
    """Serves `files`, by path; what is in `cut` ends in the middle although its length says otherwise."""

    def __init__(self, files=()):
        self.files, self.cut, self.asked = dict(files), set(), []
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.owner = self
        self.port = self.http.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, method, path, headers, body):
        """Status and content."""
        content = self.files.get(path) if method == "GET" else None
        return (404, b"") if content is None else (200, content)


class Handler(http.server.BaseHTTPRequestHandler):
    def handle_one(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner.asked.append(f"{self.command} {self.path}")
        status, content = owner.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path in owner.cut else content)
        self.close_connection = True

    do_GET = do_POST = do_PUT = handle_one  # noqa: N815, the names are the library's

    def log_message(self, *_):
        pass
