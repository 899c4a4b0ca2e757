"""Reads the JSON files that steps hand on: one that is damaged is one line with its path and what to do."""

import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from finest.errors import DataError

M = TypeVar("M", bound=BaseModel)

LONGEST = 300
"""Number of characters that are shown of what is wrong."""


def read(path: Path, kind: type[M], instead: str) -> M:
    """Returns what a JSON file holds.

    Args:
        path: The file.
        kind: What it holds.
        instead: What to do where it does not, as the end of a sentence.

    Raises:
        DataError: It holds something else.
        FileNotFoundError: There is no such file.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path}: damaged, or of another version ({fault(error)}); {instead}") from error


def read_facts(path: Path, instead: str) -> dict[str, Any]:
    """Returns the JSON object that a file holds; takes and raises what `read` does."""
    return read(path, _Facts, instead).root


def fault(error: ValidationError) -> str:
    """Returns the first thing that is wrong on one line, with where it stands: `a.b: must be a valid number`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{f'{where}: ' if where else ''}{' '.join(worded(first['msg']).split())}"[:LONGEST]


def worded(message: str) -> str:
    """Returns what pydantic says as what follows a name.

    >>> worded("Input should be a valid number"), worded("Value error, must be named"), worded("Field required")
    ('must be a valid number', 'must be named', 'is missing')
    >>> worded("Input should be a valid dictionary or instance of Gate")
    'must be keys with values'
    """
    if message == "Field required":
        return "is missing"
    message = re.sub(r"^\w+ should ", "must ", message.removeprefix("Value error, "))
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "keys with values", message)
    return message.replace(" after validation", "")


class _Facts(RootModel[dict[str, Any]]):
    """Holds any JSON object."""
