"""Reads a config's YAML: whatever is wrong with it is one line with the file, the line and the key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from finest.errors import ConfigError

MOST = 1 << 18
"""Number of bytes of the longest config file; real ones have some thousand."""


class _OddError(yaml.MarkedYAMLError):
    """A value or a key cannot be what its tag says."""


class _Once(yaml.SafeLoader):
    """Loads YAML safely, and refuses a key that stands twice: the second would take the first one's place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Returns the mapping of a node. Raises MarkedYAMLError where a key stands twice or is no text."""
        seen = set[str]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _OddError(problem="a key must be a text", problem_mark=key.start_mark)
            if key.value in seen:
                raise _OddError(problem=f"{key.value} stands twice; put both into one", problem_mark=key.start_mark)
            seen.add(key.value)
        found = super().construct_mapping(node, deep)
        for name in found:
            if not isinstance(name, str):
                raise _OddError(
                    problem=f"the key {name!r} must be a text; put it into quotes", problem_mark=node.start_mark
                )
        return found

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Returns the value of a node. Raises MarkedYAMLError where it cannot be what its tag says."""
        try:
            return super().construct_object(node, deep=True)  # not later, where no place is known any more
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            tag = node.tag.removeprefix("tag:yaml.org,2002:")
            if tag == "timestamp" and node.value[:1].isdigit():
                return node.value  # like a day and is none, such as 2026-11-31: whose key it is says what it must be
            value = node.value if isinstance(node.value, str) else "this"
            short = value if len(value) <= 40 else f"{value[:40]}..."
            raise _OddError(problem=f"{short!r} is no {tag}", problem_mark=node.start_mark) from error


def read(path: Path, instead: str = "") -> dict[str, Any]:
    """Returns what a config file says, unchecked but for its YAML.

    Args:
        path: The file.
        instead: What to say where there is none.

    Raises:
        ConfigError: It cannot be read, or is no YAML of sections and keys.
    """
    try:
        with path.open("rb") as file:  # so much and no more: it may be a device without end
            raw = file.read(MOST + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: there is no such config file{instead}") from error
    except (OSError, ValueError) as error:  # ValueError: of a name with a NUL
        raise ConfigError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(raw) > MOST:
        raise ConfigError(f"{path}: is longer than {MOST:,} bytes, and no config is; give a file of sections and keys")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8") from error
    values = parsed(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is sections and keys, this is a {type(values).__name__}")
    return values


def parsed(text: str, where: str, lines: bool = True) -> Any:
    """Returns what a text of YAML says.

    Args:
        text: The text.
        where: Where it stands, for messages.
        lines: Whether it has lines that a message can number.

    Raises:
        ConfigError: It is no YAML; with the line, and the key whose value is wrong.
    """
    try:
        return yaml.load(text, _Once)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark and lines else ""
        key = _key_at(text, mark) if isinstance(error, _OddError) and mark else ""
        raise ConfigError(f"{where}{line}: {f'{key}: ' if key else ''}not valid YAML ({error.problem})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error
    except RecursionError:
        raise ConfigError(f"{where}: not valid YAML (its lists and sections are nested too deeply)") from None


def _key_at(text: str, mark: yaml.Mark) -> str:
    """Returns the dotted key whose value begins at a place; empty where none does."""
    places = _places(yaml.compose(text, yaml.SafeLoader), (), set())
    return next(
        (".".join(path) for path, at in places if path and (at.line, at.column) == (mark.line, mark.column)), ""
    )


def _places(node: yaml.Node | None, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[Any, Any]]:
    """Yields the key of every value below a node, and where the value begins; of an alias once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield path, node.start_mark
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(value, (*path, str(key.value)), seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _places(value, (*path, str(number)), seen)
