"""From rank lists to a verdict."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from finest.gate.config import Gate
from finest.gate.evidence import Evidence, read
from finest.gate.flat import flatten
from finest.gate.measure import Measured, measure
from finest.gate.moved import moved
from finest.gate.notes import notes
from finest.gate.rls import scenario_result
from finest.gate.rules import RULES
from finest.gate.verdict import RuleResult, Verdict

GIVEN = "given shared references"
NOT_STATED = "not stated"


def judge(
    folders: list[Path],
    config: Gate,
    seed: int,
    *,
    data: Path | None = None,
    as_of: datetime | None = None,
    cost: dict[str, Any] | None = None,
    ids: dict[str, Any] | None = None,
) -> Verdict:
    """Judges all rank lists below `folders`; needs no model and no GPU.

    `seed` keys the bootstrap. `data`, the folder that ingest wrote, adds popularity and the data's age at `as_of` (with a time zone).
    `cost` and `ids` are handed on. But for them and `age`, equal input gives an equal verdict, bit for bit.

    Raises:
        DataError: rank lists that do not belong together, or not all that the configured rules need.
    """
    evidence = read(folders, config)
    measured = measure(evidence, config, seed, data, as_of)
    results = [result for rule in dict.fromkeys(config.rules) for result in RULES[rule](evidence, measured, config)]
    passed, reason = _decision(results)
    flat = {name: value for name, value in flatten(measured).items() if np.isfinite(value)}
    return Verdict(
        verdict="pass" if passed else "fail",
        reason=reason,
        protocol=evidence.protocol or NOT_STATED,
        given=GIVEN if evidence.protocol == "anchored" else "",
        reference=evidence.reference,
        rules=results,
        scenarios=[scenario_result(compared) for compared in (*measured.probes, *measured.controls)],
        accuracy=list(measured.accuracy.values()),
        metrics={**flat, "gate/passed": float(passed)},
        moved=moved(evidence, measured),
        notes=notes(evidence, measured, config),
        data=_data(evidence, measured, seed),
        cost=cost or {},
        age=_age(measured, as_of),
        ids=ids or {},
    )


def _decision(results: list[RuleResult]) -> tuple[bool, str]:
    failed = [result for result in results if result.status == "fail"]
    held = [result for result in results if result.status == "pass"]
    if failed:
        rest = f" ({len(failed) - 1} more did not hold)" if len(failed) > 1 else ""
        option = f" [{failed[0].option}]" if failed[0].option else ""
        return False, f"{failed[0].name}{option}: {failed[0].sentence}{rest}"
    if not held:
        return False, "No rule is configured, and nothing passes without one: set gate.rules."
    absent = len(results) - len(held)
    return True, f"All {len(held)} checks hold" + (f"; {absent} do not apply." if absent else ".")


def _data(evidence: Evidence, measured: Measured, seed: int) -> dict[str, Any]:
    description = evidence.candidate.description
    return {
        "fingerprint": measured.fingerprint,
        "instances": len(evidence.user),
        "users": int(evidence.codes[-1]) + 1,
        "catalogue": description.catalogue.items,
        "depth": description.depth,
        "exclude_seen": description.exclude_seen,
        "model": description.model,
        "seed": description.seed,
        "bootstrap_seed": seed,
    }


def _age(measured: Measured, as_of: datetime | None) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat() if as_of else None,
        "newest_training_interaction": measured.newest.isoformat() if measured.newest else None,
        "hours": measured.age_hours,
    }
