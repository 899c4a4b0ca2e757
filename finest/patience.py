"""Waits for a service that is away until it is back or a limit is over, with a line in the log for each wait."""

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
"""Tells why an error may well be gone in a minute, in words without secrets; None for one that will not."""

VARIABLE = "FINEST_PATIENCE_SECONDS"
"""Environment variable: seconds that a service may be away. Where it is unset nothing is waited for: a person waits for
an answer."""
FIRST_SECONDS, LONGEST_SECONDS = 0.5, 30.0
"""First and longest wait between two tries; waits double."""

logger = logging.getLogger(__name__)
_jitter = random.Random()
_most: ContextVar[float] = ContextVar("most", default=math.inf)


def limit() -> float:
    """Returns the number of seconds that a service may be away.

    Raises:
        ConfigError: The value of the environment variable is no number.
    """
    return min(_configured(), _most.get())


def _configured() -> float:
    given = os.environ.get(VARIABLE) or "0"
    try:
        return float(given)
    except ValueError:
        raise ConfigError(f"{VARIABLE}={given}: write a number of seconds, like 600") from None


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Sets a shorter limit for a block of this thread."""
    token = _most.set(seconds)
    try:
        yield
    finally:
        _most.reset(token)


def patiently(service: str, call: Callable[[], T], reason: Reason) -> T:
    """Repeats a call while the service is away, and returns what it returns.

    Args:
        service: Name of the service, for the log.
        call: The call, repeated until it succeeds.
        reason: Says of an error whether it passes.

    Raises:
        UnavailableError: The limit is over.
        Exception: The call's own error, where it does not pass or nothing is waited for.
    """
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
    """Returns the seconds until the next try, after so many waits: twice as long each time, and a little random."""
    doubled: float = min(FIRST_SECONDS * 2**waits, LONGEST_SECONDS)
    return doubled * _jitter.uniform(0.75, 1.0)


class Absence:
    """Holds since when a service is away, and decides when it is asked again."""

    def __init__(self, service: str):
        self.service, self.began, self.waits, self.limit = service, time.monotonic(), 0, limit()

    def wait(self, why: str) -> float | None:
        """Returns the seconds until the next try and says so in the log; None once the limit is over."""
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
        """Says in the log that the service is back."""
        logger.warning("%s is back after %s", self.service, duration(time.monotonic() - self.began))

    def given_up(self, why: str) -> str:
        """Returns one line for the person who must hear that the limit is over."""
        away = duration(time.monotonic() - self.began)
        longer = ", longer than steps.patience_minutes allows" if self.limit == _configured() else ""
        return f"{self.service} has been away for {away}{longer}: {why}"
