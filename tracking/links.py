"""Makes addresses of pages of MLflow's UI.

A bare link to an experiment opens a view for prompts and traces; these open the view of runs.
"""

import os

from finest.errors import FinestError
from finest.secrets import MASK, masked
from tracking.runs import parent_of
from tracking.store import connect, experiment_id, uri

VARIABLE = "FINEST_MLFLOW_URL"
"""Environment variable with the address at which people open MLflow, if processes reach it at another one."""
LOCAL = "http://127.0.0.1:5000"
"""Address at which `mlflow ui` serves the store of a local run by default."""
VIEW = "workflowType=machine_learning"


def served() -> bool:
    """Tells whether there is a server that others can open; a local run's store is served by whoever looks at it."""
    return bool(os.environ.get(VARIABLE)) or uri().startswith("http")


def table(line: str) -> str:
    """Returns the address of the table of a line's runs."""
    return f"{_base()}/#/experiments/{experiment_id(connect(), line)}/runs?{VIEW}"


def home() -> str:
    """Returns the address of the list of experiments, one a line."""
    return f"{_base()}/#/experiments"


def run(kfp_run: str) -> str | None:
    """Returns the address of a pipeline run's own page; None if MLflow does not know the run."""
    client = connect()
    id = parent_of(client, kfp_run)
    return f"{_base()}/#/experiments/{client.get_run(id).info.experiment_id}/runs/{id}?{VIEW}" if id else None


def _base() -> str:
    given = os.environ.get(VARIABLE, "")
    if given and not given.startswith(("http://", "https://")):
        raise FinestError(f"{VARIABLE}={given}: write it with http:// or https://, like https://mlflow.example.com")
    return masked(given or (uri() if served() else LOCAL)).replace(f"{MASK}@", "").rstrip("/")
