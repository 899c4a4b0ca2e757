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
SERVICES = ("mlflow", "s3")


class Setting:
    """Services, started once, when a cell needs them first."""

    def __init__(self, folder: Path, stack: ExitStack, seconds: float):
        """Takes a folder for what they keep, what ends them, and for how long they are away."""
        self.folder, self.stack, self.seconds = folder, stack, seconds
        self.installation: Installation | None = None
        self.proxies: dict[str, proxies.Faulty] = {}
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


_current: Setting | None = None
"""Where the night is that is struck now."""


def _setting() -> Setting:
    assert _current is not None
    return _current


def _away(name: str) -> Callable[[Struck], None]:
    def act(struck: Struck) -> None:
        setting = _setting()
        assert setting.installation is not None
        service = setting.installation.services["store" if name == "s3" else name]
        thread = threading.Thread(target=service.away, args=(setting.seconds,), daemon=True)
        thread.start()
        struck.undo.append(thread.join)

    return act


def _answering(name: str, fault: proxies.Fault) -> Callable[[Struck], None]:
    def act(struck: Struck) -> None:
        setting = _setting()
        proxy = setting.proxies[name]
        proxy.fault = fault

        def whole() -> None:
            proxy.fault = lambda request: None

        timer = threading.Timer(setting.seconds, whole)
        timer.start()
        struck.undo += [timer.cancel, whole]

    return act


def _slow(request: proxies.Request) -> None:
    time.sleep(SLOW_SECONDS)


def _refusing(request: proxies.Request) -> proxies.Refusal:
    return proxies.Refusal(500, "InternalError")


WORDS = {"mlflow": "MLflow", "s3": "S3"}
FAULTS = tuple(
    fault
    for name in SERVICES
    for fault in (
        Fault(f"{name} away", f"{WORDS[name]} is away for a while", _away(name)),
        Fault(f"{name} slow", f"{WORDS[name]} answers a second late", _answering(name, _slow)),
        Fault(f"{name} 500", f"{WORDS[name]} answers 500", _answering(name, _refusing)),
    )
)
NAMES = {fault.name for fault in FAULTS}
