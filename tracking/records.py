"""Logs what runs hold: data sets, curves, and the verdict with all that goes with it."""

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from finest.data.compared import Compared
from finest.data.schema import Manifest
from finest.errors import UnavailableError
from finest.gate.history import as_line
from finest.gate.verdict import Accuracy, ScenarioResult, Verdict
from finest.patience import at_most
from finest.report.markdown import markdown
from finest.secrets import masked
from finest.training.history import metrics_of
from tracking.answer import one_line
from tracking.away import away
from tracking.describe import cut, last_part, log_tags
from tracking.runs import NIGHT_DATA, NIGHT_ENTRY, Run, children, find_parent, name_ending, open_child
from tracking.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

logger = logging.getLogger(__name__)

DIGEST_LENGTH = 36
"""Number of characters that MLflow keeps of a data set's digest; the tag `data_fingerprint` has the whole one."""

CURVES_SECONDS = 30.0
"""Seconds that a live curve waits after the store has not taken its points."""


def log_dataset(run: Run, manifest: Manifest, source: str) -> None:
    """Logs the data set as input of the step's run and of the parent, with the fingerprint as digest.

    Args:
        run: The step's run.
        manifest: The data set's manifest.
        source: URI that the data came from.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    dataset = Dataset(
        name=dataset_name(source),
        digest=manifest.fingerprint[:DIGEST_LENGTH],
        source_type=urlsplit(source).scheme if "://" in source and not source.startswith("file://") else "local",
        source=json.dumps({"uri": masked(source)}),
        profile=manifest.model_dump_json(),
    )
    for id in (run.id, run.parent):
        run.client.log_inputs(
            id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training and evaluation")])]
        )
        run.client.set_tag(id, "data_fingerprint", manifest.fingerprint)


def log_refused_data(run: Run, compared: Compared) -> None:
    """Logs the numbers of data that is refused on the parent, by the names that a verdict gives them."""
    _log_metrics(run.client, run.parent, compared.metrics)


class Curves:
    """Logs live curves of a step's run, such as `train/loss`.

    Points that the store does not take now go with later ones: a training never waits for them. Each keeps the moment
    that it was added at, by which a store knows those again that it has, though its answer was lost. The history file
    keeps every point.
    """

    def __init__(self, run: Run):
        self.run, self.again = run, 0.0
        self.waiting: list[Metric] = []

    def add(self, name: str, value: float, step: int) -> None:
        """Adds a point, unless it is not finite."""
        from mlflow.exceptions import MlflowException

        if math.isfinite(value):
            self.waiting += _measured([(name, value, step)])
            if time.monotonic() >= self.again:
                try:
                    with at_most(0):
                        self._send()
                except MlflowException as error:
                    self.again = time.monotonic() + CURVES_SECONDS
                    logger.warning(
                        "points of the curves wait for MLflow, %d so far: %s",
                        len(self.waiting),
                        away(error) or one_line(error),
                    )

    def end(self) -> None:
        """Sends what is left, and waits as long as patience allows.

        A store that stays away costs the curves their points, not the training.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._send()
        except (MlflowException, UnavailableError) as error:
            logger.warning("the live curves lack %d points: %s", len(self.waiting), away(error) or one_line(error))

    def _send(self) -> None:
        _log_points(self.run.client, self.run.id, self.waiting)
        self.waiting = []


def log_file(file: Path) -> None:
    """Logs a file as artifact of the pipeline run's parent; it replaces one of the same name."""
    connect().log_artifact(find_parent(), str(file))


COSTS = ("finetune_over_pretrain", "trainings_cpu_seconds", "peak_memory_mb")
"""Parts of a verdict's cost by which runs are compared."""


def log_verdict(run: Run, verdict: Verdict, artifacts: Mapping[str, Path], histories: Mapping[str, pa.Table]) -> None:
    """Logs the verdict on the parent (metrics, tags, description, artifacts) and a child run with curves per variant.

    Metrics that are not finite are left out, and the tag `metrics_left_out` names them. Logging again replaces.

    Args:
        run: The gate's run.
        verdict: The verdict.
        artifacts: Files and folders by their path in the run, such as `report.html` or `edits/edits.parquet`.
        histories: History tables by the variant's name, as training wrote them.
    """
    metrics = dict(verdict.metrics)
    metrics |= {f"cost/{name}": verdict.cost[name] for name in COSTS if name in verdict.cost}
    if verdict.verdict != "skipped":
        metrics["gate/passed"] = float(verdict.verdict == "pass")
    _log_metrics(run.client, run.parent, metrics)
    tags = {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "protocol": verdict.protocol,
        "reference": verdict.reference,
        **({"memory/chosen": verdict.served.chosen} if verdict.served else {}),
        **({NIGHT_ENTRY: as_line(verdict.night)} if verdict.night else {}),
        **({NIGHT_DATA: verdict.compared.tonight.model_dump_json()} if verdict.compared else {}),
    }
    log_tags(run.client, run.parent, {**tags, "mlflow.note.content": note(markdown(verdict))})
    name_ending(run.client, run.parent, verdict.verdict)
    _log_variants(run, verdict, histories)
    _log_artifacts(run.client, run.parent, artifacts)


def note(text: str, length: int | None = None) -> str:
    """Returns `text` as a description, cut at a line's end to `length`; by default to what MLflow keeps of a run's."""
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    most = length or MAX_TAG_VAL_LENGTH
    if len(text) <= most:
        return text
    more = "\n\nThe rest is in verdict.json and report.html."
    return text[: most - len(more)].rpartition("\n")[0] + more


def dataset_name(source: str) -> str:
    """Returns the data set's name in MLflow: the last part of its URI, cut to what MLflow takes."""
    from mlflow.utils.validation import MAX_DATASET_NAME_SIZE

    return cut(last_part(source) or "interactions", MAX_DATASET_NAME_SIZE)


def _log_variants(run: Run, verdict: Verdict, histories: Mapping[str, pa.Table]) -> None:
    for child in children(run.client, run.parent):
        if "variant" in child.data.tags:  # of an earlier attempt of the gate
            run.client.delete_run(child.info.run_id)
    scenarios: dict[str, ScenarioResult] = {}
    for result in verdict.scenarios:  # a control of a further group is told apart as its history is
        scenarios[result.name if result.name not in scenarios else f"{result.name} (group {result.group})"] = result
    accuracies = {result.name: result for result in verdict.accuracy}
    for name in dict.fromkeys([*histories, *scenarios]):
        measured = scenarios.get(name)
        role = "clean" if measured is None else measured.role
        id = open_child(run.client, run.parent, name, {"variant": name, "role": role})
        if measured is not None:
            _log_metrics(run.client, id, _stability(measured))
        elif name == "clean" and "candidate" in accuracies:
            _log_metrics(run.client, id, _accuracy(accuracies["candidate"]))
        if name in histories:
            _log_points(run.client, id, _measured(_points(histories[name])))
        run.client.set_terminated(id, "FINISHED")


def _stability(result: ScenarioResult) -> dict[str, float]:
    tuned = {f"rls/{metric}": estimate.mean for metric, estimate in result.tuned.items()}
    return tuned | {f"rls_unstabilised/{metric}": estimate.mean for metric, estimate in result.base.items()}


def _accuracy(result: Accuracy) -> dict[str, float]:
    metrics = {f"accuracy/{name}": value for name, value in result.metrics.items()}
    return metrics | {"coverage/at_10": result.coverage_at_10}


def _points(history: pa.Table) -> Iterable[tuple[str, float, int]]:
    """Yields (metric, value, step) of a history table. Fine-tuning's steps go on where pretraining's ended."""
    offset, last, stage = 0, 0, None
    metrics = metrics_of(history)
    for row in history.to_pylist():
        if row["stage"] != stage:
            offset, stage = last, row["stage"]
        last = offset + row["step"]
        for column, metric in metrics.items():
            value = row[column]
            if value is not None and math.isfinite(value):
                yield metric, float(value), last


def _log_metrics(client: "MlflowClient", id: str, metrics: Mapping[str, Any]) -> None:
    there = {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
    _log_points(client, id, _measured((name, float(value), 0) for name, value in there.items()))
    if left_out := sorted(set(metrics) - set(there)):
        client.set_tag(id, "metrics_left_out", "not finite: " + ", ".join(left_out))


def _measured(points: Iterable[tuple[str, float, int]]) -> "list[Metric]":
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, value, now, step) for name, value, step in points]


def _log_points(client: "MlflowClient", id: str, points: "Sequence[Metric]") -> None:
    from mlflow.utils.validation import MAX_METRICS_PER_BATCH

    for first in range(0, len(points), MAX_METRICS_PER_BATCH):
        client.log_batch(id, metrics=points[first : first + MAX_METRICS_PER_BATCH])


def _log_artifacts(client: "MlflowClient", id: str, artifacts: Mapping[str, Path]) -> None:
    """Copies into one tree first: MLflow names an artifact by its file, and a step's output files are named by KFP."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in artifacts.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, place)
            else:
                shutil.copyfile(path, place)
        client.log_artifacts(id, folder)
