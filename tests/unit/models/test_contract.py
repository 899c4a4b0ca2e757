"""The contract of a model: which torch modules may be used, what is refused by name, and that the checks can fail."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from finest.errors import DataError, FinestError
from finest.models.config import SECTIONS, SASRecConfig
from finest.models.folder import FACTS
from finest.models.latent_cross import LatentCross
from finest.models.recommender import Recommender
from finest.models.registry import MODELS
from finest.models.sasrec import SASRec
from finest.models.saved import Facts, load, save
from finest.testing import check_model
from finest.training.replicas.stack import stack
from tests.unit.models.plugins import Masked, Plain, PlainConfig

CONFIG = PlainConfig(hidden_size=8, max_length=6)


pytestmark = pytest.mark.usefixtures("plugins")


@pytest.mark.parametrize("name", ["plain", "masked"])
def test_a_model_of_torchs_own_modules_keeps_the_contract(name: str) -> None:
    check_model(name)


def test_torchs_modules_start_as_torch_does_by_the_seed_and_their_name_alone() -> None:
    class Larger(Plain):
        def __init__(self, config: PlainConfig, items: int):
            super().__init__(config, items)
            self.between = nn.Linear(3, 3)

    models = [Plain(CONFIG, 10), Larger(CONFIG, 20)]
    for model in models:
        model.initialise(3)
    plain, larger = models
    assert plain.norm.weight.tolist() == [1.0] * 8 and plain.norm.bias.tolist() == [0.0] * 8
    assert torch.equal(plain.linear.weight, larger.linear.weight) and plain.linear.weight.abs().max() <= 8**-0.5
    before = torch.get_rng_state()
    plain.initialise(4)
    assert torch.equal(before, torch.get_rng_state()) and not torch.equal(plain.linear.weight, larger.linear.weight)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (nn.ParameterList([nn.Parameter(torch.ones(2))]), "part.0 must say how it starts"),
        (nn.Dropout(0.1), "part: torch's dropout"),
        (nn.GRU(8, 8, num_layers=2, dropout=0.2), "part: torch's dropout"),
        (nn.BatchNorm1d(8), "part: batch normalisation"),
        (type("OwnNorm", (nn.BatchNorm1d,), {})(8), "part: batch normalisation"),
        (type("OwnDropout", (nn.Dropout,), {})(0.1), "part: torch's dropout"),
    ],
)
def test_what_cannot_be_trained_comparably_is_refused_by_name(part: nn.Module, said: str) -> None:
    model = Plain(CONFIG, 10)
    model.part = part
    with pytest.raises(FinestError, match=said):
        model.initialise(0)


def test_a_model_that_is_not_causal_must_say_how_it_scores() -> None:
    with pytest.raises(TypeError, match="Half is not causal: it must define task and summary"):
        type("Half", (SASRec,), {"causal": False})
    with pytest.raises(TypeError, match="Masking has a task of its own: it cannot be stackable"):
        type("Masking", (SASRec,), {"task": Masked.task})
    with pytest.raises(TypeError, match="Hasty is timed: it must say what it does without_times"):
        type("Hasty", (Plain,), {"timed": True})
    with pytest.raises(TypeError, match=r"Piled is timed: .* cannot be stackable"):
        type("Piled", (Plain,), {"timed": True, "without_times": "waits", "stackable": True})
    with pytest.raises(TypeError, match="Cosine must leave scores as they are"):
        type("Cosine", (SASRec,), {"scores": lambda self, x: SASRec.scores(self, x / x.norm())})


def test_buffers_are_saved_and_stacked(tmp_path: Path) -> None:
    model = Plain(CONFIG, 3)
    model.initialise(0)
    model.calls += 7
    facts = Facts(model=CONFIG, seed=0, data_fingerprint="", depth=10, exclude_seen=True, stage="base")
    save(tmp_path, model, facts, ["", "a", "b", "c"])
    assert load(tmp_path).model.calls == 7
    calls = stack([model, Plain(CONFIG, 3)]).calls
    assert isinstance(calls, torch.Tensor) and calls.tolist() == [7, 0]


def alike_in_training(self: SASRec, x: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    hidden = SASRec.encode(self, x, masks)
    return hidden - hidden.mean(0, keepdim=True) if self.training and x.dim() == 2 else hidden


def broken(**methods: object) -> type[Recommender]:
    """SASRec with another method or two."""
    return type("Broken", (SASRec,), methods)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"encode": lambda self, x, masks: SASRec.encode(self, x.flip(1), masks)}, "depends on what comes after it"),
        ({"encode": lambda self, x, masks: SASRec.encode(self, x, None)}, "dropout site 0 has no effect"),
        ({"initialise": lambda self, seed, scale: SASRec.initialise(self, 0, scale)}, "another seed gives the same"),
        ({"initialise": lambda self, seed, scale: self.embedding.data.normal_()}, "depends on more than the seed"),
        ({"summary": lambda self, x: SASRec.encode(self, x, None)[:, 0]}, "summary and states differ"),
        ({"encode": lambda self, x, masks: SASRec.encode(self, x, masks).detach()}, "get no gradient"),
        ({"encode": alike_in_training}, "in training, a window's states depend on others of the batch"),
        ({"encode": lambda self, x, masks: SASRec.encode(self, x, masks) + x.sum()}, "depend"),
    ],
)
def test_the_check_finds_what_is_broken(methods: dict[str, object], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_model(broken(**methods))


def test_the_check_finds_a_stack_whose_replicas_mix() -> None:
    def encode(self: SASRec, x: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
        hidden = SASRec.encode(self, x, masks)
        return hidden + hidden.mean(0, keepdim=True) if hidden.dim() == 4 else hidden

    with pytest.raises(AssertionError, match="a stack's hidden states are not those of its models alone"):
        check_model(broken(encode=encode))


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_a_model_that_the_previous_release_saved_loads(tmp_path: Path, name: str) -> None:
    config = MODELS[name].Config.model_validate({"hidden_size": 8, "num_layers": 1, "max_length": 6})
    model = MODELS[name](config, 3)
    model.initialise(0)
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=10, exclude_seen=True, stage="tuned")
    save(tmp_path, model, facts, ["", "a", "b", "c"])
    old = {"name": name, "hidden": 8, "layers": 1, "heads": 1, "length": 6, "dropout": 0.2}
    (tmp_path / FACTS).write_text(json.dumps({**json.loads((tmp_path / FACTS).read_text()), "model": old}))
    saved = load(tmp_path)
    assert saved.config == config and torch.equal(saved.model.embedding, model.embedding)
    assert isinstance(config, SASRecConfig) == (name == "sasrec")


def test_a_saved_model_that_nothing_here_knows_is_one_line(tmp_path: Path) -> None:
    model = Plain(CONFIG, 3)
    facts = Facts(model=CONFIG, seed=0, data_fingerprint="", depth=10, exclude_seen=True, stage="tuned")
    save(tmp_path, model, facts, ["", "a", "b", "c"])
    (tmp_path / FACTS).write_text((tmp_path / FACTS).read_text().replace('"plain"', '"gone"'))
    with pytest.raises(
        DataError, match="not a model that this installation can read: model: there is no model called gone"
    ):
        load(tmp_path)


def from_times(**methods: object) -> type[Recommender]:
    """Latent Cross with another method or two."""
    return type("Broken", (LatentCross,), methods)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"contexts": lambda self, times: 0 * LatentCross.contexts(self, times)}, "scores do not depend on times"),
        ({"contexts": lambda self, times: LatentCross.contexts(self, times) + times[:, -1:, None] * 1e-9}, "depend"),
        (
            {"contexts": lambda self, times: LatentCross.contexts(self, times) / (times > 0)[..., None]},
            "a history of unknown times has no finite scores",
        ),
        (
            {"contexts": lambda self, times: LatentCross.contexts(self, times).flip(1)},
            "depends on what comes after it",
        ),
    ],
)
def test_the_check_finds_a_timed_model_that_is_broken(methods: dict[str, object], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_model(from_times(**methods))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_apart_from_its_model_is_what_that_takes(name: str) -> None:
    assert MODELS[name].Config is SECTIONS[name] and SECTIONS[name].model_fields["name"].default == name
