"""The nights of a line: tonight's entry, and a file of past ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from finest.documents import fault
from finest.errors import DataError
from finest.gate.config import Gate, digest
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.statistic import Statistic, quantile
from finest.gate.verdict import Night, RuleResult
from finest.gate.verdict_file import finite
from finest.metrics.accuracy import reciprocal_rank

CONTROLS = ("rounding", "seed")
"""Controls that are equal trainings of the same data."""
FAR = 0.999
"""Confidence at which a standard error of few degrees of freedom is taken for a normal's with the same margin."""


def entry(evidence: Evidence, measured: Measured, config: Gate, ids: dict[str, Any], as_of: str) -> Night:
    """Returns tonight's entry, as long as there is no verdict: a pass, and no alarm."""
    newer, candidate = measured.newer, evidence.candidate
    enough = newer is not None and newer.candidate.users >= config.min_users
    ratio = _log(newer.candidate / newer.champion) if newer is not None and enough else None
    return Night(
        run=ids.get("run") or candidate.digest,
        as_of=as_of,
        verdict="pass",
        champion=ids.get("champion") or "",
        fingerprint=measured.fingerprint,
        log_ratio=ratio and ratio[0],
        standard_error=ratio and ratio[1],
        noise=_noise(evidence, measured),
        training_noise={
            f"{stage}/{name}": (error.standard, error.degrees)
            for stage, found in measured.noise.items()
            for name, error in found.items()
        },
        accuracy=finite(measured.mrr["candidate"].value),
        seed=candidate.description.seed,
        config=digest(config),
        candidate=candidate.digest,
    )


def ended(night: Night, verdict: Literal["pass", "fail"], results: Sequence[RuleResult]) -> Night:
    """Returns a night's entry with what came of it.

    What its controls say of the noise of training is left out where `sanity` failed: they may be what was wrong. Any
    other refused night keeps it: nights with much noise are refused more often, so those that pass say too little.
    """
    failed = {result.rule for result in results if result.status == "fail"}
    known: dict[str, Any] = {"noise": None, "training_noise": {}} if "sanity" in failed else {}
    return night.model_copy(update={"verdict": verdict, "alarm": "trend" in failed, **known})


def read_history(path: Path) -> list[Night]:
    """Reads a JSON list of nights, oldest first, each as `night` of a verdict.json.

    Raises:
        DataError: There is no such file, or it holds something else.
    """
    try:
        return TypeAdapter(list[Night]).validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: the history cannot be read ({error.strerror}); give a JSON list of nights") from error
    except ValidationError as error:
        raise DataError(
            f"{path}: no history of nights: {fault(error)}; give a JSON list of what verdict.json has as `night`, "
            "oldest first"
        ) from error


def _log(ratio: Statistic) -> tuple[float, float] | None:
    """Returns the log of a ratio and its standard error; None where they are not finite."""
    if not (ratio.value > 0 and np.isfinite(ratio.standard_error)):
        return None
    found = float(np.log(ratio.value)), ratio.error.margin(FAR) / quantile(FAR, np.inf) / ratio.value
    return found if np.isfinite(found).all() else None


def _noise(evidence: Evidence, measured: Measured) -> float | None:
    """Returns the variance of log MRR between equal trainings: half the mean square of the controls' log ratio.

    What sampling adds to it is taken off, so that a night's may be negative. None without such a control.
    """
    clean = evidence.candidate
    others = [there for name in CONTROLS if (there := evidence.find("control", name, "tuned", clean.description.group))]
    if not others:
        return None
    own, *rest = measured.by_user.means([reciprocal_rank(one.target_rank) for one in (clean, *others)])
    logs = [found for other in rest if (found := _log(other / own))]
    return float(np.mean([value**2 - error**2 for value, error in logs])) / 2 if logs else None


def as_line(night: Night) -> str:
    """Returns a night as JSON on one line."""
    return json.dumps(night.model_dump(mode="json"), sort_keys=True, allow_nan=False)
