"""What is searched: keys that are there, values that they can have, and configs that come of it."""

from typing import Any

import pytest

from components.sections import parse
from finest.errors import ConfigError
from finest.models.registry import MODELS
from finest.training.config import Finetune, Pretrain
from finest.tuning.config import Range, Tune
from finest.tuning.space import Key, Pair, keys_of, placed, with_values


def config(**pretrain: Any) -> Pair:
    return Pair(Pretrain.model_validate(pretrain), Finetune())


def keys(space: dict[str, Any], given: Pair | None = None) -> dict[str, Key]:
    return {key.name: key for key in keys_of(given or config(), Tune(space=space))}


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_has_the_keys_that_are_searched_by_default(model: str) -> None:
    found = keys_of(config(model=model), Tune())
    assert {"pretrain.lr", "pretrain.model.dropout", "finetune.alpha", "finetune.top_k"} <= {key.name for key in found}


def test_epochs_are_not_searched_by_default_where_the_config_has_steps() -> None:
    auto = config(steps="auto")
    assert "pretrain.epochs" in {key.name for key in keys_of(config(), Tune())}
    assert "pretrain.epochs" not in {key.name for key in keys_of(auto, Tune())}
    with pytest.raises(ConfigError, match=r"tune\.space\.pretrain\.epochs: no key"):
        keys({"pretrain": {"epochs": [3, 4]}}, auto)


def test_a_keys_own_value_always_belongs_to_what_it_is_drawn_from() -> None:
    found = keys(
        {"pretrain": {"lr": {"low": 0.01, "high": 0.1, "log": True}, "model": {"hidden_size": [8, 16]}}},
        config(lr=0.002, model={"name": "sasrec", "hidden_size": 48}),
    )
    assert found["pretrain.lr"].drawn == Range(low=0.002, high=0.1, log=True)
    assert found["pretrain.model.hidden_size"].drawn == (8, 16, 48)


def test_a_memorys_keys_can_be_searched_where_there_is_one() -> None:
    space = {"pretrain": {"memory": {"neighbours": [10, 50]}}}
    assert keys(space)["pretrain.memory.neighbours"].drawn == (10, 50, 100)
    with pytest.raises(ConfigError, match=r"tune\.space\.pretrain\.memory\.neighbours: no key"):
        keys(space, config(memory="off"))


def test_keys_have_one_order_however_they_are_written() -> None:
    """What is drawn for a trial depends on it."""
    one = keys_of(config(), Tune(space={"finetune": {"alpha": [1, 2]}, "pretrain": {"lr": [0.1], "epochs": [3]}}))
    other = keys_of(config(), Tune(space={"pretrain": {"epochs": [3], "lr": [0.1]}, "finetune": {"alpha": [1, 2]}}))
    assert one == other and [key.name for key in one] == ["finetune.alpha", "pretrain.epochs", "pretrain.lr"]


def test_whole_numbers_stay_whole_though_a_pipeline_hands_them_on_as_floats() -> None:
    found = keys({"pretrain": {"epochs": {"low": 2.0, "high": 9.0}}, "finetune": {"top_k": [10.0, 100.0]}})
    assert found["finetune.top_k"].drawn == (10, 100) and isinstance(found["finetune.top_k"].drawn[0], int)
    assert isinstance(found["pretrain.epochs"].own, int)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"pretrain": {"rate": [0.1]}}, "tune.space.pretrain.rate: no key of this config"),
        ({"gate": {"max_accuracy_drop_base": [0.1]}}, "tune.space.gate.max_accuracy_drop_base: no key"),
        ({"pretrain": {"memory": [10]}}, "tune.space.pretrain.memory: no key"),
        ({"pretrain": {"amp": {"low": 0, "high": 1}}}, "give a list of values instead of a range"),
        ({"pretrain": {"epochs": {"low": 1.5, "high": 3}}}, "1.5 is not a whole number"),
        (
            {"pretrain": {"model": {"dropout": {"low": 0, "high": 1}}}},
            "tune.space.pretrain.model.dropout: 1.0 is refused",
        ),
        ({"pretrain": {"device": ["cpu", "tpu"]}}, "tune.space.pretrain.device: tpu is refused"),
    ],
)
def test_what_cannot_be_searched_is_one_line_with_the_key(space: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        keys(space)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "tune: space: nothing to search"),
        ({"pretrain": {"lr": 0.1}}, "space.pretrain.lr: must be a range with low and high, or a list of values"),
        ({"pretrain": {"lr": []}}, "space.pretrain.lr: must be a range"),
        ({"pretrain": {"lr": {"low": 2, "high": 1}}}, "low .2. must be less than high"),
        ({"pretrain": {"lr": {"low": 0, "high": 1, "log": True}}}, "must be positive where log is true"),
    ],
)
def test_a_space_that_is_none_is_refused_with_the_config(space: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(Tune, {"space": space}, "tune")


def test_values_go_to_their_keys_and_all_others_stay() -> None:
    before = config(model={"name": "gru4rec", "hidden_size": 16}, batch_size=7)
    after = with_values(before, {"pretrain.model.hidden_size": 32, "finetune.alpha": 3.0})
    assert after.pretrain.model.hidden_size == 32 and after.finetune.alpha == 3.0
    assert after.pretrain.model_copy(update={"model": before.pretrain.model}) == before.pretrain
    assert placed({"a": {"b": {"c": 1}}}, {"a.b.c": 2}) == {"a": {"b": {"c": 2}}}


def test_values_that_are_no_config_together_are_said() -> None:
    with pytest.raises(ConfigError, match=r"num_heads \(3\) must divide hidden_size"):
        with_values(config(), {"pretrain.model.num_heads": 3})
