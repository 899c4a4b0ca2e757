"""Asks Kubeflow Pipelines' API about the run that a step belongs to. A local run has no backend."""

import json
import logging
import os
import re
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from components import events
from finest import causes, patience
from finest.errors import UnavailableError
from tracking.runs import kfp_run_id

HOST = "KFP_HOST"
"""Environment variable: the API's address, where it is not the usual one."""
IN_CLUSTER_HOST = "http://ml-pipeline.kubeflow.svc:8888"
"""The API's usual address."""
SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"
"""File where pods that may use the API have a token for it (audience pipelines.kubeflow.org)."""
LONGEST_SECONDS = 120.0
"""Longest time that the API may be away: its answer is worth no more waiting."""
ANSWER_SECONDS = 30.0
"""Longest time that an answer may take."""
CANCELLED = ("CANCELING", "CANCELED")
"""States of a run that somebody has cancelled."""

logger = logging.getLogger(__name__)


class Record(NamedTuple):
    """Holds a run as the backend has it."""

    scheduled_at: str
    """The schedule's own time, or that of creation where nothing schedules the run; empty where the backend does not
    say."""
    cancelled: bool
    """Whether somebody has asked for its end, whatever it is called since."""


def record() -> Record | None:
    """Returns this run's record; None in a local run, and where the API does not give it: the log then says why."""
    if events.VARIABLE in os.environ:
        return None
    host = (os.environ.get(HOST) or IN_CLUSTER_HOST).rstrip("/")
    try:
        with patience.at_most(LONGEST_SECONDS):
            said = patience.patiently(
                f"Kubeflow Pipelines at {causes.host_and_port(host)}", lambda: _ask(host), partial(_passing, host)
            )
    except (OSError, ValueError, UnavailableError) as error:
        logger.warning(
            "Kubeflow Pipelines did not say when this run was scheduled and whether it is cancelled: %s",
            _why(error, host),
        )
        return None
    states = [one.get("state") for one in said.get("state_history") or []] + [said.get("state")]
    scheduled = str(said.get("scheduled_at") or "")
    return Record(scheduled if re.match("20[0-9]{2}-", scheduled) else "", any(state in CANCELLED for state in states))


def _ask(host: str) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    if Path(SERVICE_ACCOUNT_TOKEN).exists():
        headers["Authorization"] = f"Bearer {Path(SERVICE_ACCOUNT_TOKEN).read_text().strip()}"
    request = urllib.request.Request(f"{host}/apis/v2beta1/runs/{kfp_run_id()}", headers=headers)
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        said = json.load(answer)
    if not isinstance(said, dict):
        raise ValueError("no run is in its answer")
    return said


def _passing(host: str, error: BaseException) -> str | None:
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers {error.code}" if error.code >= 500 or error.code == 429 else None
    return causes.find(error, host).words if isinstance(error, OSError) else None


def _why(error: Exception, host: str) -> str:
    if isinstance(error, urllib.error.HTTPError):
        more = ", since this account may not read runs" if error.code in (401, 403) else ""
        return f"it answers {error.code}{more}"
    if isinstance(error, OSError):
        return (
            f"{causes.find(error, host).words}; where it has another address, say {HOST} in the ConfigMap of endpoints"
        )
    return str(error)
