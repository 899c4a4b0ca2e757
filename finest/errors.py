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


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message that says something; empty where there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def one_line(error: BaseException) -> str:
    """Returns the line that a user reads: the message; before it the type, where the error was not made for users."""
    text = first_line(error)
    return text if isinstance(error, FinestError) else f"{type(error).__name__}: {text}".removesuffix(": ")
