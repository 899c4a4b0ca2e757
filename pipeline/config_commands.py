"""The commands `config show`, `config schema` and `config docs`."""

from collections.abc import Iterator
from typing import Any

import typer

from pipeline import config as configs
from pipeline import reference
from pipeline.options import ConfigFile, Sets, examples

app = typer.Typer(
    help="What a config says, and what it could say.",
    no_args_is_help=True,
    epilog=examples("finest config show --config nightly", "finest config docs"),
)


@app.command(epilog=examples("finest config show --config nightly --set pretrain.epochs=20"))
def show(config: ConfigFile = None, sets: Sets = None) -> None:
    """Print the complete config of a run as YAML, and where each value that is no default comes from."""
    file = config or configs.QUICKSTART
    whole = configs.load(file, sets or []).model_dump(mode="json")
    found = {"what the config names": {"packages": whole["packages"]} if whole["packages"] else {}}
    said = {**found, file.name: configs.assigned(sets or [], configs.read(file)), "--set": configs.assigned(sets or [])}
    print("# The complete config. Values without a comment are defaults; a comment says where others come from.")
    for line in _lines(whole, said):
        print(line)


@app.command(epilog=examples("finest config schema > config.schema.json"))
def schema() -> None:
    """Print a JSON schema of configs, by which editors check and complete them."""
    print(reference.as_text(reference.schema()), end="")


@app.command(epilog=examples("finest config docs > docs/config.md"))
def docs() -> None:
    """Print every key with its type, range, default, unit and meaning, as Markdown."""
    print(reference.page(), end="")


def _lines(values: dict[str, Any], said: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yields the lines of a section.

    Args:
        values: The section's keys.
        said: What each origin says of the section, later ones over earlier ones.
        indent: Spaces before every line.
    """
    for key, value in values.items():
        by_origin = {name: one[key] for name, one in said.items() if isinstance(one, dict) and key in one}
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            # A bare name stands for a section of that name and defaults.
            inner = {name: {"name": one} if isinstance(one, str) else one for name, one in by_origin.items()}
            yield from _lines(value, inner, indent + "  ")
        else:
            origin = f"  # {[*by_origin][-1]}" if by_origin else ""
            yield f"{indent}{key}: {reference.as_yaml(value)}{origin}"
