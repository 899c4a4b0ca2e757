"""Finds where MLflow keeps things, the embedded store of a laptop or a server, and the experiments of lines."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from finest import patience
from finest.errors import FinestError
from finest.secrets import masked
from tracking import embedded
from tracking.away import Patient, away

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

OURS = {"finest": "lines"}
"""Tag of experiments that hold runs of lines."""
LINE = "line."
"""What the names of tags begin with that say which lines' runs an experiment holds."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development", **OURS}
"""Tags of new experiments. The first opens them in the UI's view for training runs; the other one is for prompts and
traces."""


def state_folder() -> Path:
    """Returns the absolute folder of everything that local runs write: FINEST_STATE, else ./state.

    It is absolute because MLflow stores paths.
    """
    return Path(os.environ.get("FINEST_STATE") or "state").absolute()


def uri() -> str:
    """Returns the tracking URI: MLFLOW_TRACKING_URI, else the embedded SQLite store in the state folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or embedded.address(state_folder() / "mlflow" / "mlflow.db")


PRESIGNED = "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Artifacts go through the server: to go past it, a client must reach the server's own store, which is behind
    # policies and proxies, and knows nothing of the server's users. Whoever wants presigned URLs all the same sets
    # these to true.
    PRESIGNED: "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}
"""MLflow's settings unless the environment says otherwise.

There are no usage statistics, no links and progress bars, and one way to artifacts.
"""


def connect() -> "MlflowClient":
    """Returns a client of the store that `uri` names; MLflow's own functions use that store too from then on.

    Creates the embedded database on first use, and upgrades an older one. The environment is left as it was, but for
    DEFAULTS. The client waits for a store that is away as long as `finest.patience` says.
    """
    _set_defaults()
    import mlflow

    for name in (
        "alembic",
        "mlflow.store.db.utils",
        "mlflow.system_metrics",
        "mlflow.store.artifact",
        "mlflow.store.model_registry",
        "mlflow.pyfunc",
    ):
        if (theirs := logging.getLogger(name)).level != logging.WARNING:  # setting it drops what all loggers remember
            theirs.setLevel(logging.WARNING)
    address, before = uri(), os.environ.get("MLFLOW_TRACKING_URI")
    if (file := embedded.file_of(address)) is not None:
        embedded.ready(file)
    mlflow.set_tracking_uri(address)
    if before is None:  # a later call must see a moved state folder, not what this one resolved
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    return cast("MlflowClient", Patient(mlflow.MlflowClient(tracking_uri=address), service()))


def load() -> None:
    """Imports what `connect` needs of MLflow, which takes seconds, for processes that are forked from this one."""
    _set_defaults()
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def _set_defaults() -> None:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if patience.limit():  # ours are the waits, with a line each; MLflow's would be silent
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


def service() -> str:
    """Returns the store's name for messages."""
    return f"MLflow at {masked(uri())}"


def waiting(call: Callable[[], T]) -> T:
    """Returns what the call returns, as patiently as our client.

    For MLflow's own functions, which make clients of their own; their work is done anew each time.
    """
    return patience.patiently(service(), call, away)


def experiment_id(client: "MlflowClient", line: str) -> str:
    """Returns the id of the experiment that a line's runs go to, and creates it if needed.

    It is called as the line is, unless the environment names one for all lines.
    """
    from mlflow.exceptions import MlflowException

    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        try:
            return str(client.get_experiment(given).experiment_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise FinestError(
                f"{service()} has no experiment of the id {given}; correct MLFLOW_EXPERIMENT_ID, or unset it: runs go "
                "to an experiment of the line's name then"
            ) from error
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or line
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(
                client.create_experiment(name, artifact_location=_artifacts(client.tracking_uri), tags=EXPERIMENT_TAGS)
            )
        except MlflowException:  # another step was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def experiments(client: "MlflowClient") -> list[str]:
    """Returns the ids of all experiments that hold runs of lines; of the one that the environment names, if any."""
    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return [given]
    if name := os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        found = client.get_experiment_by_name(name)
        return [found.experiment_id] if found else []
    query, ids, token = " and ".join(f"tags.{tag} = '{value}'" for tag, value in OURS.items()), list[str](), None
    while True:
        page = client.search_experiments(filter_string=query, page_token=token)
        ids += [one.experiment_id for one in page]
        if not (token := page.token):
            return ids


def find_runs(client: "MlflowClient", query: str, **more: Any) -> list[Any]:
    """Returns what a search finds among the runs of all lines.

    Args:
        client: A client of the store.
        query: What to find, in MLflow's filter language.
        more: Further arguments of `MlflowClient.search_runs`.
    """
    return list(client.search_runs(places, query, **more)) if (places := experiments(client)) else []


def lines(client: "MlflowClient") -> list[str]:
    """Returns the names of all lines that have had a run, by name; not of those whose experiment was deleted."""
    tags = [tag for id in experiments(client) for tag in client.get_experiment(id).tags]
    return sorted({tag.removeprefix(LINE) for tag in tags if tag.startswith(LINE)})


def mark(client: "MlflowClient", experiment: str, line: str) -> None:
    """Marks an experiment as one that holds runs of a line."""
    for key, value in {**OURS, f"{LINE}{line}": "true"}.items():
        client.set_experiment_tag(experiment, key, value)


def _artifacts(address: str) -> str | None:
    """Returns the folder of artifacts, which lies beside an SQLite file; None for a server, which has its own place."""
    file = embedded.file_of(address)
    return None if file is None else embedded.location(embedded.artifacts(file))
