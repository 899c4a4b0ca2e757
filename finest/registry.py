"""Registries of what a config can name: models, regularisers, rules and the like, each declared where it is written.

A module of the library registers with a decorator; another installed package adds its own by an entry point, so that
nobody changes the library to extend it:

    [project.entry-points."finest.models"]
    tiny = "example_package.model:Tiny"
"""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from finest.errors import ConfigError, FinestError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a thing may be called: names stand in file names, config keys and names of MLflow's metrics."""
T = TypeVar("T")
Thing = TypeVar("Thing")


class Registry(Generic[T]):
    """Things by name: those that the library's modules register, and those of other packages' entry points.

    Modules are imported on first use. An entry point is imported when its own thing is asked for, so that a broken
    package disturbs only who uses it.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        package: str = "",
        check: Callable[[Any], bool] = lambda thing: True,
        ordered: bool = False,
        reserved: Callable[[], Iterable[str]] = tuple,
        sections: Mapping[str, type[BaseModel]] = MappingProxyType({}),
    ):
        """Makes an empty registry.

        Args:
            kind: What the things are, for messages: "model".
            group: Group of entry points by which other packages add to it: "finest.models".
            package: Module, or package of modules, that registers the library's own things; imported on first use.
            check: Tells whether what an entry point leads to is such a thing.
            ordered: Whether the library's own are listed in the order in which `package`, a single module, registers
                them; else they are sorted, since modules are imported in any order.
            reserved: Returns names that stand for something else where the things' names are used.
            sections: The configs of things of the library's own that take long to import.
        """
        self.kind, self.group, self._package, self._check = kind, group, package, check
        self._ordered, self._reserved, self._sections = ordered, reserved, sections
        self._things: dict[str, T] = {}
        self._points: dict[str, metadata.EntryPoint] | None = None
        self._loaded = False

    def register(self, name: str) -> Callable[[Thing], Thing]:
        """Returns a decorator that registers a thing under `name`. Raises FinestError where the name is taken."""

        def add(thing: Thing) -> Thing:
            if name in self._things:
                raise FinestError(
                    f"two {self.kind}s are called {name}: {self._things[name]!r} and {thing!r}; rename one"
                )
            self._things[name] = thing  # type: ignore[assignment]
            return thing

        return add

    def __getitem__(self, name: str) -> T:
        """Returns the thing called `name`.

        Raises:
            ConfigError: There is none.
            FinestError: Two packages use the name, or the package that has it cannot be imported.
        """
        points = self._load()
        if name in self._things:
            return self._things[name]
        if name not in points:
            close = difflib.get_close_matches(name, list(self), n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(self)}"
            raise ConfigError(
                f"there is no {self.kind} called {name}; {hint}"
                f" (another package adds one by an entry point of {self.group})"
            )
        self._things[name] = thing = self._import(points[name])
        return thing

    def __contains__(self, name: object) -> bool:
        return name in self._sections or name in self._load() or name in self._things

    def __iter__(self) -> Iterator[str]:
        """Yields all names: the library's own, then other packages', sorted."""
        points = self._load()
        own = [name for name in self._things if name not in points]
        return iter([*(own if self._ordered else sorted(own)), *sorted(points)])

    def section(self, name: str) -> type[BaseModel]:
        """Returns the config that the thing called `name` takes; it is imported only where `sections` lacks it.

        Raises:
            ConfigError: There is none.
            FinestError: As for the thing itself.
        """
        if name in self._sections and name not in self._listed():
            return self._sections[name]
        thing: Any = self[name]
        config: type[BaseModel] = thing.Config
        return config

    def import_all(self) -> None:
        """Imports everything that can be named. Raises FinestError where a package's thing cannot be used."""
        for name in self:
            self[name]

    def package_of(self, name: str) -> str | None:
        """Returns which other package has the thing, like `example==1.0`; None for the library's own.

        It imports nothing.
        """
        point = self._listed().get(name)
        return f"{point.dist.name}=={point.dist.version}" if point and point.dist else None

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Makes one line of what a thing of another package raises, with its name and its package's.

        Whatever the library's own things raise is its own bug, and is raised as it is. Raises FinestError.
        """
        try:
            yield
        except FinestError:
            raise
        except Exception as error:
            if (package := self.package_of(name)) is None:
                raise
            raise FinestError(f"{self.kind} {name} of {package} failed: {type(error).__name__}: {error}") from error

    def _load(self) -> dict[str, metadata.EntryPoint]:
        """Imports the library's own modules, once. Returns other packages' entry points, none of which is imported."""
        points = self._listed()
        if not self._loaded:
            self._loaded = True  # what is imported may look something up
            try:
                if self._package:
                    package = importlib.import_module(self._package)
                    for module in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{self._package}."):
                        importlib.import_module(module.name)
                for name in self._things.keys() & points.keys():
                    raise self._doubled(points[name], "this library")
            except BaseException:
                self._loaded = False
                raise
        return points

    def _listed(self) -> dict[str, metadata.EntryPoint]:
        """Returns other packages' entry points by name."""
        if self._points is None:
            points: dict[str, metadata.EntryPoint] = {}
            for point in metadata.entry_points(group=self.group):
                taken = points.get(point.name)
                if taken and taken.value != point.value:
                    raise self._doubled(point, _origin(taken))
                points[point.name] = point
            self._points = points
        return self._points

    def _doubled(self, point: metadata.EntryPoint, other: str) -> FinestError:
        return FinestError(
            f"two {self.kind}s are called {point.name}: one of {other}, one of {_origin(point)}; uninstall one"
        )

    def _import(self, point: metadata.EntryPoint) -> T:
        if not NAME.fullmatch(point.name):
            raise FinestError(
                f"{self.kind} {point.name!r} of {_origin(point)} has no name that can be used: letters, digits, _.- "
                "make one"
            )
        if point.name in self._reserved():
            raise FinestError(
                f"{self.kind} {point.name} of {_origin(point)} has a name that stands for something else; rename it"
            )
        try:
            thing: T = point.load()
        except Exception as error:
            raise FinestError(
                f"{self.kind} {point.name} of {_origin(point)} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if not self._check(thing):
            raise FinestError(f"{point.value}, which {_origin(point)} calls a {self.kind}, is none")
        return thing


def _origin(point: metadata.EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist else f"entry point {point.value}"


class Name:
    """Annotates a config field that holds the bare name of a thing of a registry; an unknown name is an error."""

    def __init__(self, registry: Registry[Any]):
        self.registry = registry

    def validate(self, name: str) -> str:
        """Returns the name. Raises ValueError where the registry has no such thing."""
        try:
            self.registry[name]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Looks into the registry when a value comes, not when the field is declared: nothing is imported before."""
        return core_schema.no_info_after_validator_function(self.validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Lists the names."""
        return {"type": "string", "enum": list(self.registry)}


class Named:
    """Annotation of a config field that holds the section of any thing of a registry, told apart by its key `name`.

    `model: Annotated[ModelConfig, Named(MODELS)]` takes `{name: gru4rec, hidden_size: 32}` and checks it with the class
    that `MODELS["gru4rec"].Config` is. A bare name is a section of defaults. An error inside has the full place of the
    key.
    """

    def __init__(self, registry: Registry[Any], default: str | None = None):
        """Makes the annotation.

        Args:
            registry: Registry of the things that can be named.
            default: Name that a mapping without one means; None where it must have one.
        """
        self.registry, self.default = registry, default

    def validate(self, value: Any) -> BaseModel:
        """Returns the section that `value` describes: a section, a mapping with a `name`, or a name."""
        if isinstance(value, BaseModel):
            return value
        values = {"name": value} if isinstance(value, str) else value
        if self.default and isinstance(values, dict):
            values = {"name": self.default, **values}
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            raise ValueError(f"must have a `name`, one of {', '.join(self.registry)}")
        try:
            section = self.registry.section(values["name"])
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return section.model_validate(values)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validates by the registry when a value comes, not when the field is declared: nothing is imported before."""
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda section, info: _written(section.model_dump(mode=info.mode, exclude_none=info.exclude_none)),
                info_arg=True,
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describes a bare name, and the section of everything that is registered here."""
        return {"anyOf": [{"enum": list(self.registry)}, *(self._describe(name, handler) for name in self.registry)]}

    def _describe(self, name: str, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        section = handler.resolve_ref_schema(handler(self.registry.section(name).__pydantic_core_schema__))
        keys = section.get("properties", {})
        return {
            **section,
            "properties": {**keys, "name": {**keys.get("name", {}), "const": name}},
            "required": list(
                dict.fromkeys([*([] if name == self.default else ["name"]), *section.get("required", [])])
            ),
        }


def _written(section: dict[str, Any]) -> dict[str, Any] | str:
    """Returns a section as a config has it: one without any option as its bare name."""
    name: str = section["name"]
    return name if len(section) == 1 else section
