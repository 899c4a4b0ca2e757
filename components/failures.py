"""Keeps a step from repeating what cannot end differently.

Retries belong to a task, not to a kind of error, so the first attempt leaves a mark.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import storage
from components import events
from finest.errors import BrokenGateError, ConfigError, DataError, FinestError, OutOfMemoryError
from tracking.runs import kfp_run_id

logger = logging.getLogger(__name__)

FINAL = {error.__name__: error for error in (BrokenGateError, ConfigError, DataError, OutOfMemoryError)}
"""Errors of what a step was given, memory included, which a retry is given again."""


@contextmanager
def failing_once(checkpoints: str, step: str, group: str | None) -> Iterator[None]:
    """Runs an attempt. Raises what an earlier attempt of the step in this pipeline run raised, if that was final.

    The marks lie among the checkpoints, until the run is over. Without `checkpoints` there are none, nor in a local
    run, which has no retries.

    Args:
        checkpoints: Folder or URI of the checkpoints; empty for none.
        step: Name of the step.
        group: Id of the group that it trains, if any.
    """
    if not checkpoints or events.VARIABLE in os.environ:
        yield
        return
    store, mark = storage.checkpoint_store(checkpoints), _marks() + (step if group is None else f"{step}-{group}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mark")
        if store.get(mark, file):
            if (known := _known(file)) is not None:
                raise known
            logger.warning(
                "the mark %s of an earlier attempt is damaged; it is removed, and the step tries again", mark
            )
            store.delete(mark)
        try:
            yield
        except tuple(FINAL.values()) as error:
            file.write_text(json.dumps({"kind": type(error).__name__, "line": str(error)}))
            try:
                store.put(mark, file)
            except Exception as away:  # noqa: BLE001 - the step's own error is what the user must hear
                logger.warning(
                    "the next attempts will fail like this one, since no mark could be left in %s: %s",
                    checkpoints,
                    away,
                )
            raise


def _known(file: Path) -> FinestError | None:
    """Returns the error that a mark tells of; None where it cannot be read."""
    try:
        known = json.loads(file.read_bytes())
        return FINAL[known["kind"]](known["line"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def forget(checkpoints: str) -> None:
    """Removes the marks of this pipeline run, so that it can be retried by hand once what it was given has changed."""
    if checkpoints:
        storage.checkpoint_store(checkpoints).delete(_marks())


def _marks() -> str:
    return f"failures/{kfp_run_id()}/"
