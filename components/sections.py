"""Config sections as pipeline parameters and back, with errors that name the full key."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from finest.documents import worded
from finest.errors import ConfigError
from finest.models import config as models
from finest.registry import Name, Named, Registry
from finest.secrets import masked

S = TypeVar("S", bound=BaseModel)

LISTED = 20
"""Number of wrong keys that a message lists at most."""
LONGEST = 200
"""Number of characters that it shows of a value."""
RENAMED = {
    "pretrain.rate": "pretrain.lr",
    "pretrain.decay": "pretrain.weight_decay",
    "pretrain.batch": "pretrain.batch_size",
    "pretrain.average": "pretrain.ema_decay",
    "pretrain.clip": "pretrain.max_grad_norm",
    **{f"pretrain.model.{old}": f"pretrain.model.{new}" for old, new in models.RENAMED.items()},
    "finetune.rate": "finetune.lr",
    "finetune.top": "finetune.top_k",
    "finetune.margin": "finetune.regulariser.margin",
    "perturb.shards": "perturb.groups",
    "promote.registered_model": "name",
}
"""Keys of earlier versions, and what they are called now."""
MOVED = {
    "perturb.look_back": "now an option of its family, as in family: {name: casper, look_back: 50}",
    "perturb.scenarios.new_item": "now an option of its kind, as in kind: {name: insertion, new_item: least_popular}",
}
"""Keys of earlier versions that stand elsewhere, and what they are now."""


def parse(section: type[S], values: Mapping[str, Any], name: str = "") -> S:
    """Returns the section that `values` describe.

    Takes what kfp hands a step too: whole numbers as floats, and no key where the value is null.

    Args:
        section: The section's type.
        values: Its keys.
        name: Where it stands in the config, like `gate`; empty for the config itself.

    Raises:
        ConfigError: The values are not such a section; one line.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, section, values, name)) from error


def parameters(section: BaseModel) -> dict[str, Any]:
    """Returns the section as a pipeline parameter: JSON values without nulls, which kfp refuses.

    A null is always the default.
    """
    return section.model_dump(mode="json", exclude_none=True)


def keys(section: type[BaseModel], prefix: str = "", values: Any = None) -> Iterator[str]:
    """Yields every dotted key of a section, sections themselves included.

    Of a section that depends on a name, such as that of a model, the keys are those for the name in `values`.
    """
    for name, field in section.model_fields.items():
        full = f"{prefix}.{name}" if prefix else name
        yield full
        value = _value(values, name)
        for nested in sections_of(field, value):
            yield from keys(nested, full, value)


def _value(values: Any, name: str) -> Any:
    """Returns what stands under a key, None for nothing; in a list of sections, a list of what stands there."""
    if isinstance(values, list):
        return [one[name] for one in values if isinstance(one, Mapping) and name in one] or None
    return values.get(name) if isinstance(values, Mapping) else None


def sections_of(field: FieldInfo, value: Any = None) -> list[type[BaseModel]]:
    """Returns the sections that a key can hold, alone or in a list.

    Args:
        field: The key's field.
        value: What the config says there. Without one, a section that depends on a name is that of the default.
    """
    found = []
    for inner in _inside(field):
        if isinstance(inner, Named):
            names = names_in(value) or names_in(field.get_default(call_default_factory=True))
            # One without options is a bare name in a config.
            named = (inner.registry.section(name) for name in names)
            found += [section for section in named if set(section.model_fields) > {"name"}]
        elif not isinstance(inner, Name):
            found.append(inner)
    return found


def registries_of(field: FieldInfo) -> list[Registry[Any]]:
    """Returns the registries of what a key can name, alone or in a list."""
    return [inner.registry for inner in _inside(field) if isinstance(inner, (Name, Named))]


def _inside(annotation: Any) -> Iterator[type[BaseModel] | Name | Named]:
    """Yields the sections that a field or a part of its annotation holds, and what says that a name decides."""
    if isinstance(annotation, FieldInfo):
        yield from _inside(Annotated[annotation.annotation, *annotation.metadata, None])
    elif get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        if named := [one for one in metadata if isinstance(one, (Name, Named))]:
            yield from named
        else:
            yield from _inside(inner)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _inside(inner)


def names_in(value: Any) -> list[str]:
    """Returns the names in a value of a key whose section depends on one.

    Args:
        value: A mapping, a section, a bare name or a list of them.
    """
    if isinstance(value, list):
        return list(dict.fromkeys(name for one in value for name in names_in(one)))
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", value)
    return [name] if isinstance(name, str) else []


def _explain(error: ValidationError, section: type[BaseModel], values: Mapping[str, Any], name: str) -> str:
    """Returns one line that says what is wrong with every key."""
    by_path: dict[str, list[ErrorDetails]] = {}
    errors = error.errors(include_url=False)
    unknown = {one["loc"][:-1] for one in errors if one["type"] == "extra_forbidden"}
    # A misspelt key makes another one missing, which needs no word of its own.
    needed = [one for one in errors if one["type"] != "missing" or one["loc"][:-1] not in unknown]
    for one in sorted(needed, key=lambda one: one["type"] != "extra_forbidden"):
        path = " ".join(".".join(part for part in [name, *_keys_alone(one, values)] if part).split())[:LONGEST]
        by_path.setdefault(path, []).append(one)
    # Of keys that are there, what else could stand in their place says nothing.
    within = {path for path in by_path if path and any(other.startswith(f"{path}.") for other in by_path)}
    said = [
        _unknown(path, section, values, name) if found[0]["type"] == "extra_forbidden" else _wrong(path, found)
        for path, found in by_path.items()
        if path not in within
    ]
    if len(said) == 1:
        return said[0]
    more = f" (and {len(said) - LISTED} more)" if len(said) > LISTED else ""
    return f"{len(said)} keys are wrong: {' '.join(f'({n}) {one}' for n, one in enumerate(said[:LISTED], 1))}{more}"


def _keys_alone(error: ErrorDetails, values: Any) -> list[str]:
    """Returns where the error is, without the names that pydantic gives to the members of a union."""
    path = []
    for part in error["loc"]:
        missing = error["type"] == "missing" and part == error["loc"][-1]
        if isinstance(values, Mapping) and (part in values or missing):
            path.append(str(part))
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int):
            path.append(str(part))
            values = values[part]
    return path


def _wrong(path: str, found: list[ErrorDetails]) -> str:
    said = [worded(one["msg"]) for one in found]
    if all(one.startswith("must be ") for one in said):
        said[1:] = [one.removeprefix("must be ") for one in said[1:]]
    value = found[0]["input"]
    shown = "" if isinstance(value, (dict, BaseModel)) else f" = {_as_yaml(value)}"
    return f"{path or 'config'}{shown}: {' or '.join(said)}"


def _as_yaml(value: Any) -> str:
    if isinstance(value, str):
        value = masked(value, alone=True)
    shown = {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def _unknown(path: str, section: type[BaseModel], values: Mapping[str, Any], name: str) -> str:
    plain = ".".join(part for part in path.split(".") if not part.isdigit())
    if plain in RENAMED and RENAMED[plain] in set(keys(section, name, values)):
        return f"{path} is called {RENAMED[plain]} now"
    if plain in MOVED:
        return f"{path} is {MOVED[plain]}"
    close = _closest(plain, list(keys(section, name, values)))
    if close == path:  # a key with dots, as --set takes them
        outer, _, inner = path.rpartition(".")
        return f"{path}: a config file nests keys; write {inner} under {outer}, as in {outer}: {{{inner}: ...}}"
    return f"{path}: there is no such config key" + (f"; did you mean {close}?" if close else "")


def _closest(path: str, known: list[str]) -> str | None:
    """Returns the key most like `path`.

    That is one of the same section, else one of the same last word elsewhere, else anything alike.
    """
    parent, _, leaf = path.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == parent]
    by_leaf = {key.rpartition(".")[2]: key for key in siblings}
    if near := difflib.get_close_matches(leaf, by_leaf, n=1):
        return by_leaf[near[0]]
    if same := [key for key in known if key.rpartition(".")[2] == leaf]:
        return same[0]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.8)
    return near[0] if near else None
