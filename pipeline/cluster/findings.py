"""Holds what the doctor finds: one row for every check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from finest.errors import FinestError
from tracking.answer import one_line

Status = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True)
class Row:
    """Holds a check and what it found."""

    name: str
    status: Status
    said: str
    """The facts, or the cause of what is wrong, or why nothing was checked."""
    fix: str = ""


class HealthError(FinestError):
    """A check has found something wrong; says what, and what to do about it."""

    def __init__(self, cause: str, fix: str):
        super().__init__(f"{cause}; {fix}")
        self.cause, self.fix = cause, fix


class NotCheckedError(FinestError):
    """A check could not be made; says why, and what to do so that it can."""

    def __init__(self, why: str, fix: str):
        super().__init__(f"not checked: {why}; {fix}")
        self.why, self.fix = why, fix


def row(name: str, check: Callable[[], str]) -> Row:
    """Runs a check. Returns its row: what it returns is fine, what it raises is not."""
    try:
        return Row(name, "ok", check())
    except HealthError as found:
        return Row(name, "failed", found.cause, found.fix)
    except NotCheckedError as found:
        return Row(name, "unknown", f"not checked: {found.why}", found.fix)
    except FinestError as error:  # our own errors end in what to do
        cause, _, fix = str(error).partition("; ")
        return Row(name, "failed", cause, fix)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is what this row found, and the others must still be made
        return Row(name, "failed", one_line(error), "see the cause")
