"""Checks that the packages are installed from which a config names things: models, rules and the like."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import BaseModel

from components.sections import names_in, registries_of
from finest.errors import ConfigError


def needed(section: BaseModel) -> Iterator[str]:
    """Yields name and version of every other package from which a section names something, like `example==1.0`."""
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        for registry in registries_of(field):
            yield from filter(None, map(registry.package_of, names_in(value)))
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                yield from needed(inner)


def check(packages: Iterable[Any]) -> None:
    """Raises ConfigError where one of the packages, such as `example` or `example==1.0`, is not installed here."""
    for text in packages:
        try:
            wanted = Requirement(str(text))
        except InvalidRequirement as error:
            raise ConfigError(f"packages: {text} is no package; write a name, or name==version") from error
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError as error:
            raise ConfigError(
                f"packages: {text}, which this config needs, is not installed here; install it where the run starts "
                "and in the image of its steps (docs/extending.md)"
            ) from error
        if not wanted.specifier.contains(version, prereleases=True):
            raise ConfigError(f"packages: this config needs {text}, but {wanted.name} {version} is installed here")
