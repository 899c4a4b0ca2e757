"""`--json`: keys that programs rely on, and nothing else on standard output. docs/programs.md says the same."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from tests.integration.cluster.conftest import Call, Replay, crown, model, record
from tests.services.fake_kfp import FakeKfp
from tests.services.recorded import Recorded
from tracking.store import connect

GUIDE = (Path(__file__).parents[3] / "docs" / "programs.md").read_text()


def documented(command: str) -> Any:
    """Returns the example that the guide gives for a command."""
    found = re.search(rf"^`{re.escape(command)}`.*?```json\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE)
    assert found, command
    return json.loads(found[1])


def keys(value: Any) -> Any:
    """Returns the keys of an answer, nested as they are; those of metrics are any."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items() if key != "metrics"}
    return [keys(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_last_runs(
    mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    record("night-1", "pass")
    record("night-2", None, failed=("ingest", "no such bucket"))
    monkeypatch.setattr(sys, "argv", ["finest", "status", "--json", "--max-age", "26h"])
    assert cli.main() == 0
    said = json.loads(capsys.readouterr().out)
    assert [(run["run"], run["verdict"], run["state"]) for run in said["runs"]] == [
        ("night-2", None, "failed"),
        ("night-1", "pass", "finished"),
    ]
    assert keys(said) == keys(documented("finest status --json"))


def test_one_run(replay: Replay, call: Call, kfp: FakeKfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    run = replay("lost-pod")
    end = datetime(2026, 11, 26, 16, 18, 20, tzinfo=UTC)
    seen = [moment for moment in kfp.life if isinstance(moment, Recorded) and moment.at < end]
    kfp.life = [*seen[-1:]]
    said = call("status", run, "--json")
    found = json.loads(said.out)
    attempts = {step["step"]: [attempt["state"] for attempt in step["attempts"]] for step in found["steps"]}
    assert (said.code, found["run"], found["state"], found["verdict"]) == (0, run, "running", None)
    assert attempts["preflight"] == ["done"] and attempts["pretrain"] == ["failed", "running"]
    assert keys(found) == keys(documented("finest status RUN --json"))


def test_following_is_for_people(replay: Replay, call: Call) -> None:
    said = call("status", replay("lost-pod"), "--json", "--follow")
    assert (said.code, said.out) == (2, "") and "leave out --follow" in said.error


def test_what_the_doctor_finds(call: Call) -> None:
    said = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert checks["KFP API"]["status"] == "ok" and checks["image"]["fix"]
    assert said.code == int(any(check["status"] == "failed" for check in checks.values()))
    assert keys({"checks": list(checks.values())}) == keys(documented("finest doctor --json"))


def test_versions(call: Call, mlflow: Path, tmp_path: Path) -> None:
    record("night-1", "pass", line=model(tmp_path))
    crown(model(tmp_path), "night-1")
    said = call("models", "list", "--json", "--name", model(tmp_path), files=False)
    found = json.loads(said.out)
    assert (found["model"], found["versions"][0]["aliases"]) == (model(tmp_path), ["champion"])
    assert keys(found) == keys(documented("finest models list --json"))


def test_what_served_when_and_whether_it_fits(
    call: Call, mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.promote.work.canary", lambda config: None)  # there are no packages to try
    record("night-1", "pass", line=model(tmp_path))
    crown(model(tmp_path), "night-1")
    crown(model(tmp_path), "night-1")
    line = "--name", model(tmp_path)
    unasked = call("models", "rollback", "--to", "1", "--force", *line, files=False)
    assert unasked.code == 2 and f"Roll {model(tmp_path)} back from version 2 to version 1" in unasked.error
    gone_back = call("models", "rollback", "--to", "1", "--force", "--yes", "--reason", "odd lists", *line, files=False)
    assert (gone_back.code, gone_back.out) == (0, f"{model(tmp_path)} version 1 is the champion\n")
    found = json.loads(call("models", "history", "--json", *line, files=False).out)
    assert [one["version"] for one in found["served"]] == ["2", "1"]
    assert [(one["kind"], one["to"], one["forced"]) for one in found["entries"]] == [
        ("adoption", "2", False),
        ("rollback", "1", True),
    ]
    assert keys(found) == keys(documented("finest models history --json"))
    said = call("models", "history", "--at", "2026-05-03", *line, files=False)
    assert said.code == 1 and "knows of no champion at 2026-05-03" in said.error
    today = datetime.now(UTC).date().isoformat()
    assert (
        f"{model(tmp_path)} version 1 was the champion from {today}"
        in call("models", "history", "--at", today, *line, files=False).out
    )
    fits = call("models", "verify", "--json", *line, files=False)
    assert fits.code == 0 and keys(json.loads(fits.out)) == keys(documented("finest models verify --json"))
    connect().set_registered_model_alias(model(tmp_path), "champion", "2")
    wrong = call("models", "verify", *line, files=False)
    assert wrong.code == 1 and "somebody has moved it by hand" in " ".join(wrong.out.split())
    watched = call("status", "--max-age", "26h", *line, files=False)
    assert watched.code == 1 and watched.error.startswith(
        f"error: the alias champion of {model(tmp_path)} is on version 2"
    )
    mended = call("models", "repair", *line, files=False)
    assert mended.out == f"{model(tmp_path)}: champion: from version 2 to version 1\n"
    further = call("models", "rollback", "--yes", *line, files=False)
    assert further.code == 1 and "no previous champion" in further.error
