"""Errors that a user can act on: one line saying what is wrong, where, and what to do."""

import errno
import re
import signal

from finest.secrets import masked

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Pattern of characters that end a line, that a terminal obeys, or that no file can hold."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a disk that takes no more."""
LONGEST = 1000
"""Number of characters that are shown of a message that was not made for users, and of a word in one that was."""
LONG_WORD = re.compile(rf"(\S{{{LONGEST}}})\S+")


def printable(text: str) -> str:
    r"""Returns a text in one line, with an escape for every character of UNPRINTABLE.

    >>> printable("a\nb")
    'a\\nb'
    """
    return escaped(UNPRINTABLE, text)


def escaped(which: re.Pattern[str], text: str) -> str:
    """Returns a text with an escape for every character that matches."""
    return which.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


class FinestError(Exception):
    """Means that something has a clear cause, which its text says; as it is, neither the user's config nor data."""

    exit_code = 1
    """Exit code of a command that ends with it."""

    def __str__(self) -> str:
        """Returns the text in one line: what is named in it may hold any character, and no end of them."""
        text = super().__str__()
        if len(text) > LONGEST:
            text = LONG_WORD.sub(r"\1...", masked(text))  # masked while secrets in it are whole
        return printable(text)


class ConfigError(FinestError):
    """Means that a config value or a command line cannot be meant."""

    exit_code = 2


class DataError(FinestError):
    """Means that input data (interactions, rank lists, edit tables) cannot be used."""


class DamagedError(FinestError):
    """Means that something is not what was written: bits of it have changed, or it was cut off or replaced."""


class BrokenGateError(FinestError):
    """Means that the gate failed its own test, so that its word on a candidate counts for nothing."""


class UnavailableError(FinestError):
    """Means that a service does not answer now and may well do so in a minute."""


class KilledError(FinestError):
    """Means that a signal has ended a process; the same may well succeed when it is tried again."""

    def __init__(self, what: str, number: int):
        """Takes what was killed, like "a training process", and the number of the signal."""
        super().__init__(what, number)
        self.what, self.number = what, number

    def __str__(self) -> str:
        return f"{self.what} was killed by {signal.Signals(self.number).name}"


class OutOfMemoryError(FinestError):
    """Means that more memory is needed than there is, however often it is tried."""


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message that says something, without secrets; empty where there is none.

    One that was not made for users may hold a whole file, and is cut.
    """
    line = next((line.strip() for line in masked(str(error)).splitlines() if line.strip()), "")
    return line if isinstance(error, FinestError) or len(line) <= LONGEST else f"{line[:LONGEST]}..."


def one_line(error: BaseException) -> str:
    """Returns the line that a user reads: the message; before it the type, where the error was not made for users."""
    text = first_line(error)
    return text if isinstance(error, FinestError) else f"{type(error).__name__}: {text}".removesuffix(": ")
