"""Puts `--set` and the options that stand for keys into a config's values."""

import re
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.sections import sections_of
from finest.errors import ConfigError
from pipeline.config_file import parsed

Setting = str | tuple[str, str]
"""`key=value`, whose value is YAML; or a key and a text, which is taken as it is."""
NUMBER = re.compile(r"[0-9]{1,9}")


def assigned(settings: Iterable[Setting], values: dict[str, Any], section: type[BaseModel]) -> dict[str, Any]:
    """Returns values changed by settings.

    A key whose alternative is set, as `pretrain.epochs` is by `pretrain.steps`, is taken out unless it is set itself.

    Args:
        settings: The settings.
        values: Nested keys, which are changed.
        section: What the values are to be; of it is known which keys hold text.

    Raises:
        ConfigError: A setting cannot be meant.
    """
    found: list[list[str]] = []
    for setting in settings:
        if isinstance(setting, tuple):
            key, value = setting
            found.append(key.split("."))
            _put(values, key, found[-1], value)
            continue
        key, equals, text = setting.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise ConfigError(f"--set {_short(setting)}: write it as key=value, like gate.min_rls_rbo=0.8")
        _put(values, setting, path, _value(setting, text, _types(section, path, values)))
        found.append(path)
    for path in found:
        _displace(values, section, path, found)
    return values


def _displace(values: Any, section: type[BaseModel], path: list[str], given: list[list[str]]) -> None:
    """Takes out the keys that exclude the one of a path, where that has a value, unless they are given too."""
    *above, name = path
    sections = [section]
    for key in above:
        field = next((one.model_fields[key] for one in sections if key in one.model_fields), None)
        values = values.get(key) if isinstance(values, dict) else None
        try:
            sections = sections_of(field, values) if field else []
        except ConfigError:  # of a name that there is not, which its check will say
            return
    if not isinstance(values, dict) or values.get(name) is None:
        return
    groups = [group for one in sections for group in getattr(one, "ALTERNATIVES", ()) if name in group]
    for other in {key for group in groups for key in group} - {name}:
        if [*above, other] not in given:
            values.pop(other, None)


def _value(setting: str, text: str, types: set[Any]) -> Any:
    """Returns what a setting's text means for a key that holds such types.

    Where a key holds text, that is the text as it stands, unless it is in quotes; a whole number where the key holds
    these too, and null where it may be unset.
    """
    if str not in types or text.strip()[:1] in ("'", '"'):
        return parsed(text, f"--set {_short(setting)}", lines=False)
    if int in types and NUMBER.fullmatch(text.strip()):
        return int(text)
    return None if NoneType in types and (not text or text.strip() in ("null", "~")) else text


def _short(setting: str) -> str:
    """Returns a setting for a message: in one line, and no longer than it."""
    line = " ".join(setting.split())
    return line if len(line) <= 100 else f"{line[:100]}..."


def _types(section: type[BaseModel], path: list[str], values: Any) -> set[Any]:
    """Returns the types that a key holds; none where there is no such key, which its check will say."""
    sections, field = [section], None
    for name in path:
        if field is not None and NUMBER.fullmatch(name):
            inner = [one for one in _flat(field) if get_origin(one) is list]
            if sections and not any(str in _flat(get_args(one)[0]) for one in inner):
                values = values[int(name)] if isinstance(values, list) and int(name) < len(values) else None
                continue
            return {kind for one in inner for kind in _flat(get_args(one)[0])}
        found = [one.model_fields[name] for one in sections if name in one.model_fields]
        if not found:
            return _of_values(field)
        field, values = found[0], values.get(name) if isinstance(values, dict) else None
        try:
            sections = sections_of(field, values)
        except ConfigError:  # of a name that there is not
            return set()
    return set(_flat(field)) if field is not None else set()


def _of_values(field: FieldInfo | None) -> set[Any]:
    """Returns the types of a map's values; none where a key holds no map."""
    kinds: list[Any] = _flat(field) if field is not None else []
    return {kind for one in kinds if get_origin(one) is dict for kind in _flat(get_args(one)[1])}


def _flat(annotation: Any) -> list[Any]:
    """Returns the members of a union, without what annotates them."""
    if isinstance(annotation, FieldInfo):
        return _flat(annotation.annotation)
    if get_origin(annotation) is Annotated:
        return _flat(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [one for inner in get_args(annotation) for one in _flat(inner)]
    return [annotation]


def _put(values: dict[str, Any], setting: str, path: list[str], value: Any) -> None:
    """Puts a value at `a.b.0.c` of nested dicts and lists."""
    here: Any = values
    for number, name in enumerate(path):
        last, above = number == len(path) - 1, ".".join(path[:number])
        if isinstance(here, list):
            if not NUMBER.fullmatch(name) or int(name) >= len(here):
                raise ConfigError(
                    f"--set {_short(setting)}: {above} is a list of {len(here)}, number its entries from 0"
                )
            place: Any = int(name)
        elif isinstance(here, dict):
            place = name
        else:
            raise ConfigError(f"--set {_short(setting)}: {above} is a single value and has no keys")
        if last:
            here[place] = value
        else:
            if isinstance(here, dict) and not isinstance(here.get(place), (dict, list)):
                here[place] = {}
            here = here[place]
