"""Input that cannot be used: one line, no data set, no open MLflow run.

The steps are called as KFP calls them, in one process.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kfp.dsl import PipelineTaskFinalStatus

from components.config import Sections
from components.ingest.component import ingest
from components.notify.component import notify
from components.preflight import work as preflight_work
from components.preflight.component import preflight
from finest.errors import FinestError
from finest.metrics.registry import METRICS
from tests.builders import write_walks
from tracking.outcome import outcome
from tracking.registry import Version
from tracking.store import connect, experiment_id

ROWS = [f"u{user},i{item:03d},{1_600_000_000 + item}" for user in range(6) for item in range(50)]
HEADER = "user_id,item_id,timestamp"


def table(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def missing_file(folder: Path) -> Path:
    return folder / "nothing.csv"


def missing_column(folder: Path) -> Path:
    return table(folder / "data.csv", [row.rpartition(",")[0] for row in ROWS], "user_id,item_id")


def column_renamed_in_one_of_many_files(folder: Path) -> Path:
    table(folder / "many" / "a.csv", ROWS)
    table(folder / "many" / "b.csv", ROWS, "user_id,product,timestamp")
    return folder / "many"


def empty_file(folder: Path) -> Path:
    (folder / "data.csv").write_text("")
    return folder / "data.csv"


def header_alone(folder: Path) -> Path:
    return table(folder / "data.csv", [])


def all_rows_filtered_out(folder: Path) -> Path:
    return table(folder / "data.csv", [f"u{number},i{number},{1_600_000_000 + number}" for number in range(50)])


def timestamps_that_are_no_numbers(folder: Path) -> Path:
    return table(folder / "data.csv", [row.rpartition(",")[0] + ",yesterday" for row in ROWS])


def too_many_quarantined_rows(folder: Path) -> Path:
    return table(folder / "data.csv", ROWS + [f"u{number}," for number in range(30)])


def fewer_items_than_two_reference_lists(folder: Path) -> Path:
    return table(folder / "data.csv", ROWS)  # 50 items, and finetune.top_k=60


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing_file, "nothing.csv"),
        (missing_column, "timestamp"),
        (column_renamed_in_one_of_many_files, "b.csv"),
        (empty_file, "data.csv"),
        (header_alone, "data.csv"),
        (all_rows_filtered_out, "min_user_interactions"),
        (timestamps_that_are_no_numbers, "timestamp"),
        (too_many_quarantined_rows, "max_quarantined_share"),
        (fewer_items_than_two_reference_lists, "finetune.top_k"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_nothing_behind(
    make: Callable[[Path], Path], says: str, local_run: str, small: dict[str, Any], tmp_path: Path
) -> None:
    source, out, checkpoints = make(tmp_path), tmp_path / "interactions", str(tmp_path / "checkpoints")
    with pytest.raises(FinestError) as caught:
        read(source, out, checkpoints, small)
    text = str(caught.value)
    assert says in text and "\n" not in text
    assert list(tmp_path.glob("interactions*/*.parquet")) == [] and list(tmp_path.glob("*.partial*")) == []
    finish(small, checkpoints, "FAILED")
    client = connect()
    assert client.search_runs([experiment_id(client, "finest")], "attributes.status = 'RUNNING'") == []


def test_usable_input_is_read_and_the_run_closed(local_run: str, small: dict[str, Any], tmp_path: Path) -> None:
    source, out, checkpoints = (
        write_walks(tmp_path / "data.csv"),
        tmp_path / "interactions",
        str(tmp_path / "checkpoints"),
    )
    read(source, out, checkpoints, small)
    assert (out / "interactions.parquet").exists()
    finish(small, checkpoints, "SUCCEEDED")
    assert outcome(local_run, "finest").failed_step is None


def test_a_source_that_changes_after_preflight_is_refused(
    local_run: str, small: dict[str, Any], tmp_path: Path
) -> None:
    source, out = write_walks(tmp_path / "data.csv"), tmp_path / "interactions"

    def change() -> None:
        with source.open("a") as file:
            file.write("u000,i000,1700000000\n")

    with pytest.raises(FinestError, match="changed since preflight"):
        read(source, out, str(tmp_path / "checkpoints"), small, between=change)
    assert not out.exists()


def test_a_state_without_room_is_refused_before_mlflow_has_a_run(
    local_run: str, small: dict[str, Any], tmp_path: Path
) -> None:
    sections = {**small, "preflight": {"min_free_gb": 1e9}}
    with pytest.raises(FinestError, match=r"GB free, but preflight\.min_free_gb asks for"):
        read(write_walks(tmp_path / "data.csv"), tmp_path / "interactions", str(tmp_path / "checkpoints"), sections)
    assert outcome(local_run, "finest").verdict is None


def test_a_metric_that_cannot_be_computed_is_refused_hours_before_it_is_asked_for(
    local_run: str, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = metadata.EntryPoint("novelty", "a_package.that_is_gone:novelty", METRICS.group)
    monkeypatch.setattr(METRICS, "_points", {broken.name: broken})
    with pytest.raises(FinestError, match=r"metric novelty of entry point .* cannot be imported: ModuleNotFoundError"):
        read(write_walks(tmp_path / "data.csv"), tmp_path / "interactions", str(tmp_path / "checkpoints"), small)
    assert outcome(local_run, "finest").verdict is None


def test_a_champion_whose_model_nothing_here_has_is_told_with_its_package(
    local_run: str, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = "finest", "3", ("champion",), "pass", "", "", "", None, None, None, datetime.now(UTC), ""
    theirs = Version(*known, model="tiny", package="example==1.0")
    monkeypatch.setattr(preflight_work, "whole", lambda champion, on_damage: theirs)
    with pytest.raises(FinestError, match=r"version 3, is a tiny, which nothing here has: install example==1\.0"):
        read(write_walks(tmp_path / "data.csv"), tmp_path / "interactions", str(tmp_path / "checkpoints"), small)
    assert outcome(local_run, "finest").verdict is None


def test_more_groups_than_the_pipeline_trains_are_refused_before_anything_is_read(
    local_run: str, small: dict[str, Any], tmp_path: Path
) -> None:
    several = small | {"perturb": {**small["perturb"], "groups": 2}}
    with pytest.raises(
        FinestError, match=r"perturb\.groups: 2, but this pipeline was compiled for one group"
    ) as caught:
        read(tmp_path / "nothing.csv", tmp_path / "interactions", str(tmp_path / "checkpoints"), several)
    assert caught.value.exit_code == 2


def test_lists_that_the_pipeline_cannot_make_are_refused_before_anything_is_read(
    local_run: str, small: dict[str, Any], tmp_path: Path
) -> None:
    asked = small | {"recommend": {**small["recommend"], "out": "s3://bucket/lists"}}
    with pytest.raises(
        FinestError, match=r"recommend\.out: s3://bucket/lists, but this pipeline was compiled without the step"
    ) as caught:
        read(tmp_path / "nothing.csv", tmp_path / "interactions", str(tmp_path / "checkpoints"), asked)
    assert caught.value.exit_code == 2


def read(
    source: Path, out: Path, checkpoints: str, sections: dict[str, Any], between: Callable[[], None] = lambda: None
) -> None:
    """Preflight, then ingest."""
    checked = preflight.python_func(
        source=str(source),
        as_of="2026-11-24",
        scheduled="",
        seed=0,
        checkpoints=checkpoints,
        packages=[],
        fans_out=False,
        name="finest",
        rebase=False,
        serves=False,
        **{name: sections[name] for name in Sections.model_fields},
    )
    between()
    artifact = SimpleNamespace(path=str(out), metadata={})
    ingest.python_func(
        source=str(source),
        listing=checked.listing,
        items_needed=checked.items_needed,
        config=checked.ingest,
        checkpoints=checkpoints,
        interactions=artifact,
    )


def finish(sections: dict[str, Any], checkpoints: str, state: str) -> None:
    """Notify."""
    status = PipelineTaskFinalStatus(state, "job", "exit-handler-1", None, None)
    notify.python_func(sections["notify"], "finest", "data.csv", checkpoints, status)
