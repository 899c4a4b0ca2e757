import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from mlflow.entities import Run

from finest.data.schema import Manifest
from finest.gate.rls import HEADLINE
from finest.gate.verdict import Served, Verdict
from finest.perturb.config import LONGEST
from finest.report.markdown import markdown
from finest.training.history import schema
from tests.unit.gate.made_up_run import PROBES, judged, made_up
from tracking import records, runs, store

HISTORY = pa.table(
    {
        "stage": ["pretrain", "pretrain", "finetune"],
        "epoch": [1, 2, 1],
        "step": [10, 20, 5],
        "loss": [3.0, 2.0, 1.5],
        "pairwise": [None, None, 0.25],
        "topk": [float("nan"), float("nan"), 0.5],
        "near": [None, None, 0.75],
        "lr": [2e-3, 2e-3, 1e-3],
        "seconds": [1.0, 1.0, 1.0],
        "cpu_seconds": [1.0, 1.0, 1.0],
        "targets": [7, 7, 7],
    },
    schema({"pairwise": "train/order", "topk": "train/top", "near": "train/near"}),
)
"""As training writes one: a regulariser's terms are columns that say what their metrics are called."""


@pytest.fixture
def parent(state: Path) -> str:
    return runs.open_parent({}, line="finest", source="/data/ml-100k.inter", seed=0, tags={})


def variants(parent: str) -> dict[str, Run]:
    client = store.connect()
    return {run.data.tags["variant"]: run for run in runs.children(client, parent) if "variant" in run.data.tags}


def test_a_data_set_is_an_input_of_step_and_parent_with_its_fingerprint(parent: str, manifest: Manifest) -> None:
    with runs.step_run("ingest") as run:
        records.log_dataset(run, manifest, "s3://bucket/interactions/day")
    for id in (run.id, parent):
        logged = run.client.get_run(id)
        assert logged.inputs is not None
        (one,) = logged.inputs.dataset_inputs
        assert (one.dataset.name, one.dataset.digest, one.dataset.source_type) == (
            "day",
            manifest.fingerprint[:36],
            "s3",
        )
        assert one.dataset.profile and json.loads(one.dataset.profile)["interactions"] == manifest.interactions
        assert logged.data.tags["data_fingerprint"] == manifest.fingerprint


def test_a_live_curve_has_its_points_and_skips_what_is_not_finite(parent: str) -> None:
    with runs.step_run("pretrain") as run:
        curves = records.Curves(run)
        for step, loss in enumerate([3.0, float("nan"), 2.0]):
            curves.add("train/loss/clean", loss, step)
        curves.end()
    history = run.client.get_metric_history(run.id, "train/loss/clean")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (2, 2.0)]


def test_points_that_the_store_does_not_take_go_with_later_ones(parent: str, caplog: pytest.LogCaptureFixture) -> None:
    with runs.step_run("pretrain") as run:
        curves = records.Curves(runs.Run(run.client, "0" * 32, parent))
        curves.add("train/loss/clean", 3.0, 1)
        curves.add("train/loss/clean", 2.0, 2)
        assert caplog.text.count("wait for MLflow") == 1  # it is not asked again at once
        curves.run = run
        curves.end()
    history = run.client.get_metric_history(run.id, "train/loss/clean")
    assert [(point.step, point.value) for point in history] == [(1, 3.0), (2, 2.0)]


def test_a_store_that_stays_away_costs_a_training_its_curves_alone(
    parent: str, caplog: pytest.LogCaptureFixture
) -> None:
    with runs.step_run("pretrain") as run:
        curves = records.Curves(runs.Run(run.client, "0" * 32, parent))
        curves.add("train/loss/clean", 1.0, 7)
        curves.end()
    assert "the live curves lack 1 points" in caplog.text


def test_the_verdict_is_on_the_parent_and_every_variant_has_its_run_with_curves(
    parent: str, verdict: Callable[..., Verdict], tmp_path: Path
) -> None:
    (tmp_path / "output").write_text("<h1>report</h1>")
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "edits.parquet").write_bytes(b"PAR1")
    judged = verdict(metrics={"rls/rbo": 0.9, "churn/rbo": float("nan")})
    with runs.step_run("gate") as run:
        histories = {"clean": HISTORY, "random-deletion-0.001-s0": HISTORY}
        records.log_verdict(run, judged, {"report.html": tmp_path / "output", "edits": tmp_path / "plan"}, histories)

    logged = run.client.get_run(parent)
    assert logged.data.metrics == {"rls/rbo": 0.9, "gate/passed": 1.0}
    assert logged.data.tags["metrics_left_out"] == "not finite: churn/rbo"
    assert {
        "verdict": "pass",
        "reason": "all rules hold",
        "protocol": "anchored",
        "reference": "base",
    }.items() <= logged.data.tags.items()
    assert logged.data.tags["mlflow.note.content"] == markdown(judged)
    assert {item.path for item in run.client.list_artifacts(parent)} == {"config.yaml", "edits", "report.html"}
    assert Path(run.client.download_artifacts(parent, "report.html")).read_text() == "<h1>report</h1>"

    found = variants(parent)
    probe, clean = found["random-deletion-0.001-s0"], found["clean"]
    assert {
        "rls/rbo": 0.9,
        "rls_unstabilised/rbo": 0.85,
        "rls/jaccard_at_10": 0.8,
    }.items() <= probe.data.metrics.items()
    assert {"accuracy/mrr": 0.05, "coverage/at_10": 0.4}.items() <= clean.data.metrics.items()
    assert (probe.data.tags["role"], clean.data.tags["role"]) == ("probe", "clean")
    assert {run.info.status for run in found.values()} == {"FINISHED"}

    def curve(name: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in run.client.get_metric_history(probe.info.run_id, name)]

    assert curve("train/loss") == [(10, 3.0), (20, 2.0), (25, 1.5)]
    assert (curve("train/order"), curve("train/top")) == ([(25, 0.25)], [(25, 0.5)])
    assert curve("train/near") == [(25, 0.75)]


def test_the_longest_name_that_a_scenario_may_have_leaves_room_in_those_of_metrics(parent: str, tmp_path: Path) -> None:
    run, name = made_up(), "x" * LONGEST
    for stage in ("base", "tuned"):
        run.scores[name, stage] = run.scores[PROBES[0], stage]
        run.described[name, stage] = {"role": "probe", "scenario": name}
    with runs.step_run("gate") as step:
        records.log_verdict(step, judged(run, tmp_path), {}, {name: HISTORY})
    found = step.client.get_run(parent).data.metrics
    assert {f"{of}/{metric}/{name}" for of in ("rls", "rls_unstabilised") for metric in HEADLINE} <= found.keys()
    assert variants(parent)[name].data.metrics["train/loss"] == 1.5


def test_what_is_served_and_its_weights_are_on_the_parent_so_that_they_plot_over_nights(
    parent: str, verdict: Callable[..., Verdict]
) -> None:
    mrr = {"stack": 0.0996, "memory": 0.0927, "network": 0.0853}
    weights = {"network": 0.7, "popularity": -0.2, "follows_linear": 0.4}
    served = Served(chosen="stack", weights=weights, mrr=mrr, network_gain=0.0069, counts_gain=0.0143, sentence="Both.")
    with runs.step_run("gate") as run:
        records.log_verdict(run, verdict(served=served, metrics=served.metrics), {}, {})
    logged = run.client.get_run(parent)
    assert logged.data.tags["memory/chosen"] == "stack"
    assert {name: value for name, value in logged.data.metrics.items() if name.startswith("memory/")} == {
        **{f"memory/weight/{name}": weight for name, weight in weights.items()},
        **{f"memory/mrr/{way}": value for way, value in mrr.items()},
        "memory/network_gain": 0.0069,
        "memory/counts_gain": 0.0143,
    }


def test_a_run_without_a_choice_says_nothing_of_one(parent: str, verdict: Callable[..., Verdict]) -> None:
    with runs.step_run("gate") as run:
        records.log_verdict(run, verdict(), {}, {})
    logged = run.client.get_run(parent)
    assert not [name for name in [*logged.data.tags, *logged.data.metrics] if name.startswith("memory/")]


def test_a_gate_that_is_retried_replaces_what_it_logged(parent: str, verdict: Callable[..., Verdict]) -> None:
    for outcome in ("fail", "pass"):
        with runs.step_run("gate") as run:
            records.log_verdict(run, verdict(verdict=outcome), {}, {"clean": HISTORY})
    client = store.connect()
    assert client.get_run(parent).data.tags["verdict"] == "pass"
    names = [child.info.run_name for child in runs.children(client, parent) if "variant" in child.data.tags]
    assert sorted(names) == ["clean", "random-deletion-0.001-s0"]


def test_a_skipped_night_says_so_and_counts_neither_as_passed_nor_as_failed(
    parent: str, verdict: Callable[..., Verdict]
) -> None:
    with runs.step_run("gate") as run:
        records.log_verdict(run, verdict(verdict="skipped", metrics={}, scenarios=[], accuracy=[]), {}, {})
    logged = run.client.get_run(parent)
    assert (logged.data.tags["verdict"], logged.data.metrics) == ("skipped", {})


def test_a_description_too_long_for_mlflow_is_cut_at_a_line_and_says_where_the_rest_is() -> None:
    cut = records.note("| a row of the table |\n" * 1000)
    assert len(cut) <= 8000 and cut.endswith("|\n\nThe rest is in verdict.json and report.html.")
    assert len(records.note("| a row of the table |\n" * 1000, 5000)) <= 5000
    assert records.note("short") == "short"
