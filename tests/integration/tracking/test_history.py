from collections.abc import Callable
from pathlib import Path

import pytest

from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import write_verdict
from tracking import records, runs
from tracking.history import read_verdict


def test_a_runs_verdict_is_read_back_whole(state: Path, tmp_path: Path, verdict: Callable[..., Verdict]) -> None:
    runs.open_parent({}, line="finest", source="/data/ml-100k.inter", seed=0, tags={})
    write_verdict(verdict(verdict="fail"), tmp_path / "verdict.json")
    with runs.step_run("gate") as run:
        records.log_verdict(run, verdict(verdict="fail"), {"verdict.json": tmp_path / "verdict.json"}, {})
    assert read_verdict("run-1") == verdict(verdict="fail")


def test_a_run_without_a_verdict_and_one_that_there_is_not_are_one_line(state: Path) -> None:
    runs.open_parent({}, line="finest", source="/data/ml-100k.inter", seed=0, tags={})
    with pytest.raises(FinestError, match=r"MLflow at .* cannot be used: .*verdict\.json"):
        read_verdict("run-1")
    with pytest.raises(FinestError, match="has no run of the pipeline run run-2"):
        read_verdict("run-2")
