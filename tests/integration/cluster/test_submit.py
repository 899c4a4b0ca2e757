from pathlib import Path

import pytest
import yaml

from tests.integration.cluster.conftest import Call, crown, model, record
from tests.services.fake_kfp import FakeKfp, Moment
from tracking.store import connect


def passes(kfp: FakeKfp, name: str) -> None:
    def done(run: str) -> None:
        record(run, "pass", line=name)
        crown(name, run)

    kfp.on_run = done


def test_a_run_that_passed_and_was_promoted_is_0(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    passes(kfp, model(tmp_path))
    said = call("submit")
    assert said.code == 0, said.error
    assert f"Promoted {model(tmp_path)} version 1 is the champion" in said.out


def test_a_run_that_the_gate_refused_is_3(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, "fail")
    said = call("submit")
    assert said.code == 3 and "Refused  there is no champion yet" in said.out


def test_a_refusal_leaves_the_champion_that_there_is(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    crown(model(tmp_path), "another-run")
    kfp.on_run = lambda run: record(run, "fail", line=model(tmp_path))
    said = call("submit")
    assert said.code == 3 and f"Refused  the champion of {model(tmp_path)} stays as it was" in said.out


def test_a_night_without_new_data_is_0(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, "skipped")
    said = call("submit")
    assert said.code == 0 and "Verdict  skipped" in said.out and "Skipped  there is no champion yet" in said.out


def test_a_step_that_failed_is_1_and_named_with_its_error(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, None, failed=("ingest", "column user_id is missing"))
    kfp.life = [Moment("FAILED")]
    said = call("submit")
    assert said.code == 1 and "ended FAILED without a verdict (ingest failed: column user_id is missing)" in said.error


def test_a_run_that_kfp_calls_a_success_but_mlflow_does_not_know_is_1(kfp: FakeKfp, call: Call) -> None:
    said = call("submit")
    assert said.code == 1 and "ended SUCCEEDED without a verdict" in said.error


def test_a_run_that_passed_but_whose_model_is_not_the_champion_is_1(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    def passed(run: str) -> None:
        record(run, "pass", line=model(tmp_path))
        crown(model(tmp_path), "another-run")

    kfp.on_run = passed
    said = call("submit")
    assert said.code == 1 and "the champion" in said.error and "is not this run's model" in said.error


@pytest.mark.parametrize("state", ["SKIPPED", "FAILED"])
def test_a_run_ends_on_every_state_that_it_cannot_leave(kfp: FakeKfp, call: Call, state: str) -> None:
    kfp.life = [Moment("RUNNING"), Moment(state, error="out of time")]
    kfp.on_run = lambda run: record(run, None)
    said = call("submit")
    assert said.code == 1 and f"ended {state} without a verdict" in said.error
    assert f"run {state.lower()}: out of time" in said.out


@pytest.mark.parametrize(
    "life", [["CANCELED"], ["RUNNING", "CANCELING", "CANCELED"], ["RUNNING", "CANCELING", "FAILED"]]
)
def test_a_run_that_was_cancelled_is_4(kfp: FakeKfp, call: Call, life: list[str]) -> None:
    kfp.life = [Moment(state) for state in life]
    kfp.on_run = lambda run: record(run, None)
    said = call("submit")
    assert (said.code, said.error) == (4, "")
    assert "run cancelled" in said.out and "Cancelled; there is no champion yet" in said.out
    assert ("run is being cancelled" in said.out) == ("CANCELING" in life)


def test_a_run_that_was_cancelled_after_its_promotion_says_both(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    kfp.life = [Moment("CANCELING"), Moment("FAILED")]
    passes(kfp, model(tmp_path))
    said = call("submit")
    assert said.code == 4 and "run cancelled" in said.out
    assert f"Promoted {model(tmp_path)} version 1 is the champion" in said.out and "Cancelled;" not in said.out


def test_a_run_that_ended_before_it_could_be_cancelled_is_what_it_came_to(
    kfp: FakeKfp, call: Call, tmp_path: Path
) -> None:
    kfp.life = [Moment("CANCELING"), Moment("SUCCEEDED")]
    passes(kfp, model(tmp_path))
    assert call("submit").code == 0


def test_a_step_that_failed_after_the_verdict_is_not_called_without_one(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, "pass", failed=("promote", "the registry said no"))
    kfp.life = [Moment("FAILED")]
    said = call("submit")
    assert said.code == 1 and "ended FAILED after the verdict pass (promote failed: the registry said no)" in said.error


def test_a_verdict_that_cannot_be_read_whole_still_counts(kfp: FakeKfp, call: Call) -> None:
    def judged(run: str) -> None:
        parent = record(run, None)
        connect().set_tag(parent, "verdict", "fail")

    kfp.on_run = judged
    said = call("submit")
    assert said.code == 3 and "Verdict  fail\nnote: which checks held is not shown: MLflow at" in said.out


def test_a_verdict_of_another_version_is_not_called_a_broken_file(kfp: FakeKfp, call: Call) -> None:
    def judged(run: str) -> None:
        connect().log_text(record(run, "fail"), '{"verdict": "fail", "schema_version": 99}', "verdict.json")

    kfp.on_run = judged
    said = call("submit")
    assert said.code == 3 and "was written by another version of finest; see it in MLflow" in " ".join(said.out.split())


def test_a_step_whose_node_is_not_to_be_found_has_a_line_for_every_change(kfp: FakeKfp, call: Call) -> None:
    kfp.life = [
        Moment("RUNNING", {"root-driver": "SUCCEEDED", "preflight": "RUNNING"}),
        Moment("RUNNING", {"root-driver": "SUCCEEDED", "preflight": "RUNNING"}),
        Moment(
            "RUNNING",
            {"root-driver": "SUCCEEDED", "preflight": "SUCCEEDED", "pretrain#0": "RUNNING", "pretrain#1": "PENDING"},
        ),
        Moment(
            "SUCCEEDED",
            {"root-driver": "SUCCEEDED", "preflight": "SUCCEEDED", "pretrain#0": "SUCCEEDED", "pretrain#1": "FAILED"},
        ),
    ]
    kfp.on_run = lambda run: record(run, "fail")
    lines = [line[9:] for line in call("submit").out.splitlines() if line[2:3] == ":" and "note:" not in line]
    assert lines == [
        "Check before spending: running",
        "Check before spending: done",
        "Train: running",
        "Train: done",
        "Train #2: failed; not tried again",
        "run succeeded",
    ]


def test_a_version_is_uploaded_only_when_the_compiled_pipeline_says_something_else(
    kfp: FakeKfp, call: Call, compiled: Path, tmp_path: Path
) -> None:
    kfp.on_run = lambda run: record(run, "fail")
    call("submit")
    call("submit")
    assert kfp.uploads == 1
    commented = tmp_path / "commented.yaml"
    commented.write_text("# written again\n" + compiled.read_text())
    call("submit", "--pipeline", str(commented))
    assert kfp.uploads == 1
    changed = tmp_path / "changed.yaml"
    changed.write_text(compiled.read_text().replace("image: finest:", "image: registry/finest:"))
    call("submit", "--pipeline", str(changed))
    assert kfp.uploads == 2 and len(kfp.pipelines) == 1 and len(kfp.experiments) == 1
    versions = [run.pipeline_version_reference.pipeline_version_id for run in kfp.runs.values()]
    assert versions[0] == versions[1] == versions[2] != versions[3]


def test_a_run_gets_what_differs_from_the_pipelines_defaults(kfp: FakeKfp, call: Call) -> None:
    call(
        "submit",
        "--detach",
        "--set",
        "placement.accelerators=2",
        "--set",
        "gate.min_rls_rbo=0.8",
        "--set",
        "pretrain.epochs=20",
    )
    [run] = kfp.runs.values()
    given = run.runtime_config.parameters
    assert given["accelerators"] == "2" and given["gate"]["min_rls_rbo"] == 0.8 and given["pretrain"]["epochs"] == 20
    assert given["source"] == "s3://bucket/interactions" and given["checkpoints"] == "s3://bucket/checkpoints"
    assert set(given) == {"accelerators", "gate", "pretrain", "source", "checkpoints", "name"}
    assert run.service_account == "finest-pipeline"


def test_parameters_that_a_backend_would_not_keep_are_refused_here(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    tolerations = [{"key": f"team-{number}", "operator": "Exists"} for number in range(300)]
    config = tmp_path / "large.yaml"
    config.write_text(
        yaml.safe_dump({"source": "s3://b/i", "checkpoints": "s3://b/c", "placement": {"tolerations": tolerations}})
    )
    said = call("submit", "--config", str(config))
    assert said.code == 2 and "keeps fewer than 10000" in said.error and "tolerations" in said.error
    assert not kfp.runs and not kfp.uploads


def test_more_groups_than_the_pipeline_was_compiled_for_are_refused_here(kfp: FakeKfp, call: Call) -> None:
    said = call("submit", "--set", "perturb.groups=2")
    assert said.code == 2 and "perturb.groups: 2, but" in said.error and "finest compile --config FILE" in said.error
    assert not kfp.runs and not kfp.uploads


def test_what_the_compiled_pipeline_holds_as_constants_cannot_be_set_for_a_run(kfp: FakeKfp, call: Call) -> None:
    said = call("submit", "--set", "steps.patience_minutes=5")
    assert (
        said.code == 2
        and "steps.patience_minutes: 5.0, but" in said.error
        and "finest compile --config FILE" in said.error
    )
    assert not kfp.runs and not kfp.uploads


@pytest.mark.parametrize(
    ("setting", "named"), [("source=ml-100k", "source: ml-100k"), ("checkpoints=''", "checkpoints: not set")]
)
def test_what_a_cluster_cannot_reach_is_a_config_error(kfp: FakeKfp, call: Call, setting: str, named: str) -> None:
    said = call("submit", "--set", setting)
    assert said.code == 2 and named in said.error


def test_mlflow_is_asked_for_before_anything_starts(kfp: FakeKfp, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    said = call("submit")
    assert said.code == 2 and "MLFLOW_TRACKING_URI is not set" in said.error and not kfp.runs


def test_a_run_can_be_left_and_followed_later(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, "fail")
    left = call("submit", "--detach")
    [run] = kfp.runs
    assert left.code == 0 and left.out.endswith(f"follow it: finest status {run} --follow\n")
    assert call("status", run, "--follow").code == 3
    assert call("submit", "--follow", run).code == 3 and list(kfp.runs) == [run]


def test_interrupting_leaves_the_run_alone_and_says_how_to_go_on(
    kfp: FakeKfp, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.life = [Moment("RUNNING")]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.cluster.follow.time.sleep", interrupt)
    said = call("submit")
    [run] = kfp.runs
    assert said.code == 1 and f"the run goes on: finest status {run} --follow" in said.error
    assert not [request for request in kfp.http.asked if "terminate" in request.path or request.method == "DELETE"]


def test_an_api_that_is_away_for_a_moment_does_not_end_the_following(kfp: FakeKfp, call: Call) -> None:
    kfp.away = [500, 500]
    kfp.on_run = lambda run: record(run, "fail")
    said = call("submit")
    assert said.code == 3
    assert said.out.count("500 upstream connect error; asking again for up to 10 min") == 1
    assert said.out.count("Kubeflow Pipelines answers again after") == 1


def test_an_api_that_stays_away_ends_the_following_and_says_how_to_go_on(
    kfp: FakeKfp, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.follow.PATIENCE_SECONDS", 0.0)
    kfp.away = [500] * 20
    said = call("submit")
    [run] = kfp.runs
    assert said.code == 1 and said.error.count("\n") == 1
    assert f"500 upstream connect error (the run goes on: finest status {run} --follow)" in said.error


@pytest.mark.parametrize(
    "command", [["submit", "--follow", "gone"], ["status", "gone"], ["status", "gone", "--follow"]]
)
def test_a_run_that_there_is_not_is_one_line(call: Call, command: list[str]) -> None:
    said = call(*command)
    assert said.code == 1 and "404" in said.error and "not found" in said.error and "goes on" not in said.error


def test_a_run_that_is_deleted_ends_the_following(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: kfp.runs.clear()
    said = call("submit")
    assert said.code == 1 and "404" in said.error and "goes on" not in said.error


def test_the_model_is_the_runs_own_whatever_config_the_follower_has(kfp: FakeKfp, call: Call, tmp_path: Path) -> None:
    own = f"own-{tmp_path.name}"

    def done(run: str) -> None:
        record(run, "pass", line=own)
        crown(own, run)

    kfp.on_run = done
    call("submit", "--detach")
    said = call("status", *kfp.runs, files=False)
    assert said.code == 0 and f"Promoted {own} version 1 is the champion" in said.out


def test_the_token_is_read_anew_for_every_request_and_never_said(
    kfp: FakeKfp, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("old-secret\n")
    monkeypatch.setenv("KFP_TOKEN_FILE", str(file))
    kfp.token = "old-secret"

    def replaced(run: str) -> None:
        record(run, "fail")
        file.write_text("new-secret\n")
        kfp.token = "new-secret"

    kfp.on_run = replaced
    said = call("submit")
    assert said.code == 3, said.error
    kfp.token = "another"
    refused = call("submit")
    assert refused.code == 1 and "401" in refused.error and "KFP_TOKEN" in refused.error
    assert not any("secret" in text for text in (said.out, said.error, refused.out, refused.error))


def test_a_host_that_does_not_answer_is_one_line_with_advice(call: Call) -> None:
    said = call("submit", "--host", "http://127.0.0.1:9")
    assert (
        said.code == 1
        and said.error.count("\n") == 1
        and "no connection" in said.error
        and "port-forward" in said.error
    )
