"""Describes a run in MLflow: its config as params, the code that it ran, a name for its source."""

import json
import logging
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finest.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

LONGEST = 100
"""Number of characters of a source's name that names of runs have: MLflow's databases take 250 for all of it."""
CUT = "..."


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns nested plain data as params: names joined by dots, lists of sections as compact JSON.

    >>> flattened({"gate": {"rules": ["gain"], "draws": 2}, "seed": None})
    {'gate.rules': 'gain', 'gate.draws': '2', 'seed': ''}
    """
    result: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            result |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            nested = any(isinstance(part, (Mapping, list, tuple)) for part in value)
            result[prefix + key] = json.dumps(value, separators=(",", ":")) if nested else ", ".join(map(str, value))
        else:
            result[prefix + key] = "" if value is None else str(value)
    return result


def log_tags(client: "MlflowClient", run: str, tags: Mapping[str, object]) -> None:
    """Sets tags of a run, in one request."""
    from mlflow.entities import RunTag

    client.log_batch(run, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def log_params(client: "MlflowClient", run: str, params: Mapping[str, str]) -> None:
    """Logs params that the run lacks: MLflow refuses to change one, and a retried step logs them again.

    One that is longer than MLflow takes is cut, which its end and the log say.
    """
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

    there = client.get_run(run).data.params
    new = [Param(key, cut(value, MAX_PARAM_VAL_LENGTH)) for key, value in params.items() if key not in there]
    if long := [param.key for param in new if len(params[param.key]) > MAX_PARAM_VAL_LENGTH]:
        logger.warning("MLflow keeps %d characters of a param; cut are %s", MAX_PARAM_VAL_LENGTH, ", ".join(long))
    for first in range(0, len(new), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run, params=new[first : first + MAX_PARAMS_TAGS_PER_BATCH])


def cut(text: str, length: int) -> str:
    """Returns a text of so many characters at most, whose end says where something is missing.

    >>> cut("abcdef", 6), cut("abcdef", 5)
    ('abcdef', 'ab...')
    """
    return text if len(text) <= length else text[: length - len(CUT)] + CUT


def short_name(source: str) -> str:
    """Returns a name for the source in run names: the last part of its path or URI, without the suffix, cut."""
    return cut(re.sub(r"\.[a-z]+$", "", last_part(source)), LONGEST)


def last_part(source: str) -> str:
    """Returns the last part of a path or URI, without secrets."""
    return masked(source).rstrip("/").rsplit("/", 1)[-1]


def code_tags() -> dict[str, str]:
    """Returns tags that say what code runs.

    In a checkout that is its commit; in an image GIT_COMMIT and IMAGE_DIGEST say it.
    """
    commit, plus, _ = os.environ.get("GIT_COMMIT", "").partition("+")
    changed = bool(plus)
    here = Path(__file__).parent
    if not commit and (here.parent / ".git").exists():
        try:
            commit = subprocess.run(
                ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
            ).stdout.strip()
            status = subprocess.run(
                ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True
            ).stdout
            changed = bool(status.strip())
        except (OSError, subprocess.CalledProcessError):
            commit = ""
    return {
        "git_commit": commit + ("+changes" if changed else ""),
        "mlflow.source.git.commit": commit,
        "image_digest": os.environ.get("IMAGE_DIGEST", ""),
    }
