"""Registries: loud about unknown and doubled names, open to other packages."""

from importlib import metadata
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from finest.errors import ConfigError, FinestError
from finest.registry import Named, Registry
from finest.section import Section


class Square:
    class Config(Section):
        name: Literal["square"] = "square"
        side: int = Field(default=1, ge=1)


class Point(metadata.EntryPoint):
    """An entry point of a package that is not really installed."""

    def load(self) -> Any:
        if self.value == "broken":
            raise ImportError("no module named nowhere")
        return {"circle": "a circle", "number": 3}[self.value]

    @property
    def dist(self) -> Any:  # type: ignore[override]
        return type("Distribution", (), {"name": "round-things", "version": "1.0"})


def registry(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> Registry[Any]:
    found = [Point(name, value, "finest.shapes") for name, value in points]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found if group == "finest.shapes" else [])
    shapes: Registry[Any] = Registry("shape", "finest.shapes", check=lambda thing: not isinstance(thing, int))
    shapes.register("square")(Square)
    return shapes


def test_a_name_leads_to_what_was_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch, ("circle", "circle"))
    assert shapes["square"] is Square and shapes["circle"] == "a circle"
    assert list(shapes) == ["square", "circle"] and "circle" in shapes and "cube" not in shapes
    assert shapes.package_of("circle") == "round-things==1.0" and shapes.package_of("square") is None


def test_an_unknown_name_is_an_error_that_says_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there is no shape called sqare; did you mean square\?"):
        registry(monkeypatch)["sqare"]
    with pytest.raises(ConfigError, match="there is no shape called x; there are square"):
        registry(monkeypatch)["x"]


def test_a_doubled_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FinestError, match="two shapes are called square"):
        registry(monkeypatch).register("square")(Square)
    ours, theirs = registry(monkeypatch, ("square", "circle")), registry(monkeypatch, ("a", "circle"), ("a", "number"))
    for _ in range(2):  # it does not become right by asking again
        with pytest.raises(FinestError, match="two shapes are called a: one of package round-things, one of package"):
            list(theirs)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [Point("square", "circle", group)])
    for _ in range(2):
        with pytest.raises(FinestError, match="two shapes are called square: one of this library, one of package roun"):
            ours["square"]


def test_a_name_that_stands_for_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch, ("circle", "circle"))
    shapes._reserved = lambda: ["circle"]
    with pytest.raises(FinestError, match="shape circle of package round-things has a name that stands for something"):
        shapes["circle"]


def test_a_broken_package_disturbs_only_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch, ("blob", "broken"), ("three", "number"))
    assert shapes["square"] is Square and list(shapes) == ["square", "blob", "three"]
    with pytest.raises(FinestError, match="shape blob of package round-things cannot be imported: ImportError: no mod"):
        shapes["blob"]
    with pytest.raises(FinestError, match="number, which package round-things calls a shape, is none"):
        shapes["three"]
    with pytest.raises(FinestError, match="shape blob of package"):
        shapes.import_all()


def test_what_another_packages_thing_raises_is_one_line_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch, ("circle", "circle"))
    said = r"^shape circle of round-things==1\.0 failed: ZeroDivisionError: division"
    with pytest.raises(FinestError, match=said), shapes.at_work("circle"):
        print(1 / 0)
    with pytest.raises(ZeroDivisionError), shapes.at_work("square"):  # a bug of this library is one
        print(1 / 0)


def test_a_name_that_could_not_stand_in_a_file_name_or_a_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch, ("a circle", "circle"))
    with pytest.raises(FinestError, match="shape 'a circle' of package round-things has no name that can be used"):
        shapes["a circle"]


def test_a_field_takes_the_section_of_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch)

    class Drawing(Section):
        shape: Annotated[Section, Named(shapes)] = Field(default="square", validate_default=True)

    assert Drawing().shape == Square.Config() == Drawing.model_validate({"shape": "square"}).shape
    drawing = Drawing.model_validate({"shape": {"name": "square", "side": 3}})
    assert drawing.model_dump(mode="json") == {"shape": {"name": "square", "side": 3}}
    with pytest.raises(ValidationError, match="there is no shape called cube"):
        Drawing.model_validate({"shape": "cube"})
    with pytest.raises(ValidationError, match="must have a `name`, one of square"):
        Drawing.model_validate({"shape": {"side": 3}})
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate({"shape": {"name": "square", "side": 0}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("shape", "side") and error["type"] == "greater_than_equal"
    name, square = Drawing.model_json_schema()["properties"]["shape"]["anyOf"]
    assert name == {"enum": ["square"]} and square["properties"]["side"]["minimum"] == 1
    assert square["properties"]["name"]["const"] == "square" and square["required"] == ["name"]


def test_a_section_without_a_name_is_that_of_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = registry(monkeypatch)

    class Drawing(Section):
        shape: Annotated[Section, Named(shapes, default="square")] = Field(default="square", validate_default=True)

    assert Drawing.model_validate({"shape": {"side": 3}}).shape == Square.Config(side=3)
