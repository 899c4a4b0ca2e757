"""Errors that a user can act on: one line saying what is wrong, where, and what to do."""

import signal


class FinestError(Exception):
    """Anything that is not the user's config or data but still has a clear cause."""

    exit_code = 1


class ConfigError(FinestError):
    """A config value or a command line that cannot be meant."""

    exit_code = 2


class DataError(FinestError):
    """Input data (interactions, rank lists, edit files) that cannot be used."""


class UnavailableError(FinestError):
    """A service that does not answer now and may well in a minute."""


class KilledError(FinestError):
    """A process that a signal has ended; the same may well succeed."""

    def __init__(self, what: str, number: int):
        super().__init__(what, number)
        self.what, self.number = what, number

    def __str__(self) -> str:
        return f"{self.what} was killed by {signal.Signals(self.number).name}"


class OutOfMemoryError(FinestError):
    """More memory is needed than there is, however often it is tried."""
