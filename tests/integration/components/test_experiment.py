"""The steps of an experiment: cells are logged once, and the table is whole though a cell is broken."""

from pathlib import Path
from typing import Any

import pytest

from components.cell.work import given
from components.tabulate.work import put_together
from finest.errors import DataError, FinestError
from finest.experiments.record import Cell, Cost, Record, Row
from finest.experiments.results import TRAININGS, Results
from storage.folder import FolderStore
from tracking import cells
from tracking.runs import children
from tracking.store import connect


def record(treatment: str, state: Any = "finished") -> Record:
    values = {"rbo": 0.5, "jaccard_at_10": 0.4}
    rows = [Row(label=treatment, values=values, cost=Cost(cpu_s=2.0))] if state == "finished" else []
    cell = Cell(experiment="ablation", what={"treatment": treatment}, seed=0)
    return Record(cell=cell, key=treatment, state=state, rows=rows, reason="diverged" * (state == "broken"))


def test_a_table_of_broken_cells_is_written_and_logged_before_the_step_fails(local_run: str, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "checkpoints")
    (tmp_path / "blob").write_text("weights")
    store.put(f"{TRAININGS}clean.safetensors", tmp_path / "blob")
    parent = cells.opened(local_run, "ablation", {}, line="walks", source="walks.csv", seed=0)
    for one in (record("finest"), record("simulation", "broken")):
        Results(store).write(one)
        cells.Cells(parent).add(one)
        cells.Cells(parent).add(one)
    page, place = tmp_path / "page", str(tmp_path / "checkpoints")
    with pytest.raises(FinestError, match="1 of 2 cells are broken: ablation simulation s0: diverged"):
        put_together("ablation", ["finest", "simulation"], "walks.csv", place, parent, page)
    assert "| finest | network | 0.500 |" in page.read_text() and "- broken: ablation simulation s0" in page.read_text()
    assert store.list(TRAININGS)  # for the attempt that mends the broken cell
    client = connect()
    told = [(run.info.run_name, run.info.status) for run in children(client, parent)]
    assert told.count(("ablation finest s0", "FINISHED")) == 1 and ("ablation simulation s0", "FAILED") in told
    (finest,) = [run for run in children(client, parent) if run.info.run_name == "ablation finest s0"]
    assert finest.data.metrics["network/rbo"] == 0.5 and finest.data.params == {"treatment": "finest", "seed": "0"}
    run = client.get_run(parent)
    assert run.info.run_name.endswith("experiment ablation walks") and run.data.tags["broken_cells"] == "1"
    put_together("ablation", ["finest"], "walks.csv", place, parent, page)
    assert store.list(TRAININGS) == []
    with pytest.raises(DataError, match="the record of cell lost is missing; submit the experiment again"):
        put_together("ablation", ["lost"], "walks.csv", place, parent, page)


def test_an_experiment_takes_its_part_of_the_sections(small: dict[str, Any]) -> None:
    sections = {name: small[name] for name in ("pretrain", "finetune", "perturb", "gate")}
    taken = given(**sections, seed=3, seeds=2)
    assert list(taken.all_seeds) == [3, 4] and taken.finetune.top_k == 60 and taken.max_drop == 0.03
