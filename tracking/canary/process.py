"""Starts a package's model in a process of its own, asks it, and ends it whatever it does."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from finest.errors import FinestError

CHILD = Path(__file__).with_name("child.py")
TICK_SECONDS, GRACE_SECONDS = 0.2, 5.0
Columns = Mapping[str, Sequence[Any]]
"""A request: the columns of its data frame."""


@dataclass(frozen=True)
class Answer:
    """Holds what a package said to a request."""

    items: list[list[Any]] = field(default_factory=list)
    scores: list[list[Any]] = field(default_factory=list)
    error: str = ""
    """The error that it raised; empty for none."""
    seconds: float = 0.0
    """Wall time of the prediction alone."""


class Group:
    """Holds a process and all that it starts. As a context, ends them."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path):
        """Starts the process.

        Args:
            name: Name of the process, for messages.
            command: What to run.
            environment: Its environment variables.
            folder: Where it runs, and where its log is.
        """
        self.name = name
        self.log = folder / f"{name.replace(' ', '-')}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Ends the process and all that it has started, at once: none of them has anything to finish."""
        with suppress(ProcessLookupError):  # it and its children have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):  # a request that nobody has read
                if stream:
                    stream.close()

    def ended(self) -> FinestError:
        """Returns the line that says how the process has ended by itself."""
        try:
            code = self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return FinestError(f"{self.name} closed its pipe and went on{self.last_word()}")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return FinestError(f"{self.name} {how}{self.last_word()}")

    def last_word(self) -> str:
        """Returns what its log says of the cause, behind a colon: the first error in it, else its last line."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
        return f": {[*errors, *lines[-1:]][0][:500]}" if lines else ""


class Served(Group):
    """Holds a package's model in a process of its own, which is asked through a pipe."""

    def __init__(
        self,
        name: str,
        package: Path,
        python: str,
        environment: Mapping[str, str],
        folder: Path,
        patience_s: float,
        max_memory_mb: float | None = None,
    ):
        """Starts to load it.

        Args:
            name: Name of the process, for messages.
            package: Folder of the package.
            python: The Python that it runs in.
            environment: Its environment variables.
            folder: Where it runs.
            patience_s: Seconds that loading, or an answer, may take before it counts as hanging.
            max_memory_mb: Memory at which the process is ended.
        """
        super().__init__(name, [python, "-P", str(CHILD), str(package)], environment, folder)
        self.patience_s, self.max_memory_mb = patience_s, max_memory_mb
        self.load_s = self.memory_mb = 0.0
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        with suppress(ValueError):  # closed by `end`
            for line in self.process.stdout:
                self._said.put(line)
        self._said.put("")

    def loaded(self) -> None:
        """Waits until the model is loaded.

        Raises:
            FinestError: It is not, or with code that is not the package's.
        """
        said = self._hear("to load")
        self.load_s = float(said["seconds"])
        if foreign := said["foreign"]:
            raise FinestError(f"{self.name} took {foreign[0]} from outside of the package, which must bring its own")

    def ask(self, request: Columns) -> Answer:
        """Returns the answer to a request. Raises FinestError where the process ends or hangs over it."""
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{dict(request)!a}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.ended() from None
        said = self._hear("to answer")
        return Answer(said.get("items", []), said.get("scores", []), said.get("error", ""), float(said["seconds"]))

    def _hear(self, what: str) -> dict[str, Any]:
        until = time.monotonic() + self.patience_s
        while True:
            try:
                line = self._said.get(timeout=TICK_SECONDS)
                break
            except queue.Empty:
                self._within_memory()
            if time.monotonic() > until:
                raise FinestError(f"{self.name} hangs: it took over {self.patience_s:g} s {what}{self.last_word()}")
        if not line:
            raise self.ended()
        said: dict[str, Any] = json.loads(line)
        self.memory_mb = float(said["memory_mb"])
        return said

    def _within_memory(self) -> None:
        """Raises FinestError where the process has passed its memory, before it takes the machine's."""
        try:
            now = psutil.Process(self.process.pid).memory_info().rss / 1e6
        except psutil.Error:
            return  # it has just ended; who reads its pipe is told so
        if self.max_memory_mb is not None and now > self.max_memory_mb:
            raise FinestError(
                f"{self.name} takes {now:,.0f} MB and more, and promote.max_memory_mb is {self.max_memory_mb:,.0f}"
            )
