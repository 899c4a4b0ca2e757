"""Addresses of pages of MLflow's UI, for people. A bare link to an experiment opens a view for prompts and traces; these open runs."""

import os

from finest.errors import FinestError
from tracking.runs import parent_of
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


def run(kfp_run: str) -> str | None:
    """A pipeline run's own page; None where MLflow knows of none."""
    client = connect()
    id = parent_of(client, kfp_run)
    return f"{_base()}/#/experiments/{client.get_run(id).info.experiment_id}/runs/{id}?{VIEW}" if id else None


def _base() -> str:
    given = os.environ.get(VARIABLE, "")
    if given and not given.startswith(("http://", "https://")):
        raise FinestError(f"{VARIABLE}={given}: write it with http:// or https://, like https://mlflow.example.com")
    return (given or (masked(uri()).replace("***@", "") if served() else LOCAL)).rstrip("/")
