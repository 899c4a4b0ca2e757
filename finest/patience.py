"""Riding out what passes: a service that is away is waited for, a line in the log for each wait, until it is back or a limit is over."""

import contextlib
import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from finest.durations import duration
from finest.errors import ConfigError, UnavailableError

T = TypeVar("T")
Reason = Callable[[BaseException], str | None]
"""Why an error may well be gone in a minute, in words without secrets; None for one that will not."""

VARIABLE = "FINEST_PATIENCE_SECONDS"
"""Environment variable: how long a service may be away. Unset, not at all: somebody waits for an answer."""
FIRST_SECONDS, LONGEST_SECONDS = 0.5, 30.0
"""Of the waits between two tries, which double."""

logger = logging.getLogger(__name__)
_jitter = random.Random()
_most: ContextVar[float] = ContextVar("most", default=math.inf)


def limit() -> float:
    """Seconds that a service may be away. Raises ConfigError where the environment's word for it is no number."""
    return min(_configured(), _most.get())


def _configured() -> float:
    given = os.environ.get(VARIABLE) or "0"
    try:
        return float(given)
    except ValueError:
        raise ConfigError(f"{VARIABLE}={given}: write a number of seconds, like 600") from None


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """A shorter limit for a block of this thread."""
    token = _most.set(seconds)
    try:
        yield
    finally:
        _most.reset(token)


def patiently(service: str, call: Callable[[], T], reason: Reason) -> T:
    """What the call returns, once the service is there. Raises its own error where that does not pass, or where there is no patience at
    all; UnavailableError where the limit is over."""
    absence: Absence | None = None
    while True:
        try:
            answer = call()
        except Exception as error:
            why = reason(error)
            if why is None or not limit():
                raise
            absence = absence or Absence(service)
            if (seconds := absence.wait(why)) is None:
                raise UnavailableError(absence.given_up(why)) from None  # the cause's own text may hold credentials
            time.sleep(seconds)
        else:
            if absence:
                absence.ended()
            return answer


def pause(waits: int) -> float:
    """Returns the seconds until the next try, after so many waits before: twice as long each time, and a little random."""
    doubled: float = min(FIRST_SECONDS * 2**waits, LONGEST_SECONDS)
    return doubled * _jitter.uniform(0.75, 1.0)


class Absence:
    """A service that is away: since when, and how long until it is asked again."""

    def __init__(self, service: str):
        self.service, self.began, self.waits, self.limit = service, time.monotonic(), 0, limit()

    def wait(self, why: str) -> float | None:
        """Seconds until the next try, said in the log; None once the limit is over."""
        left = self.limit - (time.monotonic() - self.began)
        if left < 0.001:
            return None
        seconds = min(pause(self.waits), left)
        self.waits += 1
        logger.warning(
            "waiting for %s: %s; asked again in %.1f s, given up in %s", self.service, why, seconds, duration(left)
        )
        return seconds

    def ended(self) -> None:
        """Says that the service is back."""
        logger.warning("%s is back after %s", self.service, duration(time.monotonic() - self.began))

    def given_up(self, why: str) -> str:
        """One line for whoever must hear of it."""
        away = duration(time.monotonic() - self.began)
        longer = ", longer than steps.patience_minutes allows" if self.limit == _configured() else ""
        return f"{self.service} has been away for {away}{longer}: {why}"
