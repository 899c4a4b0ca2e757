"""Writes the inputs and outputs of every component into its README: `python -m tests.component_readmes`."""

import importlib
from pathlib import Path
from typing import Any

import docstring_parser
from kfp.dsl.base_component import BaseComponent

COMPONENTS = Path(__file__).parents[1] / "components"
MARKS = "<!-- written by `make docs` -->", "<!-- end -->"
TYPES = {
    "String": "text",
    "Integer": "whole number",
    "Boolean": "true or false",
    "Dict": "keys and values",
    "List[String]": "list of texts",
    "PipelineTaskFinalStatus": "status",
}


def readmes() -> dict[Path, str]:
    """Returns what every component's README should be."""
    found = {}
    for file in sorted(COMPONENTS.glob("*/component.py")):
        readme = file.with_name("README.md")
        before, begin, rest = readme.read_text().partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        assert begin and end, f"{readme}: put {MARKS[0]}{MARKS[1]} where the tables go"
        tables = "\n".join(_table(one) for one in _components(file))
        found[readme] = f"{before}{begin}\n{tables}{end}{after}"
    return found


def _components(file: Path) -> list[Any]:
    module = importlib.import_module(f"components.{file.parent.name}.component")
    return [one for one in vars(module).values() if isinstance(one, BaseComponent)]


def _table(component: Any) -> str:
    doc, spec = component.python_func.__doc__, component.component_spec
    # The parser takes the last of two sections of a name. kfp reads the documentation of outputs like this, too.
    takes = _arguments(doc)
    gives = takes | _arguments(doc.replace("Returns:", "Args:"))
    rows = [("in", name, one.type, takes[name]) for name, one in (spec.inputs or {}).items()]
    rows += [("out", name, one.type, gives[name]) for name, one in (spec.outputs or {}).items()]
    lines = [f"| `{component.name}` | | Type | Meaning |", "|---|---|---|---|"]
    return (
        "\n".join([*lines, *(f"| {way} | `{name}` | {_type(kind)} | {text} |" for way, name, kind, text in rows)])
        + "\n"
    )


def _arguments(doc: str) -> dict[str, str]:
    return {one.arg_name: " ".join((one.description or "").split()) for one in docstring_parser.parse(doc).params}


def _type(kind: str) -> str:
    return TYPES.get(kind, kind.removeprefix("system.").partition("@")[0])


if __name__ == "__main__":
    for path, text in readmes().items():
        path.write_text(text)
