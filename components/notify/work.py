"""Ends a run, whatever came of it. Nothing here may fail the run: each part is tried and its failure logged."""

import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from components import backend, failures, pods
from components.checkpoints import forget
from components.notify.config import Notify
from finest import patience
from finest.errors import FinestError, UnavailableError, one_line
from finest.report.form import churn
from finest.secrets import hide_variable, masked_all
from tracking import closing, links
from tracking.answer import check
from tracking.outcome import Outcome, outcome
from tracking.runs import kfp_run_id

logger = logging.getLogger(__name__)

ENDED_WELL = ("SUCCEEDED", "COMPLETE")
"""Words of kfp.local and of a backend for a run without a failed step."""
LONGEST_SECONDS = 120.0
"""Longest time that the webhook may be away."""


def finish(config: Notify, line: str, checkpoints: str, state: str) -> None:
    """Ends the run in MLflow, posts the verdict, and removes the checkpoints that led to it.

    Args:
        config: Who hears of the verdict.
        line: Name of the line.
        checkpoints: Folder or URI of the checkpoints.
        state: KFP's word for what became of the run.
    """
    attempt("removing marks of failures", lambda: failures.forget(checkpoints))
    recorded = None if state in ENDED_WELL else backend.record()
    cancelled = recorded is not None and recorded.cancelled
    found, page = None, ""

    def close() -> None:
        nonlocal found, page
        check(line)
        closing.close_steps(lambda step, group: "cancelled" if cancelled else pods.explained(step, group))
        found = outcome(kfp_run_id(), line)
        well = state in ENDED_WELL and not found.failed_step
        closing.close_parent("KILLED" if cancelled else "FINISHED" if well else "FAILED")
        page = (links.served() and links.run(kfp_run_id())) or ""

    attempt("closing the run in MLflow", close)
    hide_variable(config.webhook_variable)
    if url := os.environ.get(config.webhook_variable):
        attempt("the webhook", lambda: tell(url, message(line, found, state, cancelled, page), config.timeout_seconds))
    if found and found.verdict and not found.failed_step:
        attempt("removing checkpoints", lambda: forget(checkpoints))


def message(line: str, found: Outcome | None, state: str, cancelled: bool = False, page: str = "") -> dict[str, Any]:
    """Returns what the webhook gets; chat services show `text` alone.

    Args:
        line: Name of the line.
        found: What came of the run; None where MLflow could not say.
        state: KFP's word for what became of the run.
        cancelled: Whether somebody has cancelled it.
        page: Address of the run's page in MLflow; empty where there is none.
    """
    verdict, failed, error, promoted, metrics, awaiting, unapproved = found or Outcome(None, None, None, None)
    if cancelled:
        said, failed, error = "cancelled" + (f", verdict {verdict}" if verdict else ""), None, None
    elif found is None:
        said = f"ended {state}; its verdict is not known here, since MLflow did not answer"
    else:
        said = f"failed in {failed}: {error}" if failed else f"verdict {verdict or 'none'}"
    said += f", promoted as version {promoted}" if promoted else ""
    said += f"; {awaiting.said if awaiting else unapproved}" if awaiting or unapproved else ""
    change = churn(metrics) if verdict in ("pass", "fail", "suspicious") else ""
    return {
        "text": " ".join(
            filter(None, [f"FINEST {line}, run {kfp_run_id()}: {said}{f'. {change}' if change else ''}", page])
        ),
        "line": line,
        "run": kfp_run_id(),
        "state": "CANCELLED" if cancelled else state,
        "verdict": verdict,
        "churn": metrics.get("churn/rbo"),
        "failed_step": failed,
        "error": error,
        "promoted_version": promoted,
        "awaiting": awaiting and awaiting.facts(),
        "page": page or None,
    }


def tell(url: str, content: dict[str, Any], seconds: float) -> None:
    """Posts the content, and waits where the webhook does not answer: a pod's network may open late.

    Args:
        url: The webhook.
        content: What it gets, as JSON.
        seconds: How long one try may take.
    """

    def passing(error: BaseException) -> str | None:
        return str(error) if isinstance(error, UnavailableError) else None

    with patience.at_most(LONGEST_SECONDS):
        patience.patiently("the webhook", lambda: post(url, content, seconds), passing)


def post(url: str, content: dict[str, Any], seconds: float) -> None:
    """Sends the content as JSON, once. Its errors never name the URL, which is a secret."""
    try:
        request = urllib.request.Request(
            url, json.dumps(masked_all(content)).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=seconds):
            pass
    except urllib.error.HTTPError as error:
        kind = UnavailableError if error.code >= 500 or error.code == 429 else FinestError
        raise kind(f"it answered {error.code}") from None
    except OSError as error:
        raise UnavailableError(f"no answer ({type(error).__name__})") from None
    except ValueError as error:
        raise FinestError(f"no answer ({type(error).__name__})") from None


def attempt(what: str, work: Callable[[], object]) -> bool:
    """Does the work and tells whether it ended well; why it did not goes to the log."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - an exit handler that raises fails a run that has its verdict
        logger.warning("notify: %s failed: %s", what, one_line(error))
        return False
    return True
