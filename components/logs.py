"""Formats a step's log: one line an event, as text for people or as JSON for what collects logs."""

import json
import logging
import os
import sys
import time

from components import events
from finest.secrets import guard, masked, masked_all

VARIABLE = "FINEST_LOG"
"""Environment variable: `text` (also where it is unset) or `json`."""
OURS = ("finest", "components", "storage", "tracking")
"""Packages whose loggers are heard from INFO on."""
TOLD = ("finest.patience", "components.supervised", "components.preflight.work", "components.ingest.work")
"""Loggers of what makes a step take longer or its verdict say less; the terminal hears of their warnings."""
FIGURES = (
    "event",
    "variant",
    "stage",
    "steps_done",
    "steps",
    "epoch",
    "loss",
    "hit_at_10",
    "seconds",
    "left_seconds",
    "done",
)
"""Names of the extras of a record that become fields of a line of JSON."""


def configure(step: str, group: str | None) -> None:
    """Formats all that this process logs, masked, for the handlers that there are or else to standard output.

    Args:
        step: Name of the step.
        group: Id of the group that it trains, if any.
    """
    guard()
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stdout))
    formatter = Json(step, group) if os.environ.get(VARIABLE) == "json" else Text(step, group)
    for handler in root.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(formatter)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    # botocore says where it has found credentials, and so does doctor; urllib3's retries are said by those who wait.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    for name in TOLD:
        logging.getLogger(name).handlers = [Notices(step, group)]


class Text(logging.Formatter):
    """Formats a record as `2026-11-26 18:20:03Z pretrain, group 0: ...`; warnings and worse say so."""

    def __init__(self, step: str, group: str | None):
        super().__init__("%(asctime)sZ %(where)s: %(level)s%(message)s", "%Y-%m-%d %H:%M:%S")
        self.converter = time.gmtime
        self.where = step if group is None else f"{step}, group {group}"

    def format(self, record: logging.LogRecord) -> str:
        """Returns a line, and a traceback where there is one."""
        record.where = self.where
        record.level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return masked(super().format(record))


class Json(logging.Formatter):
    """Formats a record as one JSON object in one line."""

    def __init__(self, step: str, group: str | None):
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime
        self.where = {"step": step} | ({} if group is None else {"group": group})

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without keys that are null."""
        figures = {name: value for name in FIGURES if (value := getattr(record, name, None)) is not None}
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        about = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        return json.dumps(masked_all({**about, **self.where, "message": record.getMessage(), **figures, **trace}))


class Notices(logging.Handler):
    """Tells the terminal of warnings of the loggers TOLD."""

    def __init__(self, step: str, group: str | None):
        super().__init__(logging.WARNING)
        self.where = step, group

    def emit(self, record: logging.LogRecord) -> None:
        """Appends the record to the run's events."""
        events.emit("notice", *self.where, text=record.getMessage())
