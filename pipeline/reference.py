"""What can be written into a config: a JSON schema for editors, and every key as a page for people."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from pipeline.config import Config

Schema = dict[str, Any]

RUN = "The run"
"""Heading of the keys that are in no section."""
NAMES = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
FORMATS = {"date": "day", "date-time": "day or time"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
HEAD = """# Every key of a config

This page is written by `finest config docs`; the documentation of a key stands where the key is declared. A config file
is YAML and may leave any key out; `--set pretrain.epochs=20` overrides one for one run, and entries of lists are
numbered from 0: `--set perturb.scenarios.0.share=0.01`. `finest config show --config FILE` prints the complete config
of a run. An unknown key is an error, before anything starts. `null` means that a key is unset.
"""


class Row(NamedTuple):
    """Holds what the page says of a key."""

    key: str
    kind: str
    default: str
    text: str


class Table(NamedTuple):
    """Holds the keys of a section."""

    title: str
    text: str
    rows: list[Row]


def schema() -> Schema:
    """Returns the JSON schema of a config, with everything that is installed here."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_tidy(Config.model_json_schema()),
        "title": "FINEST config",
    }


def page() -> str:
    """Returns the page, in Markdown."""
    return HEAD + "".join(_table(table) for table in tables(schema()))


def tables(whole: Schema) -> Iterator[Table]:
    """Yields the sections of a config's schema, each with its keys and those of the sections inside it."""
    sections, alone = {}, []
    for key, about in whole["properties"].items():
        if "properties" in (inner := _resolved(about, whole)):
            sections[key] = inner
        else:
            alone.append(_row(key, about, whole))
    yield Table(RUN, "", alone)
    for key, section in sections.items():
        yield from _section(key, section, whole)


def _section(title: str, section: Schema, whole: Schema, prefix: str = "") -> Iterator[Table]:
    rows: list[Row] = []
    after: list[Table] = []
    prefix = prefix or title
    for key, about in section["properties"].items():
        full = f"{prefix}.{key}"
        variants = [one for one in _inside(about, whole) if set(one.get("properties", ())) - {"name"}]
        rows.append(_row(full, about, whole, nested=bool(variants)))
        for inner in variants:
            name = inner["properties"].get("name", {}).get("const")
            after += _section(f"{full}: {name}" if name else full, inner, whole, full)
    yield Table(title, section.get("description", ""), rows)
    yield from after


def _inside(about: Schema, whole: Schema) -> list[Schema]:
    """Returns what a key can hold, alone or in a list: each member of a union on its own."""
    about = _resolved(about, whole)
    if members := _members(about):
        return [inner for one in members for inner in _inside(one, whole)]
    return _inside(about["items"], whole) if "items" in about else [about]


def _members(about: Schema) -> list[Schema]:
    """Returns the members of a union; one that is told apart by its keys is `oneOf`."""
    return list(about.get("anyOf") or about.get("oneOf") or [])


def _row(key: str, about: Schema, whole: Schema, nested: bool = False) -> Row:
    resolved = _resolved(about, whole)
    default = "required"
    if "default" in resolved:
        section = nested and "items" not in resolved and "anyOf" not in resolved
        default = "" if section else f"`{_default(resolved['default'], resolved, whole)}`"
    text = about.get("description") or resolved.get("description", "")
    return Row(key, _kind(resolved, whole), default, " ".join(text.split()))


def _default(value: Any, about: Schema, whole: Schema) -> str:
    """Returns a default as it stands in a config file; sections in a list without what is their own default."""
    inner = {key: one for section in _inside(about, whole) for key, one in section.get("properties", {}).items()}
    if isinstance(value, list):
        value = [_without_defaults(one, inner) for one in value]
    return as_yaml(value)


def _without_defaults(value: Any, properties: Schema) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        key: one for key, one in value.items() if "default" not in properties[key] or properties[key]["default"] != one
    }


def _kind(about: Schema, whole: Schema) -> str:
    """Returns the type of a key and the range of its values, in words."""
    about = _resolved(about, whole)
    if members := _members(about):
        kinds = dict.fromkeys(_kind(one, whole) for one in members)
        return " or ".join(
            kind for kind in kinds if not any(kind in other.split(" or ") for other in kinds.keys() - {kind})
        )
    if "enum" in about or "const" in about:
        return ", ".join(f"`{one}`" for one in about.get("enum", [about.get("const")]))
    if "properties" in about:
        return "section"
    if about.get("type") == "array":
        least = f", at least {about['minItems']}" if about.get("minItems") else ""
        return f"list of: {_kind(about['items'], whole)}{least}"
    if about.get("type") == "object":
        values = about.get("additionalProperties")
        return f"keys with {_kind(values, whole)}" if isinstance(values, dict) else "keys and values"
    name = FORMATS.get(about.get("format", ""), NAMES.get(about.get("type", ""), "any"))
    return ", ".join([name, *(f"{sign} {about[bound]}" for bound, sign in BOUNDS.items() if bound in about)])


def _resolved(about: Schema, whole: Schema) -> Schema:
    """Returns the schema with what it refers to in it."""
    if "$ref" not in about:
        return about
    there = whole["$defs"][about["$ref"].rpartition("/")[2]]
    return {key: value for key, value in about.items() if key != "$ref"} | _resolved(there, whole)


def _tidy(value: Any) -> Any:
    """Returns the schema without titles, and with a line a paragraph.

    pydantic makes titles of keys, and an editor would show them in place of the keys.
    """
    if isinstance(value, list):
        return [_tidy(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _tidy(one) for key, one in value.items() if key != "title" or not isinstance(one, str)}
    if isinstance(text := kept.get("description"), str):
        kept["description"] = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return kept


def _table(table: Table) -> str:
    lines = ["", f"## {table.title}", "", *([table.text.strip(), ""] if table.text.strip() else [])]
    lines += ["| Key | Type and range | Default | Meaning |", "|---|---|---|---|"]
    for row in table.rows:
        cells = [f"`{row.key}`", *(cell.replace("|", "\\|") for cell in (row.kind, row.default, row.text))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_yaml(value: Any) -> str:
    """Returns a value as it stands in a config file, in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def as_text(value: Schema) -> str:
    """Returns a schema as the text of its file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
