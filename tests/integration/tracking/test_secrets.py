"""What steps leave in MLflow's store, database and artifacts, has no secret."""

from pathlib import Path

import pytest

from finest.errors import FinestError
from finest.secrets import MASK
from tests.planted import PLANTED, plant
from tracking import closing, ledger, runs


def test_a_step_that_fails_with_all_secrets_leaves_none_in_the_store(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "MLFLOW_TRACKING_URI")
    said = " and ".join(value for name, value in PLANTED.items() if name != "MLFLOW_TRACKING_URI")
    uri = "s3a://LEAKKEY:LEAK/secret@bucket/rows"
    config = {"source": uri, "pretrain": {"model": {"name": said}}, "perturb": {"scenarios": [{"name": said}]}}
    runs.open_parent(config, line="finest", source=uri, seed=0, tags={"host": "here"})
    with pytest.raises(FinestError), runs.step_run("ingest"):
        raise FinestError(f"cannot be read: {said}")
    closing.close_parent("FAILED")
    kept = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    assert MASK.encode() in kept and b"LEAK" not in kept
    assert "LEAK" not in ledger.entry("promotion", f"by {said}").why
