"""Opens MLflow runs: a parent for a pipeline run, a child for a step, which ends with the step."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from finest.data.schema import Manifest
from finest.errors import FinestError, UnavailableError
from finest.perturb.plan import Plan
from finest.report.markdown import text
from finest.secrets import masked, masked_all
from tracking.answer import one_line
from tracking.describe import code_tags, flattened, log_params, log_tags, short_name
from tracking.store import connect, experiment_id, find_runs, mark

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

PARENT = "mlflow.parentRunId"
KFP_RUN = "kfp_run_id"
"""Name of a tag that parents alone have, so that a search for it lists pipeline runs and not their steps."""
NIGHT = "as_of"
"""Name of the parents' tag with the moment that the run stands for.

Its day is the first word of the run's name, which is all that narrow tables show.
"""
LINE = "line"
"""Name of the parents' tag with the line's name."""
REBASE = "rebase"
"""Name of the tag of parents whose run starts its line over: the version of the champion that it leaves behind, or
`none`."""
NIGHT_ENTRY = "night"
"""Name of the parents' tag with what later nights need to know of this one, as JSON."""
NIGHT_DATA = "night_data"
"""Name of the parents' tag with what later nights need to know of this one's data, as JSON."""
PIPELINE_RUN = "pipeline_run"
"""Name of the tag with the parent's id that steps and variants have, also where KFP nests a step's run deeper."""

APPROVAL = "approval"
"""Name of the parents' tag, where a person is asked, with what they said so far."""
APPROVALS = {"awaiting": "awaiting", "approved": "pass", "refused": "refused"}
"""Words of that tag, and what each makes of a run whose verdict is `pass`."""

ENDINGS = (
    "pass",
    "fail",
    "suspicious",
    "broken",
    "skipped",
    "failed",
    "cancelled",
    "lost",
    "tuned",
    *APPROVALS.values(),
)
"""Words for what a run comes to: its verdict, or why it has none; `tuned` is that of a search, which has none, and
`awaiting` and `refused` are of a run that passed and needs a person."""
SYSTEM_METRICS_SECONDS = 5

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Run:
    """Holds an open MLflow run."""

    client: "MlflowClient"
    id: str
    parent: str
    """Id of the pipeline run's parent run."""


def kfp_run_id() -> str:
    """Returns the pipeline run's id. Raises FinestError outside of a pipeline run."""
    if not (given := os.environ.get("KFP_RUN_ID")):
        raise FinestError("KFP_RUN_ID is not set: steps run inside a pipeline run; start one with `finest run`")
    return given


def open_parent(config: Mapping[str, Any], *, line: str, source: str, seed: int, tags: Mapping[str, str]) -> str:
    """Opens the pipeline run's parent run, or reopens it on a retry, and returns its id.

    Args:
        config: Plain data; becomes the params and the artifact config.yaml. Model, protocol and reference are read
            from it.
        line: Name of the line.
        source: URI or name of the data.
        seed: Seed of the run.
        tags: Come on top of those that every run has.
    """
    client, config = connect(), masked_all(config)
    finetune, pretrain = config.get("finetune", {}), config.get("pretrain", {})
    model = pretrain.get("model", {}).get("name", "model")
    night = str(tags.get(NIGHT) or datetime.now(UTC).isoformat())[:10]
    name = f"{night} {model} {short_name(source)} seed {seed}"
    all_tags = {
        LINE: line,
        "source": masked(source),
        "protocol": str(finetune.get("protocol", "")),
        "reference": str(finetune.get("reference", "")),
        **code_tags(),
        **tags,
        "mlflow.note.content": f"{text(model)} on {text(masked(source))}; no verdict yet.",
    }
    if (existing := _found(client)) is None:
        first = {KFP_RUN: kfp_run_id(), "mlflow.source.name": "finest", "mlflow.source.type": "PROJECT"}
        existing = client.create_run(experiment_id(client, line), tags=first, run_name=name).info.run_id
    else:
        client.update_run(existing, status="RUNNING", name=name)
    log_tags(client, existing, {key: value for key, value in all_tags.items() if value})
    mark(client, client.get_run(existing).info.experiment_id, line)
    log_params(client, existing, {**flattened(config), "seed": str(seed), "source": masked(source)})
    client.log_dict(existing, {"name": line, "seed": seed, **config}, "config.yaml")
    return existing


def trained_on(client: "MlflowClient", parent: str, manifest: Manifest) -> dict[str, str]:
    """Returns what a model's version says of its data: source, columns, and numbers of users, items, rows."""
    run = client.get_run(parent).data
    columns = {key: value for key, value in run.params.items() if key.startswith("ingest.columns.") and value}
    counts = {"users": manifest.users, "items": manifest.items, "interactions": manifest.interactions}
    return {"source": run.tags.get("source", ""), **columns, **{name: str(count) for name, count in counts.items()}}


def name_ending(client: "MlflowClient", parent: str, word: str) -> None:
    """Puts what the run came to into its name, after the night, like `2026-11-02 fail ...`.

    A word that is there already is replaced.
    """
    night, _, rest = str(client.get_run(parent).info.run_name).partition(" ")
    first, _, more = rest.partition(" ")
    client.update_run(parent, name=f"{night} {word} {more if first in ENDINGS else rest}")


def name_approval(client: "MlflowClient", parent: str, word: str) -> None:
    """Says in a run's tag and name what became of its approval; where somebody has deleted the run, nowhere.

    Args:
        client: A client of the store.
        parent: Id of the run.
        word: One of APPROVALS.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.set_tag(parent, APPROVAL, word)
        name_ending(client, parent, APPROVALS[word])
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
            raise


def find_parent() -> str:
    """Returns the id of this pipeline run's parent run.

    It is found by its tag, else by climbing from the run that KFP gave this step.
    """
    client = connect()
    if (found := _found(client)) is None:
        raise FinestError(
            f"MLflow at {masked(client.tracking_uri)} has no run of the pipeline run {kfp_run_id()}; preflight opens it"
        )
    return found


def log_plan(plan: Plan) -> None:
    """Logs which variants the run trains, in which groups, and the digests of edit files, as params of the parent."""
    groups = {f"plan/group {group.id}": ", ".join(variant.name for variant in group.variants) for group in plan.groups}
    files = {f"plan/edit file {name}": f"sha256 {digest}" for name, digest in plan.edit_files.items()}
    log_params(connect(), find_parent(), {"plan/groups": str(len(plan.groups)), **groups, **files})


@contextmanager
def step_run(step: str, group: str | None = None) -> Iterator[Run]:
    """Opens a child run of the parent for one pipeline step, with system metrics.

    The run ends FINISHED, FAILED with the tag `error`, or KILLED (Ctrl-C, SIGTERM), whatever leaves the block.
    """
    client, parent = connect(), find_parent()
    name = step if group is None else f"{step} {group}"
    id = os.environ.get("MLFLOW_RUN_ID") or open_child(client, parent, name, {})
    tags = {PIPELINE_RUN: parent, "step": step, "host": socket.gethostname(), "pid": os.getpid()}
    log_tags(client, id, tags if group is None else {**tags, "group": group})
    ending: tuple[Status, str] = "FINISHED", ""
    try:
        with _terminated_is_an_exception(), _system_metrics(id):
            yield Run(client, id, parent)
    except BaseException as error:
        ending = _ending(error)
        raise
    finally:
        _end(client, id, *ending)


def open_child(client: "MlflowClient", parent: str, name: str, tags: Mapping[str, str]) -> str:
    """Opens a child run of the parent and returns its id."""
    experiment = client.get_run(parent).info.experiment_id
    return str(
        client.create_run(experiment, tags={PARENT: parent, PIPELINE_RUN: parent, **tags}, run_name=name).info.run_id
    )


def _ending(error: BaseException) -> tuple[Status, str]:
    """Returns the status of a step that `error` has ended, and the text of its tag `error`."""
    if isinstance(error, SystemExit):
        if error.code in (None, 0):
            return "FINISHED", ""
        return ("KILLED", "terminated") if error.code == 128 + signal.SIGTERM else ("FAILED", f"exit code {error.code}")
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", "interrupted"
    return "FAILED", one_line(error)


def _end(client: "MlflowClient", id: str, status: Status, error: str) -> None:
    """Ends a step's run.

    A store that stays away must not hide what ended the step; the parent's end then closes the run too.
    """
    from mlflow.exceptions import MlflowException

    try:
        if error:
            client.set_tag(id, "error", error)
        client.set_terminated(id, status)
    except (MlflowException, UnavailableError) as away:
        logger.warning("the step's MLflow run %s could not be closed as %s: %s", id, status, one_line(away))


def _found(client: "MlflowClient") -> str | None:
    """Returns the parent of this pipeline run, which gets its tag here if KFP has made it; None if there is none."""
    if (tagged := parent_of(client, kfp_run_id())) is not None:
        return tagged
    if not (own := os.environ.get("MLFLOW_RUN_ID")):
        return None
    run = client.get_run(own)
    while above := run.data.tags.get(PARENT):
        run = client.get_run(above)
    client.set_tag(run.info.run_id, KFP_RUN, kfp_run_id())
    return str(run.info.run_id)


def parent_of(client: "MlflowClient", kfp_run: str) -> str | None:
    """Returns the id of a pipeline run's parent run; None if MLflow does not know the run."""
    found = find_runs(client, f"tags.{KFP_RUN} = '{kfp_run}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def children(client: "MlflowClient", parent: str) -> list[Any]:
    """Returns runs of the parent's steps and variants, newest first."""
    experiment = client.get_run(parent).info.experiment_id
    return list(
        client.search_runs([experiment], f"tags.{PIPELINE_RUN} = '{parent}'", order_by=["attributes.start_time DESC"])
    )


@contextmanager
def _system_metrics(run: str) -> Iterator[None]:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        """Goes on when the store is away once; MLflow's own monitor ends for good."""

        def monitor(self) -> None:
            super().monitor()  # type: ignore[no-untyped-call]
            while not self._shutdown_event.wait(SYSTEM_METRICS_SECONDS * self.samples_before_logging):
                super().monitor()  # type: ignore[no-untyped-call]

    monitor: Any = Monitor(run, sampling_interval=SYSTEM_METRICS_SECONDS, resume_logging=True)  # type: ignore[no-untyped-call]
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


@contextmanager
def _terminated_is_an_exception() -> Iterator[None]:
    """Makes SIGTERM, which a cluster sends before it kills, unwind the block like sys.exit.

    In other threads than the main one nothing changes: signals belong to that one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
