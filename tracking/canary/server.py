"""Starts `mlflow models serve` on a package, and asks it over HTTP."""

import http.client
import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from finest.errors import FinestError
from tracking.canary.process import Answer, Columns, Group
from tracking.canary.requests import Exam

HOST, JSON = "127.0.0.1", "application/json"
POLL_SECONDS = 0.1
UNTIL_ALONE = """
import os, signal, subprocess, sys, threading
def alone():
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=alone, daemon=True).start()
sys.exit(subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr))
"""
"""Runs a command, and kills it with all that it has started once nobody holds the other end of stdin."""


class Server(Group):
    """Holds a server of a package on a port of its own."""

    def __init__(self, package: Path, python: str, environment: Mapping[str, str], folder: Path, patience_s: float):
        """Starts it.

        Args:
            package: Folder of the package.
            python: The Python that it runs in.
            environment: Its environment variables.
            folder: Where it runs.
            patience_s: Seconds that the start, or an answer, may take before it counts as hanging.
        """
        # Bound and never listened on: nobody else is given this port, and a server that shares addresses may have it.
        self.port = socket.socket()
        self.port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port.bind((HOST, 0))
        self.number = self.port.getsockname()[1]
        self.patience_s = patience_s
        serve = [python, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--model-uri", str(package)]
        where = ["--host", HOST, "--port", str(self.number)]
        command = [sys.executable, "-S", "-c", UNTIL_ALONE, *serve, *where]
        super().__init__("the canary's HTTP server", command, environment, folder)

    def end(self) -> None:
        """Ends the server, and gives its port back."""
        super().end()
        self.port.close()

    def ready(self) -> None:
        """Waits until it says that it is well. Raises FinestError where it ends before, or takes too long."""
        until = time.monotonic() + self.patience_s
        while True:
            if self.process.poll() is not None:
                raise self.ended()
            try:
                status, _ = self.send("GET", "/ping")
            except ConnectionRefusedError:
                status = 0
            if status == http.HTTPStatus.OK:
                return
            if time.monotonic() > until:
                raise FinestError(f"{self.name} does not get ready within {self.patience_s:g} s{self.last_word()}")
            time.sleep(POLL_SECONDS)

    def ask(self, request: Columns) -> Answer:
        """Returns the answer to a request."""
        rows = [list(row) for row in zip(*request.values(), strict=True)]
        body = json.dumps({"dataframe_split": {"columns": list(request), "data": rows}}).encode()
        status, text = self.answer(body)
        if status != http.HTTPStatus.OK:
            return Answer(error=f"{status} {text[:500]}")
        try:
            predictions: list[dict[str, Any]] = json.loads(text)["predictions"]
            return Answer([one["items"] for one in predictions], [one["scores"] for one in predictions])
        except (ValueError, KeyError, TypeError):
            return Answer(error=f"no lists: {text[:200]}")

    def answer(self, body: bytes, content_type: str = JSON) -> tuple[int, str]:
        """Returns status and text of what it says to a body. Raises FinestError where it does not answer any more."""
        try:
            return self.send("POST", "/invocations", body, content_type)
        except TimeoutError:
            raise FinestError(f"{self.name} hangs: it took over {self.patience_s:g} s to answer") from None
        except (ConnectionError, http.client.HTTPException) as error:
            if self.process.poll() is not None:
                raise self.ended() from None
            raise FinestError(f"{self.name} broke the connection: {error or type(error).__name__}") from None

    def send(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> tuple[int, str]:
        """Returns status and text of what it says."""
        connection = http.client.HTTPConnection(HOST, self.number, timeout=self.patience_s)
        try:
            connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


BODIES: tuple[tuple[bytes, str], ...] = (
    (b"", JSON),
    (b"{", JSON),
    (b"[]", JSON),
    (b"\xff\xfe", JSON),
    (b"7", "text/nonsense"),
    (b'{"dataframe_split": {"columns": ["item"], "data": [[["1"]]]}}', JSON),
    (b'{"dataframe_split": {"columns": ["history"], "data": [[["1"], 2]]}}', JSON),
    (b'{"dataframe_split": {"columns": ["history"], "data": [["text"]]}}', JSON),
    (b'{"dataframe_split": {"columns": ["history", "k"], "data": [[["1"], 0]]}}', JSON),
    (b'{"dataframe_split": {"columns": ["history", "k"], "data": [[["1"], -1]]}}', JSON),
)
"""Bodies and types that are no requests: the server must say so (4xx), and answer the next one."""


def over_http(server: Server, exam: Exam) -> None:
    """Checks that the server is well, serves what the package serves directly, and survives garbage.

    Args:
        server: The server, as it starts.
        exam: What the package was asked directly.

    Raises:
        FinestError: It is not, does not, or has not.
    """
    server.ready()
    status, version = server.send("GET", "/version")
    if status != http.HTTPStatus.OK or not version:
        raise FinestError(f"over HTTP, it answers /version with {status}")
    there = replace(exam, ask=server.ask, sample=exam.sample if exam.sample.histories else exam.own())
    try:
        there.batch(range(len(there.sample.histories)), "in one batch")
        there.batch(range(1), "alone")
        for body, kind in BODIES:
            status, text = server.answer(body, kind)
            if not http.HTTPStatus.BAD_REQUEST <= status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                raise FinestError(f"it answers {body[:80]!r} ({kind}) with status {status}: {text[:200]!a}")
            there.batch(range(1), f"after {body[:80]!r}")
    except FinestError as error:
        raise FinestError(f"over HTTP, {error}") from error
