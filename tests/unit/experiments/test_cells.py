"""Cells are named by all that their numbers depend on, and records that are damaged count for nothing."""

from pathlib import Path
from typing import Any

import pytest

from finest.data.schema import Manifest
from finest.errors import ConfigError
from finest.experiments import identity
from finest.experiments.identity import key_of
from finest.experiments.record import Cell, Given, Record
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, cells
from finest.experiments.results import CELLS, Results
from finest.experiments.run import chosen
from finest.perturb.config import Perturb, Scenario
from finest.perturb.registry import EDITS, FAMILIES
from finest.training.config import Finetune, Pretrain
from storage.folder import FolderStore

GIVEN = Given(pretrain=Pretrain(), perturb=Perturb(scenarios=[Scenario(kind="deletion")]), seeds=2)
CELL = Cell(experiment="ablation", what={"treatment": "finest"}, seed=0)


def manifest(**facts: Any) -> Manifest:
    return Manifest.model_construct(**{"fingerprint": "a", "exclude_seen": False, "depth": 100, **facts})


def given(**changes: Any) -> Given:
    return GIVEN.model_copy(update=changes)


def test_what_changes_a_number_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    own = key_of(CELL, GIVEN, manifest())
    others = [
        key_of(CELL.model_copy(update={"seed": 1}), GIVEN, manifest()),
        key_of(CELL.model_copy(update={"what": {"treatment": "none"}}), GIVEN, manifest()),
        key_of(CELL, given(pretrain=Pretrain(lr=0.1)), manifest()),
        key_of(CELL, given(finetune=Finetune(top_k=20)), manifest()),
        key_of(CELL, given(perturb=Perturb(scenarios=[Scenario(kind="insertion")])), manifest()),
        key_of(CELL, given(max_drop=0.5), manifest()),
        key_of(CELL, GIVEN, manifest(fingerprint="b")),
        key_of(CELL, GIVEN, manifest(exclude_seen=True)),
        key_of(CELL, GIVEN, manifest(depth=50)),
    ]
    monkeypatch.setattr(identity, "code_version", lambda experiment: "other code")
    others.append(key_of(CELL, GIVEN, manifest()))
    assert len({own, *others}) == 1 + len(others)


def test_what_changes_no_number_does_not() -> None:
    same = given(pretrain=Pretrain(processes=7, replicas="separate"), seed=5, seeds=9)
    assert key_of(CELL, same, manifest()) == key_of(CELL, GIVEN, manifest())


def test_an_experiment_without_scenarios_of_the_config_is_not_measured_again_for_other_ones() -> None:
    (cell, *_), other = cells("intensity", GIVEN), given(perturb=Perturb(scenarios=[Scenario(kind="insertion")]))
    assert key_of(cell, GIVEN, manifest()) == key_of(cell, other, manifest())


def test_all_cells_of_a_seed_come_before_those_of_the_next_and_names_are_unique() -> None:
    for name in EXPERIMENTS:
        found = cells(name, GIVEN)
        assert [cell.seed for cell in found] == sorted(cell.seed for cell in found)
        assert len({cell.name for cell in found}) == len(found) > 0
        assert [Cell.model_validate_json(cell.model_dump_json()) for cell in found] == found


def test_grids_have_whatever_is_registered() -> None:
    intensity = cells("intensity", GIVEN.model_copy(update={"seeds": 1}))
    assert len(intensity) == len(list(FAMILIES)) * len(list(EDITS)) * 4
    baselines = {cell.what["treatment"] for cell in cells("baselines", GIVEN)}
    assert baselines == set(TREATMENTS) - {"rank_loss", "simulation"} and len(baselines) >= 12


def test_some_cells_are_chosen_by_their_names_and_none_is_an_error() -> None:
    assert {cell.what["treatment"] for cell in chosen("ablation", GIVEN, ["simulation"])} == {"simulation"}
    with pytest.raises(ConfigError, match="no cell is called so; there are 'ablation none s0'"):
        chosen("ablation", GIVEN, ["nothing"])
    with pytest.raises(ConfigError, match="there is no experiment called ablatoin; did you mean ablation"):
        chosen("ablatoin", GIVEN)


def test_a_record_is_read_as_it_was_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    results = Results(FolderStore(tmp_path))
    record = Record(cell=CELL, key="k", state="finished")
    assert results.read("k") is None
    results.write(record)
    assert results.read("k") == record
    file = tmp_path / CELLS / "k" / "record"
    file.write_bytes(file.read_bytes().replace(b"finished", b"finlshed"))
    assert results.read("k") is None and not file.exists()
