"""A proxy in front of a server, as of S3, that answers some requests itself, or breaks them off.

It is for what a healthy server never does.
"""

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.services.process import HOST


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """With the query."""
    headers: dict[str, str]
    """By name in lower case."""


@dataclass(frozen=True)
class Refusal:
    """An S3 error."""

    status: int
    code: str
    more: str = ""
    """Further elements of the answer, as XML."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Any answer at all; more bytes may be promised than come."""

    status: int
    content: bytes
    type: str
    missing: int = 0


@dataclass(frozen=True)
class CutOff:
    """The server's answer, of which only so many bytes arrive."""

    after: int


@dataclass(frozen=True)
class Added:
    """The server's answer with more headers, or others in place of its own."""

    headers: dict[str, str]


@dataclass(frozen=True)
class Reset:
    """No answer: the connection is reset."""


Fault = Callable[[Request], Refusal | Answer | CutOff | Added | Reset | None]


@dataclass
class Faulty:
    """The proxy: set `fault` to what shall go wrong; `seen` is what was asked, in order."""

    endpoint: str
    fault: Fault = lambda request: None
    seen: list[Request] = field(default_factory=list)


def slow_down(rate: float, seed: int = 0) -> Fault:
    """This share of all requests is answered with 503 SlowDown."""
    random_, lock = random.Random(seed), threading.Lock()

    def fault(request: Request) -> Refusal | None:
        with lock:
            return Refusal(503, "SlowDown") if random_.random() < rate else None

    return fault


@contextmanager
def before(endpoint: str) -> Iterator[Faulty]:
    """A proxy in front of the server at `endpoint`."""
    faulty, upstream = Faulty(""), urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.body()
            request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            faulty.seen.append(request)
            fault = faulty.fault(request)
            if isinstance(fault, Reset):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()  # which keeps the connection open
                self.connection.close()
                self.close_connection = True
                return
            if isinstance(fault, Refusal):
                self.refuse(fault)
                return
            if isinstance(fault, Answer):
                self.send_response(fault.status)
                self.send_header("Content-Type", fault.type)
                self.send_header("Content-Length", str(len(fault.content) + fault.missing))
                self.end_headers()
                self.wfile.write(fault.content if self.command != "HEAD" else b"")
                self.close_connection = True
                return
            connection = http.client.HTTPConnection(upstream, timeout=60)
            try:  # the Host header, which is signed, goes on as it came
                headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
                self.send_response(response.status)
                more = fault.headers if isinstance(fault, Added) else {}
                left_out = {"connection", "transfer-encoding", "content-length", "server", "date", *more}
                kept = [header for header in response.getheaders() if header[0].lower() not in left_out]
                for name, value in [*kept, *more.items()]:
                    self.send_header(name, value)
                length = response.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                if isinstance(fault, CutOff):
                    self.wfile.write(content[: fault.after])
                    self.close_connection = True
                else:
                    self.wfile.write(content)
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers, and the line that ends them
                pass
            return b"".join(parts)

        def refuse(self, fault: Refusal) -> None:
            error = f"<Error><Code>{fault.code}</Code><Message>no</Message>{fault.more}</Error>"
            text = f"<?xml version='1.0'?>{error}".encode()
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: `seen` is the log."""

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that was killed
                super().handle()

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        faulty.endpoint = f"http://{HOST}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield faulty
        finally:
            server.shutdown()
            thread.join()
