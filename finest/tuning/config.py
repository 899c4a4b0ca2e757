"""Config of the search: how long it takes, and which keys it changes, from what to what."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from finest.section import Section


class Range(Section):
    """A range of numbers that a key is drawn from, both ends included; whole numbers where the key is one."""

    low: float
    """Its least number."""
    high: float
    """Its largest number."""
    log: bool = False
    """Whether the logarithm is drawn from: for keys of which the double matters, like a learning rate."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"low ({self.low:g}) must be positive where log is true")
        return self


SPACE: dict[str, Any] = {
    "pretrain": {
        "lr": {"low": 5e-4, "high": 8e-3, "log": True},
        "weight_decay": {"low": 0.02, "high": 1.0, "log": True},
        "epochs": {"low": 4, "high": 32, "log": True},
        "model": {
            "hidden_size": [32, 64, 128],
            "num_layers": {"low": 1, "high": 3},
            "max_length": [25, 50, 100],
            "dropout": {"low": 0.0, "high": 0.5},
        },
    },
    "finetune": {"alpha": {"low": 0.1, "high": 10.0, "log": True}, "top_k": [20, 50, 100]},
}
"""What is searched where the config does not say: keys that every recommender has."""
TUNED = ("pretrain", "finetune")
"""Sections whose keys can be searched."""


class Tune(Section):
    """The search that `finest tune` makes: no run of the pipeline reads it."""

    minutes: float = Field(default=30.0, gt=0, le=1380)
    """How long the search takes, in minutes of wall time, those of earlier attempts of the same search included. The
    config's own trial is measured however long that takes; any other one that is not done by then is left, and gone
    on with where the same search gets more minutes. A pod has a day for all."""
    trials: int | None = Field(default=None, ge=1)
    """Largest number of configs that are tried, the config's own among them; unset: as many as the minutes allow. With
    a number that the minutes suffice for, the same seed gives the same result."""
    space: dict[str, Any] = Field(default=SPACE)
    """What is searched, written like a config: in the place of a key's value stands a range (`{low: 0.001, high: 0.01,
    log: true}`) or a list of values. What is given here is the whole space, and every key that is not in it stays as
    the config has it; a key's own value always belongs to its range or list. Keys of `pretrain` and `finetune`."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not flat(self.space):
            raise ValueError("space: nothing to search; give a range or a list for at least one key")
        return self


def flat(space: Mapping[str, Any], above: str = "") -> dict[str, Range | list[Any]]:
    """Returns what is searched by dotted key. Raises ValueError for what is neither range nor list.

    >>> flat({"pretrain": {"lr": {"low": 0.1, "high": 1}, "model": {"hidden_size": [32, 64]}}})
    {'pretrain.lr': Range(low=0.1, high=1.0, log=False), 'pretrain.model.hidden_size': [32, 64]}
    """
    found: dict[str, Range | list[Any]] = {}
    for name, value in space.items():
        key = f"{above}.{name}" if above else name
        if isinstance(value, Mapping) and "low" in value:
            found[key] = Range.model_validate(value)
        elif isinstance(value, Mapping):
            found |= flat(value, key)
        elif isinstance(value, list) and value and all(isinstance(one, (bool, int, float, str)) for one in value):
            found[key] = value
        else:
            raise ValueError(f"space.{key}: must be a range with low and high, or a list of values")
    return found
