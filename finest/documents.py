"""Reads the JSON files that steps hand on: one that is damaged is one line with its path and what to do."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from finest.errors import DataError

M = TypeVar("M", bound=BaseModel)


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
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{f'{where}: ' if where else ''}{' '.join(first['msg'].split())}"
        raise DataError(f"{path}: damaged, or of another version ({why[:300]}); {instead}") from error


def read_facts(path: Path, instead: str) -> dict[str, Any]:
    """Returns the JSON object that a file holds; takes and raises what `read` does."""
    return read(path, _Facts, instead).root


class _Facts(RootModel[dict[str, Any]]):
    """Holds any JSON object."""
