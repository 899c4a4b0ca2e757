from importlib import metadata
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from pydantic import Field

from components.packages import check, needed
from finest.errors import ConfigError
from finest.registry import Name, Named, Registry
from finest.section import Section
from pipeline.config import load

MODELS, RULES = Registry[Any]("model", "finest.models_of_this_test"), Registry[Any]("rule", "finest.rules_of_this_test")


class Tiny(Section):
    name: str = "tiny"


class Own(Section):
    name: str = "own"


class Inner(Section):
    models: list[Annotated[Any, Named(MODELS)]] = Field(default=[Own()])


class Outer(Section):
    inner: Inner = Inner()
    inners: list[Inner] = Field(default=[])
    rules: list[Annotated[str, Name(RULES)]] = Field(default=[])


@pytest.fixture
def another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    MODELS._things, RULES._things = {"own": SimpleNamespace(Config=Own)}, {}
    MODELS._points = RULES._points = None
    package = SimpleNamespace(name="example", version="1.0")
    tiny = SimpleNamespace(name="tiny", value="m:T", dist=package, load=lambda: SimpleNamespace(Config=Tiny))
    strict = SimpleNamespace(name="strict", value="m:s", dist=package, load=lambda: object())
    points = {MODELS.group: [tiny], RULES.group: [strict]}
    monkeypatch.setattr(metadata, "entry_points", lambda group: points[group])


@pytest.mark.parametrize(
    ("values", "packages"),
    [
        ({}, []),
        ({"inner": {"models": ["own", "tiny"]}}, ["example==1.0"]),
        ({"inners": [{"models": ["tiny"]}]}, ["example==1.0"]),
        ({"rules": ["strict"]}, ["example==1.0"]),
    ],
)
def test_packages_are_found_wherever_a_config_names_a_thing_of_theirs(
    another_package: None, values: dict[str, Any], packages: list[str]
) -> None:
    assert list(needed(Outer.model_validate(values))) == packages


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        (["no-such-package==1.0"], "no-such-package==1.0, which this config needs, is not installed here"),
        (["pydantic==0.1"], "needs pydantic==0.1, but pydantic"),
        (["not a package"], "not a package is no package"),
    ],
)
def test_a_package_that_is_not_there_is_one_line_before_anything_else_is_read(packages: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(None, [f"packages={packages}", "pretrain.model=tiny"])
    assert "\n" not in str(caught.value)


def test_packages_that_are_there_are_fine() -> None:
    check(["pydantic", f"pydantic=={metadata.version('pydantic')}"])
    assert load(None, ["packages=[pydantic]"]).packages == ["pydantic"]
