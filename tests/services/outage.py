"""The services of a shared installation; each can go away and come back at the same address with what it kept."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.services import mlflow_server, postgres, s3
from tests.services.process import HOST, answers, free_port, start, stop

BUCKET = "finest"
"""For sources and checkpoints."""


@dataclass
class Service:
    """A process that serves at one address, whichever process that is."""

    command: list[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    in_order: bool = False
    """Whether it may finish first: a database that is killed takes its time to come up again."""
    process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Starts it."""
        self.process = start(self.command, self.log, self.ready, self.environment)

    def down(self) -> None:
        """Ends it and all that it has started."""
        if self.process is None:
            return
        if self.in_order:
            stop(self.process.pid)
        else:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
            os.killpg(self.process.pid, signal.SIGKILL)
            psutil.wait_procs(family, timeout=10)
        self.process.wait()
        self.process = None

    def away(self, seconds: float) -> None:
        """Ends it, and starts it again after a while."""
        self.down()
        time.sleep(seconds)
        self.up()


@dataclass
class Installation:
    """S3, PostgreSQL, and MLflow's server on both."""

    store: Service
    database: Service
    mlflow: Service
    environment: dict[str, str]
    """What a run needs to use them."""
    s3: s3.S3

    @property
    def services(self) -> dict[str, Service]:
        """By what they are called."""
        return {"store": self.store, "database": self.database, "mlflow": self.mlflow}

    @contextmanager
    def without(self, name: str, seconds: float) -> Iterator[None]:
        """A service goes away for so long while the block runs."""
        thread = threading.Thread(target=self.services[name].away, args=(seconds,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """All three, up. Raises UnavailableError where one cannot exist here."""
    with postgres.reachable_folder() as files:
        port = free_port()
        server = s3.S3(f"http://{HOST}:{port}", folder / "s3")
        server.bucket(BUCKET)
        store = Service(s3.command(server.root, port), folder / "s3.log", answers(server.endpoint))
        command, database = postgres.prepare(files / "server")
        base = Service(command, files / "log", lambda: postgres.ready(database), in_order=True)
        port = free_port()
        arguments, environment = mlflow_server.command(database, server, port)
        tracking = f"http://{HOST}:{port}"
        mlflow = Service(arguments, folder / "mlflow.log", answers(f"{tracking}/health"), environment)
        try:
            store.up()
            base.up()
            postgres.create(database)
            mlflow.up()
            yield Installation(store, base, mlflow, {**server.environment(), "MLFLOW_TRACKING_URI": tracking}, server)
        finally:
            for service in (mlflow, base, store):
                service.down()
