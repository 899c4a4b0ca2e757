"""A step's log: one line an event, as text for people or as JSON for what collects logs."""

import json
import logging
import os
import sys
import time

from components import events

VARIABLE = "FINEST_LOG"
"""Environment variable: `text` (also where it is unset) or `json`."""
OURS = ("finest", "components", "storage", "tracking")
TOLD = ("finest.patience", "components.supervised", "components.ingest.work")
"""Loggers of what makes a step take longer."""
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
"""Extras of a record that a line of JSON holds as fields."""


def configure(step: str, group: str | None) -> None:
    """Formats all that this process logs, for whoever handles it already or else to standard output; tells the terminal what is TOLD."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stdout))
    formatter = Json(step, group) if os.environ.get(VARIABLE) == "json" else Text(step, group)
    for handler in root.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(formatter)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("botocore").setLevel(
        logging.WARNING
    )  # it says where it has found credentials, and so does doctor
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # its retries are said by those who wait
    for name in TOLD:
        logging.getLogger(name).handlers = [Notices(step, group)]


class Text(logging.Formatter):
    """`2026-11-26 18:20:03Z pretrain, group 0: ...`; warnings and worse say so."""

    def __init__(self, step: str, group: str | None):
        super().__init__("%(asctime)sZ %(where)s: %(level)s%(message)s", "%Y-%m-%d %H:%M:%S")
        self.converter = time.gmtime
        self.where = step if group is None else f"{step}, group {group}"

    def format(self, record: logging.LogRecord) -> str:
        """A line, and a traceback where there is one."""
        record.where = self.where
        record.level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return super().format(record)


class Json(logging.Formatter):
    """An object a line."""

    def __init__(self, step: str, group: str | None):
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime
        self.where = {"step": step} | ({} if group is None else {"group": group})

    def format(self, record: logging.LogRecord) -> str:
        """The line; null is left out."""
        figures = {name: value for name in FIGURES if (value := getattr(record, name, None)) is not None}
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        about = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        return json.dumps({**about, **self.where, "message": record.getMessage(), **figures, **trace})


class Notices(logging.Handler):
    """Tells the terminal of warnings that say why a step takes longer."""

    def __init__(self, step: str, group: str | None):
        super().__init__(logging.WARNING)
        self.where = step, group

    def emit(self, record: logging.LogRecord) -> None:
        """As an event."""
        events.emit("notice", *self.where, text=record.getMessage())
