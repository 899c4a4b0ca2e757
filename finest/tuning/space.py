"""The space of a search: keys of `pretrain` and `finetune` that it changes, and how values of them become a config."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from finest.documents import fault
from finest.errors import ConfigError
from finest.training.config import Finetune, Pretrain
from finest.tuning.config import SPACE, TUNED, Range, Tune, flat

if TYPE_CHECKING:
    from optuna.trial import Trial

Value = bool | int | float | str
Values = dict[str, Value]
"""Values of searched keys, by dotted key."""


class Pair(NamedTuple):
    """Holds the two sections that a search changes."""

    pretrain: Pretrain
    finetune: Finetune


@dataclass(frozen=True)
class Key:
    """Holds a searched key: its own value, and what it is drawn from."""

    name: str
    """Dotted key."""
    own: Value
    """Its value in the config that the search begins with."""
    drawn: Range | tuple[Value, ...]
    """What it is drawn from, its own value included."""

    def suggest(self, trial: "Trial") -> Value:
        """Returns the value that an Optuna trial draws."""
        if not isinstance(self.drawn, Range):
            value: Value = trial.suggest_categorical(self.name, self.drawn)  # type: ignore[assignment]
            return value
        low, high, log = self.drawn.low, self.drawn.high, self.drawn.log
        if isinstance(self.own, int):
            return trial.suggest_int(self.name, int(low), int(high), log=log)
        return trial.suggest_float(self.name, low, high, log=log)


def keys_of(config: Pair, tune: Tune) -> list[Key]:
    """Returns the keys of a search, by name.

    Raises ConfigError for a key that the config has not, and for values that the key cannot have.
    """
    plain = {name: section.model_dump(mode="json") for name, section in zip(TUNED, config, strict=True)}
    found = []
    for name, drawn in sorted(flat(tune.space).items()):  # KFP hands on a section's keys in any order
        own: Any = plain
        for word in name.split("."):
            own = own.get(word) if isinstance(own, Mapping) else None
        if own is None and tune.space == SPACE:
            continue  # a default for all configs; this one leaves the key unset, as it does `epochs` beside `steps`
        if not isinstance(own, (bool, int, float, str)):
            raise ConfigError(
                f"tune.space.{name}: no key of this config that has a value; keys of pretrain and finetune can be "
                "searched, like pretrain.lr"
            )
        found.append(Key(name, own, _widened(name, drawn, own, config)))
    return found


def _widened(name: str, drawn: Range | list[Any], own: Value, config: Pair) -> Range | tuple[Value, ...]:
    """Returns what a key is drawn from with its own value in it, and checks its ends or values."""
    if isinstance(drawn, Range):
        if isinstance(own, (bool, str)):
            raise ConfigError(f"tune.space.{name}: its value is {own}, so give a list of values instead of a range")
        for end in (drawn.low, drawn.high):
            if isinstance(own, int) and end != int(end):
                raise ConfigError(f"tune.space.{name}: {end:g} is not a whole number, and the key is one")
            _check(name, int(end) if isinstance(own, int) else end, config)
        return Range(low=min(drawn.low, own), high=max(drawn.high, own), log=drawn.log and own > 0)
    values: list[Value] = [type(own)(one) if isinstance(own, (int, float)) else one for one in drawn]
    for one in values:
        _check(name, one, config)
    return tuple(dict.fromkeys([*values, own]))


def _check(name: str, value: Value, config: Pair) -> None:
    try:
        with_values(config, {name: value})
    except ConfigError as error:
        raise ConfigError(f"tune.space.{name}: {value} {error}") from None


def with_values(config: Pair, values: Mapping[str, Value]) -> Pair:
    """Returns the sections with these values of dotted keys. Raises ConfigError where they are none together."""
    plain = placed({name: section.model_dump(mode="json") for name, section in zip(TUNED, config, strict=True)}, values)
    try:
        return Pair(Pretrain.model_validate(plain["pretrain"]), Finetune.model_validate(plain["finetune"]))
    except ValidationError as error:
        raise ConfigError(f"is refused ({fault(error)})") from None


def placed(sections: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Returns nested plain data with these values of dotted keys; what was given is left as it was.

    >>> placed({"a": {"b": 1, "c": 2}}, {"a.b": 3})
    {'a': {'b': 3, 'c': 2}}
    """
    result = dict(sections)
    for key, value in values.items():
        first, _, rest = key.partition(".")
        result[first] = placed(result[first], {rest: value}) if rest else value
    return result
