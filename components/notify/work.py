"""The end of a run, whatever came of it. Nothing here may fail the run: each part is tried and its failure logged."""

import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from components import failures
from components.checkpoints import forget
from components.notify.config import Notify
from components.step import one_line
from finest.errors import FinestError
from tracking.runs import Outcome, close_parent, kfp_run_id, outcome
from tracking.store import check

logger = logging.getLogger(__name__)

ENDED_WELL = ("SUCCEEDED", "COMPLETE")
"""What kfp.local and a backend call a run without a failed step."""


def finish(config: Notify, registered_model: str, checkpoints: str, state: str) -> None:
    """Ends the run in MLflow, posts the verdict, removes the checkpoints that led to it. `state` is KFP's word for the run."""
    attempt("removing marks of failures", lambda: failures.forget(checkpoints))
    if not attempt("MLflow", check):
        return
    found = outcome(kfp_run_id(), registered_model)
    attempt("closing the run in MLflow", lambda: close_parent("FINISHED" if state in ENDED_WELL and not found.failed_step else "FAILED"))
    if url := os.environ.get(config.webhook_variable):
        attempt("the webhook", lambda: post(url, message(found, state), config.timeout_seconds))
    if found.verdict and not found.failed_step:
        attempt("removing checkpoints", lambda: forget(checkpoints))


def message(found: Outcome, state: str) -> dict[str, Any]:
    """What the webhook gets. `text` alone is what chat services show."""
    said = f"failed in {found.failed_step}: {found.error}" if found.failed_step else f"verdict {found.verdict or 'none'}"
    promoted = f", promoted as version {found.promoted_version}" if found.promoted_version else ""
    return {
        "text": f"FINEST run {kfp_run_id()}: {said}{promoted}",
        "run": kfp_run_id(), "state": state, "verdict": found.verdict, "failed_step": found.failed_step, "error": found.error,
        "promoted_version": found.promoted_version,
    }  # fmt: skip


def post(url: str, content: dict[str, Any], seconds: float) -> None:
    """Sends JSON. Its errors never name the URL, which is a secret."""
    try:
        request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=seconds):
            pass
    except urllib.error.HTTPError as error:
        raise FinestError(f"it answered {error.code}") from None
    except (OSError, ValueError) as error:
        raise FinestError(f"no answer ({type(error).__name__})") from None


def attempt(what: str, work: Callable[[], object]) -> bool:
    """Whether `work` ended well; why not goes to the log."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - an exit handler that raises fails a run that has its verdict
        logger.warning("notify: %s failed: %s", what, one_line(error))
        return False
    return True
