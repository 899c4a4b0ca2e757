"""The training steps on a small data set, in real worker processes."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from finest.data.dataset import Dataset
from finest.errors import FinestError, KilledError
from finest.models.config import SASRecConfig
from finest.models.saved import load
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan
from finest.ranklists.champion import score
from finest.ranklists.file import read
from finest.ranklists.schema import RankLists
from finest.training import workers
from finest.training.config import Finetune, Pretrain
from finest.training.finetune import finetune
from finest.training.pretrain import pretrain
from finest.training.progress import Progress
from finest.training.replicas import plan as replicas
from finest.training.workers import Event
from storage import checkpoint_store
from tests.builders import random_dataset

PRETRAIN = Pretrain(
    shifted=False,
    model=SASRecConfig(hidden_size=8, num_layers=1, max_length=6),
    epochs=2,
    batch_size=8,
    lr=0.01,
    device="cpu",
    processes=2,
)
FINETUNE = Finetune(epochs=2, lr=0.005, top_k=5, simulated_share=0.05)
SCENARIOS = Perturb(scenarios=[Scenario(kind="deletion", share=0.02), Scenario(kind="insertion", share=0.02)])


Trained = tuple[Dataset, Path, list[Progress]]
"""The data, the folder of the tuned models, and what was told meanwhile."""


def train(
    folder: Path,
    config: Finetune = FINETUNE,
    champion: Path | None = None,
    processes: int = 2,
    perturb: Perturb = SCENARIOS,
    group: str = "0",
    mode: Literal["auto", "stacked"] = "auto",
    pretrain_config: Pretrain = PRETRAIN,
) -> Trained:
    data = random_dataset(users=24, items=40)
    edits, planned = plan(data, perturb, 0)
    store = checkpoint_store(str(folder / "checkpoints"))
    told: list[Progress] = []
    pretraining = pretrain_config.model_copy(update={"processes": processes, "replicas": mode})
    pretrain(data, edits, planned, group, pretraining, store, folder / "bases", told.append)
    finetune(
        data,
        edits,
        planned,
        group,
        pretraining,
        config,
        folder / "bases",
        champion,
        store,
        folder / "tuned",
        told.append,
    )
    return data, folder / "tuned", told


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """In worker processes; the other runs, unless they are about processes, train in this one."""
    return train(tmp_path_factory.mktemp("steps"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting workers takes longer than these trainings."""
    for step in ("pretrain", "finetune"):
        monkeypatch.setattr(
            f"finest.training.{step}.run", lambda jobs, device, processes, on_event: [job(on_event) for job in jobs]
        )


def lists(folder: Path, stage: str, variant: str) -> RankLists:
    return read(folder / "lists" / stage / f"{variant}.parquet", {f"i{number:03d}": number for number in range(1, 41)})


def test_every_variant_leaves_lists_of_both_stages_a_history_and_its_cost(trained: Trained) -> None:
    _, folder, told = trained
    variants = {"clean", "identity", "rounding", "seed", "random-deletion-0.02-s0", "random-insertion-0.02-s0"}
    for stage in ("base", "tuned"):
        assert {file.stem for file in (folder / "lists" / stage).iterdir()} == variants
    assert {file.stem for file in (folder / "history").iterdir()} == variants
    facts = json.loads((folder / "group.json").read_text())
    assert set(facts["cost"]) == variants
    assert (facts["protocol"], facts["reference"], facts["threads"], facts["device"]) == ("anchored", "base", 1, "cpu")
    assert all(
        cost["finetune_cpu_seconds"] >= 0 and cost["pretrain_cpu_seconds"] > 0 for cost in facts["cost"].values()
    )
    assert told[-1].done == pytest.approx(1.0) and {progress.stage for progress in told} == {"pretrain", "finetune"}


def test_the_identity_control_equals_the_clean_variant_bit_for_bit_and_the_others_do_not(trained: Trained) -> None:
    _, folder, _ = trained
    for stage in ("base", "tuned"):
        clean = lists(folder, stage, "clean")
        same = lists(folder, stage, "identity")
        assert np.array_equal(clean.items, same.items) and np.array_equal(clean.scores, same.scores)
        for other in ("rounding", "seed", "random-deletion-0.02-s0", "random-insertion-0.02-s0"):
            assert not np.array_equal(clean.scores, lists(folder, stage, other).scores)
    moved = np.abs(lists(folder, "base", "clean").scores - lists(folder, "base", "rounding").scores)
    assert moved.max() < 1e-3


def test_the_candidate_is_the_tuned_clean_model(trained: Trained) -> None:
    data, folder, _ = trained
    champion, after = score(folder / "candidate", data, "1")
    clean = lists(folder, "tuned", "clean")
    assert [champion.vocabulary[code] for code in champion.items[0]] == [f"i{code:03d}" for code in clean.items[0]]
    assert np.array_equal(champion.target_rank, clean.target_rank)
    assert after.all() and champion.description.role == "champion"
    assert load(folder / "candidate").facts.stage == "tuned"


def test_a_champion_is_judged_on_instances_after_its_own_cut_and_ranks_its_own_catalogue(trained: Trained) -> None:
    data, folder, _ = trained
    newer = replace(data, manifest=data.manifest.model_copy(update={"fingerprint": "another night"}))
    last_train = np.array(
        [data.timestamp[(data.user == user) & data.train].max(initial=-1) for user in range(len(data.user_ids))]
    )
    newer.timestamp[~data.train] = last_train[data.user[~data.train]] + np.where(data.user[~data.train] % 2, 1, 0)
    without = data.target_ids[data.instances().row[0]]
    lists, after = score(folder / "candidate", newer, "1")
    assert np.array_equal(after, data.instances().user % 2 == 1)
    assert without in lists.vocabulary


def test_one_process_gives_the_same_models_as_two(trained: Trained, tmp_path: Path) -> None:
    _, folder, _ = trained
    _, alone, _ = train(tmp_path, processes=1)
    for variant in ("clean", "seed", "random-insertion-0.02-s0"):
        assert np.array_equal(lists(folder, "tuned", variant).scores, lists(alone, "tuned", variant).scores)


def test_a_run_with_all_its_checkpoints_trains_nothing_again(
    trained: Trained, in_process: None, tmp_path: Path
) -> None:
    _, folder, _ = trained
    shutil.copytree(folder.parent / "checkpoints", tmp_path / "checkpoints")
    _, again, told = train(tmp_path)
    assert told and all(one.resumed for one in told) and told[-1].done == 1.0
    assert np.array_equal(lists(folder, "tuned", "seed").scores, lists(again, "tuned", "seed").scores)


@pytest.mark.parametrize("split", [False, True])
def test_a_stacked_group_leaves_what_a_separate_one_does_with_an_exact_identity(
    trained: Trained, in_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: bool
) -> None:
    if split:  # the identity control then stands in another stack than the clean variant
        monkeypatch.setattr(replicas, "free_bytes", lambda device: 1)
    _, separate, _ = trained
    _, folder, told = train(tmp_path, FINETUNE.model_copy(update={"protocol": "both"}), mode="stacked")
    facts = json.loads((folder / "group.json").read_text())
    assert facts["replicas"]["size"] == (1 if split else 6) and told[-1].done == pytest.approx(1.0)
    assert (
        len(facts["cost"])
        == len(list((folder / "history").iterdir()))
        == len(list((separate / "history").iterdir()))
        == 6
    )
    for stage in ("base", "tuned", "independent"):
        clean, same = lists(folder, stage, "clean"), lists(folder, stage, "identity")
        assert np.array_equal(clean.items, same.items) and np.array_equal(clean.scores, same.scores)
        assert not np.array_equal(clean.scores, lists(folder, stage, "rounding").scores)
    for stage in ("base", "tuned"):
        for variant in ("clean", "seed", "random-insertion-0.02-s0"):
            np.testing.assert_allclose(
                lists(folder, stage, variant).scores, lists(separate, stage, variant).scores, atol=1e-3
            )


@pytest.mark.parametrize("change", [{"shifted": True}, {"bucketed": True}], ids=str)
@pytest.mark.parametrize("mode", ["auto", "stacked"])
def test_shifted_windows_and_buckets_train_other_weights_with_an_exact_identity(
    trained: Trained, in_process: None, tmp_path: Path, change: dict[str, bool], mode: Literal["auto", "stacked"]
) -> None:
    _, other, _ = train(tmp_path, pretrain_config=PRETRAIN.model_copy(update=change), mode=mode)
    for stage in ("base", "tuned"):
        clean = lists(other, stage, "clean")
        assert np.array_equal(clean.scores, lists(other, stage, "identity").scores)
        assert (
            np.abs(clean.scores - lists(trained[1], stage, "clean").scores).max() > 0.01
        )  # a stack differs by rounding
    slots = json.loads((tmp_path / "bases" / "group.json").read_text())["slots"]
    assert len(slots) == (1 if "shifted" in change else 2)


def test_both_protocols_are_trained_side_by_side(in_process: None, tmp_path: Path) -> None:
    _, folder, _ = train(tmp_path, FINETUNE.model_copy(update={"protocol": "both"}))
    anchored, independent = lists(folder, "tuned", "seed"), lists(folder, "independent", "seed")
    assert (anchored.description.protocol, independent.description.protocol) == ("anchored", "independent")
    assert not np.array_equal(anchored.scores, independent.scores)
    assert np.array_equal(lists(folder, "tuned", "clean").scores, lists(folder, "independent", "clean").scores)


def test_reference_champion_keeps_the_champions_lists_and_says_so(
    trained: Trained, in_process: None, tmp_path: Path
) -> None:
    _, earlier, _ = trained
    champion = tmp_path / "champion"
    shutil.copytree(earlier / "candidate", champion)
    (champion / "version").write_text("7\n")
    _, folder, _ = train(tmp_path, FINETUNE.model_copy(update={"reference": "champion"}), champion)
    assert json.loads((folder / "group.json").read_text())["reference"] == "champion/7"
    assert lists(folder, "tuned", "clean").description.reference == "champion/7"
    assert not np.array_equal(lists(folder, "tuned", "clean").scores, lists(earlier, "tuned", "clean").scores)


def test_reference_champion_without_one_keeps_the_bases_lists(
    trained: Trained, in_process: None, tmp_path: Path
) -> None:
    _, earlier, _ = trained
    _, folder, _ = train(tmp_path, FINETUNE.model_copy(update={"reference": "champion"}))
    assert json.loads((folder / "group.json").read_text())["reference"] == "base"
    assert np.array_equal(lists(folder, "tuned", "clean").scores, lists(earlier, "tuned", "clean").scores)


def test_without_the_regulariser_lists_differ(trained: Trained, in_process: None, tmp_path: Path) -> None:
    _, earlier, _ = trained
    _, folder, _ = train(tmp_path, Finetune.model_validate({**FINETUNE.model_dump(), "regulariser": "none"}))
    assert not np.array_equal(lists(folder, "tuned", "clean").scores, lists(earlier, "tuned", "clean").scores)


def test_a_second_group_trains_its_own_clean_variant_to_the_same_weights(
    trained: Trained, in_process: None, tmp_path: Path
) -> None:
    _, earlier, _ = trained
    _, folder, _ = train(tmp_path, perturb=SCENARIOS.model_copy(update={"groups": 2}), group="1")
    assert np.array_equal(lists(folder, "tuned", "clean").scores, lists(earlier, "tuned", "clean").scores)
    assert lists(folder, "tuned", "clean").description.group == "1"


def fail(on_event: Callable[[Event], None]) -> None:
    raise FinestError("what went wrong")


def die(on_event: Callable[[Event], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(on_event: Callable[[Event], None]) -> None:
    os._exit(9)


def test_a_workers_error_reaches_the_caller_as_it_is() -> None:
    with pytest.raises(FinestError) as caught:
        workers.run([fail, fail], torch.device("cpu"), 2, lambda event: None)
    assert str(caught.value) == "what went wrong"


def test_a_killed_worker_is_told_with_its_signal() -> None:
    with pytest.raises(KilledError, match="a training process was killed by SIGKILL") as caught:
        workers.run([die, die], torch.device("cpu"), 2, lambda event: None)
    assert caught.value.number == signal.SIGKILL


def test_a_worker_that_leaves_without_a_word_is_one_line() -> None:
    with pytest.raises(FinestError, match="a training process ended with exit code 9 and without a word"):
        workers.run([leave], torch.device("cpu"), 2, lambda event: None)


def test_an_error_leaves_no_folder_behind(tmp_path: Path) -> None:
    data = random_dataset(users=24, items=40)
    edits, planned = plan(data, SCENARIOS, 0)
    broken = PRETRAIN.model_copy(update={"model": PRETRAIN.model.model_copy(update={"name": "none"})})
    with pytest.raises(FinestError, match=r"there is no model called none"):
        pretrain(
            data,
            edits,
            planned,
            "0",
            broken,
            checkpoint_store(str(tmp_path / "c")),
            tmp_path / "bases",
            lambda progress: None,
        )
    assert list(tmp_path.glob("bases*")) == []
