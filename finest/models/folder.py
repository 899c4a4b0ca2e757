"""What lies in a saved model's folder, and the items behind its codes: for who asks no model for anything."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finest.documents import fault
from finest.errors import DataError

WEIGHTS, FACTS, ITEMS, COUNTS = "weights.safetensors", "model.json", "items.json", "counts.safetensors"
CUT = "cut.parquet"
"""File beside a model: each user's last training time, columns `user` and `last_train_timestamp` (microseconds)."""


def read_items(folder: Path) -> list[str]:
    """Returns the items of a saved model's catalogue [I], by code from 1. Raises DataError where there are none."""
    try:
        return TypeAdapter(list[str]).validate_json((folder / ITEMS).read_bytes(), strict=True)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: not a saved model ({ITEMS} is missing)") from error
    except ValidationError as error:
        raise DataError(damaged(folder / ITEMS, fault(error))) from error


def damaged(path: Path, why: str) -> str:
    """Returns what is to be said of a file, or folder, that is not what `finest.models.saved.save` wrote."""
    return f"{path}: damaged, or not of a saved model ({why}); take it from where it came once more"
