"""Replicas trained as one: the result of each is its own, and what training alone gives, up to rounding."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from finest.data.dataset import Rows
from finest.models.config import GRU4RecConfig, ModelConfig, SASRecConfig
from finest.models.recommender import Recommender
from finest.models.registry import MODELS, build
from finest.perturb.edits import Edits, apply
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.device import prepare
from finest.training.history import Record
from finest.training.loop import Settings, train
from finest.training.objective import Penalty
from finest.training.reference_lists import OwnLists, ReferenceLists
from finest.training.references import reference_model, take
from finest.training.replicas import plan
from finest.training.replicas.plan import Arrangement, arrange
from finest.training.replicas.stack import Stack, stack, unstack
from finest.training.simulate import simulate
from finest.training.single import Single
from finest.training.store import Store
from finest.training.windows import WindowPlan, Windows, fill, plan_windows
from storage import checkpoint_store
from tests.builders import random_dataset
from tests.unit.training.parts import finetune_settings, stored

DATA = random_dataset(users=24, items=47)
CLEAN = DATA.training_rows()
MODEL = SASRecConfig(hidden_size=16, num_layers=2, num_heads=2, max_length=6)
SETTINGS = finetune_settings(epochs=3, max_grad_norm=0.5)
SLOTS = plan_windows(CLEAN, MODEL.max_length, bucketed=False)
BUCKETS = plan_windows(CLEAN, MODEL.max_length, bucketed=True)


def edited(kind: str, rows: ArrayLike) -> Rows:
    ids = CLEAN.id[np.array(rows)]
    return apply(CLEAN, [Edits(kind, ids, np.full(len(ids), 0 if kind == "deletion" else 7))])


SPARSE = Rows(np.array([0, 1, 1, 1, 2, 3, 4, 4, 5]), *[np.arange(1, 10)] * 4)
"""Four of six users have no target."""


VARIANTS = {
    "clean": (CLEAN, 4),
    "deletion": (edited("deletion", [3, 20, 21]), 4),
    "insertion": (edited("insertion", [3, 4, 5, 6, 40, 41]), 4),
    "many": (edited("insertion", np.arange(5, 110)), 4),  # windows overflow beyond one chunk of extra ones
    "seed": (CLEAN, 5),
}


Trained = tuple[dict[str, Recommender], dict[str, list[Record]]]
"""Models and histories, by variant."""


def made(name: str, device: str = "cpu") -> Recommender:
    model = build(MODEL, DATA.items)
    model.initialise(VARIANTS[name][1])
    return model.to(device)


def windows(name: str, window_plan: WindowPlan = SLOTS) -> Callable[[int], Windows]:
    rows, seed = VARIANTS[name]
    return lambda epoch: fill(simulate(rows, CLEAN, DATA.item_counts, 0.05, seed, epoch), window_plan)


def penalty() -> Penalty:
    lists = take(made("clean"), CLEAN, 8)
    return stored(torch.from_numpy(lists.lists), torch.from_numpy(lists.of_row))


def together(
    store: Store,
    names: Sequence[str],
    stop_after: int | None = None,
    device: str = "cpu",
    window_plan: WindowPlan = SLOTS,
) -> Trained:
    prepare(torch.device(device))
    models = [made(name, device) for name in names]
    seeds = [VARIANTS[name][1] for name in names]
    one = Stack(
        names,
        models,
        window_plan,
        [windows(name, window_plan) for name in names],
        seeds,
        SETTINGS,
        penalty().to(device),
    )

    def report(variant: str, record: Record) -> None:
        if record["epoch"] == stop_after:
            raise InterruptedError

    histories = train(one, SETTINGS, Checkpoint(store, "-".join(names)), report)
    one.finish()
    return dict(zip(names, models, strict=True)), dict(zip(names, histories, strict=True))


def same(one: Recommender, other: Recommender) -> bool:
    return all(torch.equal(weight, other.get_parameter(name)) for name, weight in one.named_parameters())


@pytest.fixture(scope="module", params=[SLOTS, BUCKETS], ids=["whole", "bucketed"])
def window_plan(request: pytest.FixtureRequest) -> WindowPlan:
    plan: WindowPlan = request.param
    return plan


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory, window_plan: WindowPlan) -> Trained:
    store = checkpoint_store(str(tmp_path_factory.mktemp("stack")))
    return together(store, ["clean", "deletion", "insertion", "seed", "many"], window_plan=window_plan)


def test_a_replica_is_the_same_bit_for_bit_wherever_it_stands_and_whoever_stands_beside_it(
    stacked: Trained, window_plan: WindowPlan, tmp_path: Path
) -> None:
    models, _ = stacked
    for names in (
        ["many", "seed", "deletion", "clean", "insertion"],
        ["clean", "clean", "clean", "insertion", "clean"],
    ):
        again, _ = together(checkpoint_store(str(tmp_path)), names, window_plan=window_plan)
        assert all(same(again[name], models[name]) for name in set(names))
    assert not same(models["clean"], models["deletion"])


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stack_trains_each_replica_as_it_would_train_alone(
    stacked: Trained, window_plan: WindowPlan, tmp_path: Path, name: str
) -> None:
    models, histories = stacked
    _, seed = VARIANTS[name]
    alone = made(name)
    settings = Settings(**{**SETTINGS.__dict__, "seed": seed})
    single = Single(name, alone, window_plan, windows(name, window_plan), settings, penalty())
    (history,) = train(single, settings, Checkpoint(checkpoint_store(str(tmp_path)), "x"), lambda variant, record: None)
    for ours, theirs in zip(histories[name], history, strict=True):
        assert ours["targets"] == theirs["targets"]
        for term in ("loss", "pairwise", "topk"):
            assert ours[term] == pytest.approx(theirs[term], rel=1e-4)
    for part, weight in alone.named_parameters():
        # Adam makes steps of a gradient's rounding where it is near zero.
        torch.testing.assert_close(models[name].get_parameter(part), weight, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["clean", "insertion"])
def test_a_step_without_targets_is_taken_alone_as_it_is_in_a_stack(tmp_path: Path, name: str) -> None:
    rows = {"clean": SPARSE, "insertion": apply(SPARSE, [Edits("insertion", SPARSE.id[[0, 5]], np.array([7, 9]))])}[
        name
    ]
    window_plan = plan_windows(SPARSE, MODEL.max_length)
    settings = Settings(**{**SETTINGS.__dict__, "batch_size": 1, "epochs": 2})
    model, stacked = made("clean"), made("clean")
    store = checkpoint_store(str(tmp_path))
    train(
        Single(name, model, window_plan, lambda epoch: fill(rows, window_plan), settings, None),
        settings,
        Checkpoint(store, "1"),
        quiet,
    )
    stack_of_one = Stack([name], [stacked], window_plan, [lambda epoch: fill(rows, window_plan)], [4], settings, None)
    train(stack_of_one, settings, Checkpoint(store, "2"), quiet)
    stack_of_one.finish()
    for part, weight in model.named_parameters():
        torch.testing.assert_close(stacked.get_parameter(part), weight, rtol=0, atol=2e-3)


def quiet(variant: str, record: Record) -> None:
    pass


def test_a_stack_that_was_interrupted_ends_with_the_same_weights(
    stacked: Trained, window_plan: WindowPlan, tmp_path: Path
) -> None:
    models, _ = stacked
    store = checkpoint_store(str(tmp_path))
    with pytest.raises(InterruptedError):
        together(store, list(models), stop_after=1, window_plan=window_plan)
    resumed, histories = together(store, list(models), window_plan=window_plan)
    assert all(same(resumed[name], models[name]) for name in models)
    assert [record["epoch"] for record in histories["seed"]] == [1, 2, 3]


def test_replicas_with_reference_lists_of_their_own_keep_those() -> None:
    own: list[ReferenceLists] = [take(made(name), CLEAN, 8).on(torch.device("cpu")) for name in ("clean", "seed")]
    ids = torch.from_numpy(np.stack([CLEAN.id, CLEAN.id]))
    held, lists = OwnLists(own).stacked_lists_of(ids)
    assert torch.equal(held, OwnLists(own).held(ids)) and held.any() and not held.all()
    for replica, penalty in enumerate(own):
        assert torch.equal(lists.view(2, len(CLEAN), -1)[replica][held[replica]], penalty.lists_of(ids[replica])[1])


def test_lists_taken_anew_reach_a_stack_as_stored_ones_do() -> None:
    ids = torch.from_numpy(np.stack([CLEAN.id, np.full_like(CLEAN.id, -1)]))
    stored = take(made("clean"), CLEAN, 8).on(torch.device("cpu")).stacked_lists_of(ids)
    anew = reference_model(made("clean"), CLEAN, 8).recomputed().to("cpu").stacked_lists_of(ids)
    assert torch.equal(stored[0], anew[0])
    assert torch.equal(stored[1][stored[0].view(-1)], anew[1][anew[0].view(-1)])


def test_stacking_keeps_every_weight() -> None:
    models = [made("clean"), made("seed")]
    stacked = stack(models)
    back = [made("many"), made("many")]
    unstack(stacked, back)
    assert same(back[0], models[0]) and same(back[1], models[1])


def arranged(
    replicas: Literal["auto", "stacked", "separate"] = "auto", model: ModelConfig = MODEL, variants: int = 5
) -> Arrangement:
    config = Pretrain(model=model, batch_size=5, replicas=replicas)
    return arrange(variants, config, SETTINGS, DATA.items, SLOTS, fill(CLEAN, SLOTS), torch.device("cpu"), 2)


def test_a_cpu_trains_variants_alone_unless_told_otherwise_and_a_gru_always() -> None:
    assert arranged().size == arranged("separate").size == 0
    assert arranged("stacked").size == 5
    assert "no stacked form" in arranged("stacked", GRU4RecConfig()).why


def test_a_stack_that_memory_cannot_hold_is_split_into_equal_ones_filled_up_with_the_clean_variant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Pretrain(model=MODEL, batch_size=5)
    one = plan.replica_bytes(config, DATA.items, SLOTS)
    monkeypatch.setattr(plan, "free_bytes", lambda device: int(2.5 * one / plan.MEMORY_SHARE))
    split = arranged("stacked")
    assert split.size == 2
    assert split.units(["clean", "a", "b", "c", "d"]) == [["clean", "a"], ["b", "c"], ["d", "clean"]]
    monkeypatch.setattr(plan, "free_bytes", lambda device: one // 2)
    assert arranged("stacked").size == 1


def test_a_trial_measures_both_ways_and_says_what_it_found(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = plan.trial(
        5,
        3,
        Pretrain(model=MODEL, batch_size=5),
        SETTINGS,
        DATA.items,
        SLOTS,
        fill(CLEAN, SLOTS),
        torch.device("cpu"),
        2,
    )
    assert found.alone_ms and found.stacked_ms and found.size in (0, 3)
    assert (found.size == 3) == (3 * found.alone_ms >= plan.GAIN * 2 * found.stacked_ms)
    assert "stacks of 3 take" in caplog.text


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].stackable])
@pytest.mark.parametrize("heads", [1, 4])
def test_what_a_layer_keeps_for_the_backward_pass_is_estimated_from_above(name: str, heads: int) -> None:
    of_heads = {"num_heads": heads} if "num_heads" in MODELS[name].Config.model_fields else {}

    def kept(layers: int) -> float:
        model = build(MODELS[name].Config.model_validate({"num_layers": layers, **of_heads}), 30)
        model.initialise(0)
        hidden_BTD = torch.zeros(4, model.max_length, model.embedding.shape[1])
        found: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
            return tensor

        alive: list[torch.Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.encode(torch.ones(hidden_BTD.shape[:2], dtype=torch.long), None)
        weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        return sum(size for place, size in found.items() if place not in weights) / hidden_BTD.nbytes

    estimate = build(MODELS[name].Config.model_validate(of_heads), 30).layer_copies
    assert 0.5 * estimate < kept(3) - kept(2) < estimate
