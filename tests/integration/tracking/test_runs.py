import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from mlflow.entities import Run

from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.perturb.plan import Group, Plan, Variant
from tracking import closing, records, runs, store
from tracking.outcome import Outcome, outcome

CONFIG = {
    "seed": 3,
    "pretrain": {"model": {"name": "gru4rec", "hidden_size": 8}},
    "finetune": {"protocol": "anchored", "reference": "base"},
    "perturb": {"scenarios": [{"kind": "deletion"}]},
}


def run_of(id: str) -> Run:
    return store.connect().get_run(id)


def child(step: str) -> Run:
    children: list[Run] = runs.children(store.connect(), runs.find_parent())
    return next(run for run in children if run.data.tags.get("step") == step)


def test_the_parent_has_a_readable_name_the_flattened_config_and_the_tags_that_find_it(state: Path) -> None:
    tags = {"image_digest": "sha256:1", "as_of": "2026-11-02T01:00:00+00:00"}
    id = runs.open_parent(CONFIG, line="finest", source="/data/ml-100k.inter", seed=3, tags=tags)
    run = run_of(id)
    assert run.info.run_name == "2026-11-02 gru4rec ml-100k seed 3"
    assert run.data.params == {
        "seed": "3",
        "source": "/data/ml-100k.inter",
        "pretrain.model.name": "gru4rec",
        "pretrain.model.hidden_size": "8",
        "finetune.protocol": "anchored",
        "finetune.reference": "base",
        "perturb.scenarios": '[{"kind":"deletion"}]',
    }
    expected = {"kfp_run_id": "run-1", "protocol": "anchored", "reference": "base", "image_digest": "sha256:1"}
    assert expected.items() <= run.data.tags.items()
    assert runs.find_parent() == id


def test_texts_longer_than_mlflow_keeps_are_cut_and_said(
    state: Path,
    shared_mlflow: str,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)  # its database takes no more than it has room for
    segments, source = (
        [f"column {number} {'x' * 200}" for number in range(40)],
        f"s3://bucket/{'long/' * 1200}{'n' * 900}",
    )
    variants = [Variant(name=f"{number}{'x' * 170}", role="probe", seed=0) for number in range(40)]
    id = runs.open_parent(
        {"ingest": {"columns": {"segments": segments}}}, line="finest", source=source, seed=0, tags={}
    )
    runs.log_plan(Plan(seed=0, groups=[Group(id="0", variants=variants)], edit_files={}))
    with runs.step_run("ingest") as step:
        records.log_dataset(step, manifest, source)
    runs.name_ending(store.connect(), id, "suspicious")
    found = run_of(id)
    assert found.inputs is not None and found.info.run_name is not None
    assert re.fullmatch(r"\S+ suspicious model n{97}\.\.\. seed 0", found.info.run_name)
    for key, whole in (("source", source), ("ingest.columns.segments", ", ".join(segments))):
        assert found.data.params[key] == whole[:5997] + "..."
    assert found.inputs.dataset_inputs[0].dataset.name == "n" * 497 + "..."
    (cut, of_plan) = [
        line for line in caplog.messages if line.startswith("MLflow keeps 6000 characters of a param; cut are ")
    ]
    assert cut.endswith(" ingest.columns.segments, source") and of_plan.endswith(" plan/group 0")
    config = Path(store.connect().download_artifacts(id, "config.yaml", str(state))).read_text()
    assert yaml.safe_load(config)["ingest"]["columns"]["segments"] == segments


def test_a_retried_preflight_reopens_the_same_parent(state: Path) -> None:
    first = runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags={})
    closing.close_parent("FAILED")
    assert runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags={}) == first
    assert run_of(first).info.status == "RUNNING"


def test_a_runs_name_says_what_it_came_to_after_its_night(state: Path) -> None:
    night = {"as_of": "2026-11-02T01:00:00+00:00"}
    id = runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags=night)

    def name() -> str:
        return str(run_of(id).info.run_name)

    closing.close_parent("FAILED")
    assert name() == "2026-11-02 failed gru4rec a seed 3"
    runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags=night)
    assert name() == "2026-11-02 gru4rec a seed 3"
    closing.close_parent("KILLED")
    assert name() == "2026-11-02 cancelled gru4rec a seed 3"
    for verdict in ("fail", "pass"):  # a gate that is retried
        runs.name_ending(store.connect(), id, verdict)
        assert name() == f"2026-11-02 {verdict} gru4rec a seed 3"
    store.connect().set_tag(id, "verdict", "pass")
    closing.close_parent("KILLED")
    assert name() == "2026-11-02 pass gru4rec a seed 3"


def test_a_run_that_its_last_step_could_not_end_is_ended_and_one_that_has_ended_stays_as_it_is(state: Path) -> None:
    id = runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags={})
    closing.close_left_open("FINISHED")
    assert run_of(id).info.status == "FINISHED"
    closing.close_left_open("FAILED")
    assert run_of(id).info.status == "FINISHED"


def test_the_group_plan_becomes_params_of_the_parent(state: Path) -> None:
    id = runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags={})
    clean, probe = Variant(name="clean", role="clean", seed=3), Variant(name="identity", role="control", seed=3)
    runs.log_plan(Plan(seed=3, groups=[Group(id="0", variants=[clean, probe])]))
    assert {"plan/groups": "1", "plan/group 0": "clean, identity"}.items() <= run_of(id).data.params.items()


def test_a_step_before_preflight_says_so(state: Path) -> None:
    with pytest.raises(FinestError, match="has no run of the pipeline run run-1; preflight opens it"):
        runs.find_parent()


def test_a_step_that_returns_is_finished_and_a_child_of_the_parent(state: Path) -> None:
    parent = runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    with runs.step_run("pretrain", "1") as run:
        assert run_of(run.id).info.status == "RUNNING"
    done = run_of(run.id)
    assert (done.info.status, done.info.run_name) == ("FINISHED", "pretrain 1")
    assert {"mlflow.parentRunId": parent, "step": "pretrain", "group": "1"}.items() <= done.data.tags.items()


def test_system_metrics_are_recorded_while_a_step_runs(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    with runs.step_run("pretrain") as run:
        for _ in range(100):
            signal.sigtimedwait([], 0.1)
            if "system/cpu_utilization_percentage" in run_of(run.id).data.metrics:
                return
    pytest.fail("no system metrics within ten seconds")


@pytest.mark.parametrize(
    ("error", "status", "tag"),
    [
        (
            FinestError("a.csv: no column item; set ingest.columns"),
            "FAILED",
            "a.csv: no column item; set ingest.columns",
        ),
        (ValueError("first line\nsecond line"), "FAILED", "ValueError: first line"),
        (OSError("https://me:hunter2@host/x"), "FAILED", "OSError: https://***@host/x"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (SystemExit(2), "FAILED", "exit code 2"),
        (SystemExit(0), "FINISHED", None),
    ],
)
def test_a_step_never_stays_running_and_its_error_is_one_line(
    state: Path, error: BaseException, status: str, tag: str | None
) -> None:
    runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    with pytest.raises(type(error)), runs.step_run("ingest"):
        raise error
    assert (child("ingest").info.status, child("ingest").data.tags.get("error")) == (status, tag)


def step_in_a_process(state: Path) -> "subprocess.Popen[str]":
    """A process that is inside a step, once it has printed."""
    code = (
        "import time\nfrom tracking import runs\n"
        "with runs.step_run('pretrain'):\n    print('inside', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "inside\n"
    return process


def test_a_terminated_step_is_killed_not_running(state: Path) -> None:
    runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    process = step_in_a_process(state)
    process.terminate()
    process.wait(20)
    assert (child("pretrain").info.status, child("pretrain").data.tags["error"]) == ("KILLED", "terminated")


def test_what_kill_9_leaves_open_the_next_run_closes_and_only_what_is_dead(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    process = step_in_a_process(state)
    process.kill()
    process.wait(20)
    step = child("pretrain").info.run_id
    monkeypatch.setenv("KFP_RUN_ID", "run-2")
    alive = runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    monkeypatch.setenv("KFP_RUN_ID", "run-3")
    own = runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})

    def is_dead(tags: Mapping[str, str]) -> bool:
        return tags["kfp_run_id"] == "run-1"

    assert closing.close_dead(is_dead) == [dead]
    assert [run_of(id).info.status for id in (dead, step, alive, own)] == ["KILLED", "KILLED", "RUNNING", "RUNNING"]
    assert "closed by the next one" in run_of(dead).data.tags["closed"]
    assert closing.close_dead(is_dead) == []
    assert outcome("run-1", "model").failed_step == "pretrain"


def test_closing_the_parent_closes_steps_that_lost_their_process_with_what_is_known_of_them(state: Path) -> None:
    parent = runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    process = step_in_a_process(state)
    process.kill()
    process.wait(20)
    closing.close_steps(lambda step, group: f"{step} {group} was lost")
    assert run_of(parent).info.status == "RUNNING"
    assert (child("pretrain").info.status, child("pretrain").data.tags["error"][:9]) == ("KILLED", "pretrain ")
    closing.close_parent("FAILED")
    assert (run_of(parent).info.status, child("pretrain").info.status) == ("FAILED", "KILLED")


def test_the_outcome_names_the_step_that_failed_and_why(state: Path) -> None:
    runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    with runs.step_run("preflight"):
        pass
    with pytest.raises(FinestError), runs.step_run("ingest"):
        raise FinestError("a.csv: empty")
    assert outcome("run-1", "model") == Outcome(None, "ingest", "a.csv: empty", None)


def test_a_retry_that_succeeds_covers_the_attempt_that_failed(state: Path) -> None:
    runs.open_parent({}, line="finest", source="a.csv", seed=0, tags={})
    with pytest.raises(OSError), runs.step_run("pretrain", "0"):
        raise OSError("disk full")
    with runs.step_run("pretrain", "0"):
        pass
    assert outcome("run-1", "model").failed_step is None


def test_an_unknown_pipeline_run_has_no_outcome(state: Path) -> None:
    assert outcome("nobody", "model") == Outcome(None, None, None, None)


def test_the_run_that_kfp_gave_a_step_is_the_step_and_its_root_the_parent(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = store.connect()
    experiment = store.experiment_id(client, "finest")
    root = client.create_run(experiment, run_name="nightly").info.run_id
    loop = client.create_run(experiment, tags={"mlflow.parentRunId": root}).info.run_id
    task = client.create_run(experiment, tags={"mlflow.parentRunId": loop}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", task)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    assert runs.open_parent(CONFIG, line="finest", source="a.csv", seed=3, tags={}) == root
    with runs.step_run("preflight") as run:
        assert (run.id, run.parent) == (task, root)
    assert run_of(root).data.tags["kfp_run_id"] == "run-1"
    monkeypatch.delenv("MLFLOW_RUN_ID")
    assert runs.find_parent() == root


def test_the_environment_is_left_as_it_was(state: Path) -> None:
    store.connect()
    assert "MLFLOW_TRACKING_URI" not in os.environ
