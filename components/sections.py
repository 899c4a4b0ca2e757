"""Config sections as pipeline parameters and back, with errors that name the full field."""

import difflib
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from finest.errors import ConfigError

S = TypeVar("S", bound=BaseModel)

UNSET = ""
"""A null in a pipeline parameter: kfp refuses None, and leaving the key out would bring the default back."""


def parse(section: type[S], values: Mapping[str, Any], name: str = "") -> S:
    """The section that `values` describe. `name` is where it stands in the config, like `gate`.

    Takes what kfp hands a step too: whole numbers as floats, null as an empty string. Raises ConfigError, one line.
    """
    try:
        return section.model_validate(_with_nulls(section, values))
    except ValidationError as error:
        raise ConfigError(_explain(error, section, name)) from error


def parameters(section: BaseModel) -> dict[str, Any]:
    """The section as a pipeline parameter: JSON values without None. A null default is left out, any other null is an empty string."""
    return _without_nulls(section.model_dump(mode="json"), type(section)())


def _without_nulls(value: Any, default: Any) -> Any:
    if isinstance(value, dict):
        of = {key: getattr(default, key, None) for key in value}
        kept = {key: item for key, item in value.items() if item is not None or of[key] is not None}
        return {key: UNSET if item is None else _without_nulls(item, of[key]) for key, item in kept.items()}
    if isinstance(value, list):
        return [_without_nulls(item, None) for item in value]
    return value


def _with_nulls(section: type[BaseModel], values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values
    result = {}
    for key, value in values.items():
        field = section.model_fields.get(key)
        nested = _section_of(field)
        if nested is not None:
            value = (
                [_with_nulls(nested, one) for one in value] if isinstance(value, list) else _with_nulls(nested, value)
            )
        elif value == UNSET and field is not None and type(None) in _types(field.annotation):
            value = None
        result[key] = value
    return result


def _types(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _section_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The section that a field holds, alone or in a list."""
    if field is None:
        return None
    inner = get_args(field.annotation)[0] if get_origin(field.annotation) is list else field.annotation
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key of the section, sections themselves included."""
    for name, field in section.model_fields.items():
        full = f"{prefix}.{name}" if prefix else name
        yield full
        nested = _section_of(field)
        if nested is not None:
            yield from keys(nested, full)


def _explain(error: ValidationError, section: type[BaseModel], name: str) -> str:
    found = error.errors(include_url=False)
    found.sort(key=lambda one: one["type"] != "extra_forbidden")  # a misspelt key makes another one missing
    first, more = found[0], len(found) - 1
    path = ".".join(part for part in [name, *(str(part) for part in first["loc"])] if part)
    if first["type"] == "extra_forbidden":
        plain = ".".join(part for part in path.split(".") if not part.isdigit())
        close = _closest(plain, list(keys(section, name)))
        if close == path:  # a key with dots, as --set takes them
            outer, _, inner = path.rpartition(".")
            text = f"{path}: a config file nests keys; write {inner} under {outer}, as in {outer}: {{{inner}: ...}}"
        else:
            text = f"{path}: there is no such config key" + (f"; did you mean {close}?" if close else "")
    else:
        what = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        shown = "" if isinstance(first["input"], (dict, BaseModel)) else f" = {first['input']!r}"
        text = f"{path or 'config'}{shown}: {what}"
    return text + (f" (and {more} more)" if more else "")


def _closest(path: str, known: list[str]) -> str | None:
    """The valid key most like `path`: in the same section first, else one of the same last word elsewhere, else anything alike."""
    parent, _, leaf = path.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == parent]
    by_leaf = {key.rpartition(".")[2]: key for key in siblings}
    if near := difflib.get_close_matches(leaf, by_leaf, n=1):
        return by_leaf[near[0]]
    if same := [key for key in known if key.rpartition(".")[2] == leaf]:
        return same[0]
    near = difflib.get_close_matches(path, known, n=1)
    return near[0] if near else None
