"""People reach MLflow's server and not the store behind it, as from outside a cluster.

The store's name resolves for the server alone.
"""

import os
import re
from pathlib import Path

import pytest

from finest.errors import FinestError
from tests.integration.cluster.conftest import Call, crown, model, record
from tests.services.fake_kfp import FakeKfp, Moment
from tests.services.mlflow_server import STORE
from tracking.answer import check
from tracking.store import PRESIGNED


@pytest.fixture
def mlflow(shared_mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of such a person."""
    for name in [name for name in os.environ if name.startswith(("KFP_", "MLFLOW_", "FINEST_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    return shared_mlflow


def test_a_run_is_submitted_followed_and_shown_with_its_verdict(call: Call, kfp: FakeKfp, tmp_path: Path) -> None:
    def passes(run: str) -> None:
        record(run, "pass", line=model(tmp_path))
        crown(model(tmp_path), run)

    kfp.on_run = passes
    kfp.life = [Moment("SUCCEEDED", {"gate": "SUCCEEDED"})]
    followed = call("submit")
    assert followed.code == 0, followed.error
    [run] = kfp.runs
    for said in (followed, call("status", run)):
        assert "Verdict  pass. All 9 checks hold.\nPromoted " in said.out and "/#/experiments/" in said.out
    assert run in call("status", files=False).out
    versions = call("models", "list", "--name", model(tmp_path), files=False)
    assert (versions.code, versions.error) == (0, "") and "champion" in versions.out


def test_the_doctor_finds_nothing_wrong_with_mlflow(call: Call) -> None:
    said = call("doctor")
    assert re.search(r"│ MLflow +│ ok ", said.out), said.out


def test_whoever_asks_for_presigned_urls_goes_past_the_server_and_is_told_where_that_ends(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRESIGNED, "true")
    monkeypatch.setattr("tracking.answer.CHECK_SECONDS", 3)
    with pytest.raises(
        FinestError, match=f"no connection to {STORE}:[0-9]+: the name does not resolve; unset {PRESIGNED}:"
    ) as caught:
        check("finest")
    assert "\n" not in str(caught.value) and "Signature" not in str(caught.value)
