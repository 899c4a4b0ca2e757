"""Errors that a user can act on: one line saying what is wrong, where, and what to do."""


class FinestError(Exception):
    """Anything that is not the user's config or data but still has a clear cause."""

    exit_code = 1


class ConfigError(FinestError):
    """A config value or a command line that cannot be meant."""

    exit_code = 2


class DataError(FinestError):
    """Input data (interactions, rank lists, edit files) that cannot be used."""
