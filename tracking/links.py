"""Addresses of pages of MLflow's UI, for people. A bare link to an experiment opens a view for prompts and traces; these open runs."""

import os

from finest.errors import FinestError
from tracking.runs import find_parent
from tracking.store import connect, experiment_id, masked, uri

VARIABLE = "FINEST_MLFLOW_URL"
"""Environment variable: where people open MLflow, if that is not where this process reaches it."""
LOCAL = "http://127.0.0.1:5000"
"""Where `mlflow ui` serves, by itself, the store of a local run."""
VIEW = "workflowType=machine_learning"


def served() -> bool:
    """Whether there is a server that others can open; a local run's store is served by whoever looks at it."""
    return bool(os.environ.get(VARIABLE)) or uri().startswith("http")


def table() -> str:
    """The table of runs."""
    return f"{_base()}/#/experiments/{experiment_id(connect())}/runs?{VIEW}"


def run(id: str | None = None) -> str:
    """A run's own page; of this pipeline run's parent where none is named."""
    id = id or find_parent()
    experiment = connect().get_run(id).info.experiment_id
    return f"{_base()}/#/experiments/{experiment}/runs/{id}?{VIEW}"


def _base() -> str:
    given = os.environ.get(VARIABLE, "")
    if given and not given.startswith(("http://", "https://")):
        raise FinestError(f"{VARIABLE}={given}: write it with http:// or https://, like https://mlflow.example.com")
    return (given or (masked(uri()).replace("***@", "") if served() else LOCAL)).rstrip("/")
