"""MLflow's server and S3 behind proxies: away for a while, slow, or answering 500."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tests.faults.fault import Fault, Struck
from tests.faults.night import Night
from tests.services import faults as proxies
from tests.services.outage import BUCKET, Installation, installed

SLOW_SECONDS = 1.0
"""Time by which each request is late."""


class Setting:
    """Services, started once, when a cell needs them first."""

    def __init__(self, folder: Path, stack: ExitStack, seconds: float):
        """Takes a folder for what they keep, what ends them, and for how long they are away."""
        self.folder, self.stack, self.seconds = folder, stack, seconds
        self.installation: Installation | None = None
        self.proxies: dict[str, proxies.Faulty] = {}
        self.outages: dict[str, Outage] = {}
        self.nights = 0

    def place(self, night: Night) -> None:
        """Has a night keep its data, checkpoints and runs there, in places of its own."""
        global _current
        if self.installation is None:
            self.installation = self.stack.enter_context(installed(self.folder / "services"))
            behind = {
                "mlflow": self.installation.environment["MLFLOW_TRACKING_URI"],
                "s3": self.installation.s3.endpoint,
            }
            self.proxies = {
                name: self.stack.enter_context(proxies.before(endpoint)) for name, endpoint in behind.items()
            }
            services = {"mlflow": self.installation.mlflow, "s3": self.installation.store}
            self.outages = {
                f"{name} {kind}": Outage(begin, end)
                for name, proxy in self.proxies.items()
                for kind, (begin, end) in {
                    "away": (services[name].down, services[name].up),
                    "slow": _changes(proxy, _slow),
                    "500": _changes(proxy, _refusing),
                }.items()
            }
        self.nights += 1
        _current = self
        night.prepare()
        source = self.installation.s3.root / BUCKET / f"night-{self.nights}" / "interactions"
        source.mkdir(parents=True)
        pq.write_table(pacsv.read_csv(night.source), source / "part-0.parquet")
        base = f"s3://{BUCKET}/night-{self.nights}"
        night.placed = (f"source={base}/interactions", f"checkpoints={base}/checkpoints", f"name=night-{self.nights}")
        night.line = f"night-{self.nights}"
        night.environment = {
            **self.installation.environment,
            "AWS_ENDPOINT_URL": self.proxies["s3"].endpoint,
            "MLFLOW_TRACKING_URI": self.proxies["mlflow"].endpoint,
        }


class Outage:
    """Something that a service is for a while, and for longer where it strikes again meanwhile."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]):
        """Takes what begins it and what ends it."""
        self.begin, self.end = begin, end
        self.until = 0.0
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def strike(self, seconds: float) -> None:
        """Has it last for so long from now."""
        with self.lock:
            self.until = time.monotonic() + seconds
            if self.thread is None:
                self.begin()
                self.thread = threading.Thread(target=self._pass, daemon=True)
                self.thread.start()

    def over(self) -> None:
        """Ends it now, where it is not over yet."""
        with self.lock:
            self.until, thread = 0.0, self.thread
        if thread:
            thread.join()

    def _pass(self) -> None:
        while True:
            with self.lock:
                if time.monotonic() >= self.until:
                    self.end()
                    self.thread = None
                    return
            time.sleep(0.1)


def _changes(proxy: proxies.Faulty, fault: proxies.Fault) -> tuple[Callable[[], None], Callable[[], None]]:
    return lambda: setattr(proxy, "fault", fault), lambda: setattr(proxy, "fault", lambda request: None)


def _slow(request: proxies.Request) -> None:
    time.sleep(SLOW_SECONDS)


def _refusing(request: proxies.Request) -> proxies.Refusal:
    return proxies.Refusal(500, "InternalError")


_current: Setting | None = None
"""Where the night is that is struck now."""


def _strike(name: str) -> Callable[[Struck], None]:
    def act(struck: Struck) -> None:
        assert _current is not None
        outage = _current.outages[name]
        outage.strike(_current.seconds)
        struck.undo.append(outage.over)

    return act


WORDS = {"mlflow": "MLflow", "s3": "S3"}
KINDS = {"away": "is away for a while", "slow": "answers a second late", "500": "answers 500"}
FAULTS = tuple(
    Fault(f"{name} {kind}", f"{WORDS[name]} {title}", _strike(f"{name} {kind}"), passes=True)
    for name in WORDS
    for kind, title in KINDS.items()
)
NAMES = {fault.name for fault in FAULTS}
