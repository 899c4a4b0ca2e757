"""An experiment that was killed measures no finished cell again, and one with a broken cell goes on and says so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.errors import FinestError
from finest.experiments import pages
from finest.experiments.record import Given, Record
from finest.experiments.registry import cells
from finest.experiments.results import CELLS, TRAININGS
from finest.experiments.run import Heard, Work, measured, run
from finest.perturb.config import Perturb, Scenario
from finest.training.config import Finetune, Pretrain
from storage import resolve
from storage.folder import FolderStore
from tests.builders import write_walks

MODEL = {"name": "sasrec", "hidden_size": 4, "num_layers": 1, "max_length": 8}
GIVEN = Given(
    pretrain=Pretrain.model_validate({"epochs": 1, "processes": 1, "model": MODEL, "memory": "off"}),
    finetune=Finetune(epochs=1, top_k=5),
    perturb=Perturb(scenarios=[Scenario(kind="deletion", share=0.01)]),
    seeds=1,
)
ONLY = ["cross_entropy", "simulation"]
"""Two cells of the ablation."""
KILLED = """
import os, signal, sys
from pathlib import Path
from finest.experiments.run import run
from storage.folder import FolderStore
from tests.integration.experiments.test_run import GIVEN, ONLY

def hear(heard):
    if heard.record:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    run("ablation", GIVEN, Path(sys.argv[1]), FolderStore(Path(sys.argv[2])), hear, ONLY)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    source = resolve(str(write_walks(folder / "walks.csv", users=20, items=40)))
    config = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}})
    ingest(source.filesystem, source.files, config, folder / "data")
    return folder / "data"


def lists_of(record: Record) -> list[dict[str, float]]:
    return [row.values for row in record.rows]


def test_a_killed_experiment_goes_on_without_repeating_a_cell_and_ends_with_the_same_numbers(
    data: Path, tmp_path: Path
) -> None:
    store, heard = FolderStore(tmp_path), list[Heard]()
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run([sys.executable, str(program), str(data), str(tmp_path)], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    (first,) = (tmp_path / CELLS).glob("*/record")
    written = first.stat().st_mtime_ns
    outcome = run("ablation", GIVEN, data, store, heard.append, ONLY)
    assert first.stat().st_mtime_ns == written
    over = [(one.done, one.known) for one in heard if one.record]
    assert over == [(1, 1), (2, 1)] and heard[0].record and heard[0].record.key == first.parent.name
    assert [record.cell.what["treatment"] for record in outcome.records] == ONLY and not outcome.broken
    for number, cell in enumerate(one for one in cells("ablation", GIVEN) if one.what["treatment"] in ONLY):
        alone = measured(Work(cell, "k", GIVEN, data, FolderStore(tmp_path / "alone")), lambda text: None)
        assert lists_of(alone) == lists_of(outcome.records[number])
    text = pages.write("ablation", outcome.records, "walks", "", tmp_path / "page")
    assert "| neither | network |" in text and (tmp_path / "page" / pages.PLOT).read_bytes().startswith(b"<?xml")
    names = (tmp_path / "page" / pages.TABLE).read_text().splitlines()[0].split(",")
    assert len(names) == len(set(names)) and {"rbo_less_ours_low", "mrr_ratio_bound"} <= set(names)


def test_a_broken_cell_says_so_the_rest_goes_on_and_it_is_tried_again(data: Path, tmp_path: Path) -> None:
    store, heard = FolderStore(tmp_path), list[Heard]()
    diverging = GIVEN.model_copy(update={"finetune": Finetune(epochs=1, top_k=5, lr=1e30)})
    only = ["baselines finest s0", "baselines none s0"]
    outcome = run("baselines", diverging, data, store, heard.append, only)
    assert [record.state for record in outcome.records] == ["broken", "finished"]
    with pytest.raises(FinestError, match="1 of 2 cells are broken: baselines finest s0: finetune: the loss of clean"):
        outcome.check()
    left = [name for name in store.list(TRAININGS) if name.endswith(".safetensors")]
    assert left and not any("random-deletion" in name and "finetune" in name for name in left)
    heard.clear()
    (cell, *_) = (record.cell for record in outcome.records)
    assert measured(Work(cell, outcome.records[0].key, GIVEN, data, store), heard.append).state == "finished"  # type: ignore[arg-type]
    run("baselines", diverging, data, store, heard.append, only)
    assert [one.known for one in heard if isinstance(one, Heard)] == [1, 2]  # neither is measured a third time
