import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from components.sections import RENAMED, keys, parameters, parse, sections_of
from finest.data.config import Ingest
from finest.errors import ConfigError
from finest.gate.config import Gate
from finest.perturb.config import Perturb
from finest.registry import Named, Registry
from finest.section import Section
from finest.training.config import Finetune, Pretrain
from pipeline.config import Config

MODELS = Registry[Any]("model", "finest.of_this_test")


def as_kfp_hands_it_on(value: Any) -> Any:
    """Parameters travel as JSON, whole numbers as floats; None is refused."""
    if isinstance(value, dict):
        return {key: as_kfp_hands_it_on(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_kfp_hands_it_on(item) for item in value]
    assert value is not None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else json.loads(json.dumps(value))


shares = st.just("off") | st.floats(0, 1)


@settings(max_examples=50, deadline=None)
@given(st.builds(Gate, min_rls_above_floor=shares, min_worst_rls_above_floor=shares))
def test_a_gate_survives_the_way_through_kfp(gate: Gate) -> None:
    assert parse(Gate, as_kfp_hands_it_on(parameters(gate)), "gate") == gate


@pytest.mark.parametrize("section", [Ingest(), Perturb(), Pretrain(processes=3), Pretrain()])
def test_a_section_survives_the_way_through_kfp(section: Ingest | Perturb | Pretrain) -> None:
    assert parse(type(section), as_kfp_hands_it_on(parameters(section))) == section


@pytest.mark.parametrize("switched", ["off", False])  # YAML 1.1 makes False of an unquoted off
def test_a_bound_that_was_switched_off_stays_off(switched: object) -> None:
    sent = parameters(parse(Gate, {"min_rls_above_floor": switched}))
    assert sent["min_rls_above_floor"] == "off" and "min_rls_rbo" not in sent
    assert parse(Gate, sent).min_rls_above_floor == "off"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.5, "gate.min_rls_above_floor = 3.5: must be less than or equal to 3 or 'off'"),
        (None, "gate.min_rls_above_floor = null: must be a valid number or 'off'"),
        (True, "gate.min_rls_above_floor = true: must be a number or 'off'"),
        ([0.5], "gate.min_rls_above_floor = [0.5]: must be a valid number or 'off'"),
    ],
)
def test_a_wrong_bound_is_one_line_that_names_the_word_for_none(value: object, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Gate, {"min_rls_above_floor": value}, "gate")
    assert str(caught.value) == text


def test_a_key_that_can_be_null_is_null_by_default() -> None:
    """A null does not travel through kfp, so leaving the key out must mean it."""
    for section in (Ingest, Perturb, Pretrain, Finetune, Gate):
        for name, field in fields(section):
            assert type(None) not in get_args(field.annotation) or field.default is None, name


def fields(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        yield f"{section.__name__}.{name}", field
        for nested in sections_of(field):
            yield from fields(nested)


def test_an_empty_text_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"ingest\.columns\.user"):
        parse(Ingest, {"columns": {"user": ""}}, "ingest")
    with pytest.raises(ConfigError, match=r"pretrain\.epochs = ''"):
        parse(Pretrain, {"epochs": ""}, "pretrain")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_is_refused_with_its_new_name(old: str, new: str) -> None:
    values: dict[str, Any] = {}
    *outer, leaf = old.split(".")
    inner = values
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[leaf] = 1
    assert new in set(keys(Config))
    with pytest.raises(ConfigError) as caught:
        parse(Config, values)
    assert str(caught.value) == f"{old} is called {new} now"


def test_an_old_key_that_another_model_had_is_not_told_a_name_that_this_one_has_not() -> None:
    with pytest.raises(ConfigError, match=r"^pretrain\.model\.heads: there is no such config key"):
        parse(Pretrain, {"model": {"name": "gru4rec", "heads": 3}}, "pretrain")


def test_what_else_could_stand_in_place_of_keys_is_not_said_of_a_wrong_key_among_them() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Pretrain, {"memory": {"neighbors": 3}}, "pretrain")
    known = "there is no such config key; did you mean pretrain.memory.neighbours?"
    assert str(caught.value) == f"pretrain.memory.neighbors: {known}"
    with pytest.raises(ConfigError, match=r"^pretrain\.memory = 5: must be keys with values or 'off'$"):
        parse(Pretrain, {"memory": 5}, "pretrain")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"perturb": {"look_back": 9}}, "perturb.look_back is now an option of its family"),
        (
            {"perturb": {"scenarios": [{"kind": "insertion", "new_item": "random"}]}},
            "perturb.scenarios.0.new_item is now an",
        ),
    ],
)
def test_a_key_that_has_moved_is_refused_with_its_new_place(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Config, values)
    assert str(caught.value).startswith(text)


class Bert(Section):
    name: Literal["bert"] = "bert"
    mask_share: float = Field(default=0.2, gt=0)


class Gru(Section):
    name: Literal["gru"] = "gru"
    cells: int | None = None


for section in (Bert, Gru):
    MODELS.register(section.__name__.lower())(SimpleNamespace(Config=section))


class Trained(Section):
    model: Annotated[Any, Named(MODELS)] = Gru()
    others: list[Annotated[Any, Named(MODELS)]] = Field(default=[])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"model": {"name": "bert", "mask_shar": 1}},
         "t.model.mask_shar: there is no such config key; did you mean t.model.mask_share?"),
        ({"model": {"name": "gru", "mask_share": 1}}, "t.model.mask_share: there is no such config key"),
        ({"model": {"name": "bert", "mask_share": 0}}, "t.model.mask_share = 0: must be greater than 0"),
        ({"others": ["gru", {"name": "bert", "mask_shar": 1}]},
         "t.others.1.mask_shar: there is no such config key; did you mean t.others.mask_share?"),
        ({"model": "berd"}, "t.model = 'berd': there is no model called berd; did you mean bert?"),
    ],
)  # fmt: skip
def test_an_error_in_a_section_that_a_name_decides_has_the_full_key_and_that_section_s_own(
    values: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Trained, values, "t")
    assert str(caught.value).split(" (another")[0] == text


def test_a_section_that_a_name_decides_travels_without_nulls() -> None:
    assert parameters(Trained()) == {"model": "gru", "others": []}


def test_keys_reach_into_sections_and_lists_of_sections() -> None:
    assert {"perturb.scenarios", "perturb.scenarios.kind", "perturb.groups"} <= set(keys(Perturb, "perturb"))
