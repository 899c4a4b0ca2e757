"""The least of an HTTP server: routes by method and pattern, JSON answers, requests remembered."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is said to it."""

    status: int
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """Routes are tried in order; the first whose pattern is the whole path answers, with its groups as arguments."""

    routes: list[tuple[str, str, Callable[..., Answer]]] = field(default_factory=list)
    before: Callable[[Request], Answer | None] = lambda request: None
    """Answers instead of a route where it returns something."""
    asked: list[Request] = field(default_factory=list)
    clock: Callable[[], float | None] = lambda: None
    """Seconds since 1970 for the Date header; None for now."""
    url: str = ""

    def answer(self, request: Request) -> Answer:
        """The first route's."""
        self.asked.append(request)
        if (early := self.before(request)) is not None:
            return early
        for method, pattern, route in self.routes:
            if method == request.method and (found := re.fullmatch(pattern, request.path)):
                return route(request, *found.groups())
        return Answer(404, {"message": f"no route {request.method} {request.path}"})


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Serves on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(Request(self.command, parts.path, query, headers, body))
            content = b"" if answer.content is None else json.dumps(answer.content).encode()
            self.send_response(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_HEAD = serve

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(server.clock() if timestamp is None else timestamp, usegmt=True)

        def log_message(self, format: str, *values: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
