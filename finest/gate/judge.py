"""From rank lists to a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from finest.data.compared import Compared
from finest.data.schema import Manifest
from finest.gate.checks import check, needs
from finest.gate.config import Gate
from finest.gate.evidence import Evidence, read_evidence
from finest.gate.examples import examples
from finest.gate.harm import parts
from finest.gate.history import ended, entry
from finest.gate.measure import Measured, measure
from finest.gate.monitor import attempts, confidence_of_attempt, follow, others
from finest.gate.noise import pooled
from finest.gate.notes import notes, notes_on_data
from finest.gate.rls import scenario_result
from finest.gate.selftest import self_test, self_tested
from finest.gate.statistic import CONFIDENCE, sure
from finest.gate.verdict import Night, Served, Verdict
from finest.gate.verdict_file import counts, decision
from finest.gate.verdict_metrics import verdict_metrics

GIVEN = "given shared references"
NOT_STATED = "not stated"
DROPS = 3
"""Declines of a third of what one night may lose are looked for first, larger and smaller ones too."""


def judge(
    folders: list[Path],
    config: Gate,
    *,
    data: Path | None = None,
    as_of: datetime | None = None,
    cost: dict[str, Any] | None = None,
    ids: dict[str, Any] | None = None,
    served: Served | None = None,
    said: str = "",
    history: Sequence[Night] = (),
    compared: Compared | None = None,
) -> Verdict:
    """Judges all rank lists below `folders`; needs no model and no GPU.

    Equal input gives an equal verdict, bit for bit, but for `cost`, `age`, `ids` and what `night` has of them.

    Args:
        folders: Folders of the rank lists.
        config: The rules and their bounds.
        data: Folder that ingest wrote, which adds item popularity and the age of the data.
        as_of: The moment that the age counts from, with a time zone.
        cost: What the trainings cost; handed on to the verdict.
        ids: Ids of the run; handed on to the verdict.
        served: What the candidate is served with, where that was chosen.
        said: Sentences on what is judged, which become the first note.
        history: The line's past nights, oldest first; those of this run, and of this attempt, are passed
            over.
        compared: The data beside that of the line's last nights.

    Raises:
        DataError: Rank lists do not belong together, or are not all that the configured rules need.
    """
    evidence = read_evidence(folders, needs(config))
    measured = measure(evidence, config.min_segment_users, data, as_of)
    tonight = entry(evidence, measured, config, ids or {}, as_of.isoformat() if as_of else "")
    past = others(history, tonight)
    attempt = attempts(past, tonight)
    confidence = confidence_of_attempt(attempt)
    if attempt > 1:
        measured = measure(evidence, config.min_segment_users, data, as_of, confidence)

    def followed(found: Measured, night: Night) -> Measured:
        if not past:
            return found
        drop = config.max_accuracy_drop_champion / DROPS
        return replace(found, noise=pooled(found.noise, past), trend=follow(past, night, drop))

    def again(of: Evidence, known: Measured | None) -> Measured:
        found = measure(of, config.min_segment_users, data, as_of, confidence, known)
        return followed(found, entry(of, found, config, ids or {}, tonight.as_of))

    measured = followed(measured, tonight)
    results = check(evidence, measured, config)
    trials = self_test(evidence, measured, config, again) if config.self_test and results else []
    word, reason = decision(results, trials)
    night = None if word == "broken" else ended(tonight, "pass" if word == "pass" else "fail", results)
    metrics = {name: value for name, value in verdict_metrics(measured).items() if np.isfinite(value)}
    return Verdict(
        verdict=word,
        reason=reason,
        protocol=evidence.protocol or NOT_STATED,
        given=GIVEN if evidence.protocol == "anchored" else "",
        reference=evidence.reference,
        rules=results,
        scenarios=[scenario_result(compared) for compared in (*measured.probes, *measured.controls)],
        accuracy=list(measured.accuracy.values()),
        segments=parts(measured, config),
        metrics={
            **metrics,
            **(served.metrics if served else {}),
            **counts(trials),
            **(compared.metrics if compared else {}),
            "gate/passed": float(word == "pass"),
        },
        served=served,
        moved=examples(evidence, measured),
        notes=[
            *([said] if said else []),
            *_attempt(attempt),
            *notes(evidence, measured, config),
            *(compared.notes() if compared else ()),
            *self_tested(trials, len(evidence.user)),
        ],
        selftest=trials,
        data={**_data(evidence, measured), "attempt": attempt},
        cost=cost or {},
        age=_age(measured, as_of),
        ids=ids or {},
        night=night,
        compared=compared,
    )


def skipped(
    reason: str, manifest: Manifest, as_of: datetime, ids: dict[str, Any], compared: Compared | None = None
) -> Verdict:
    """Returns the verdict of a run that ends before it trains: `skipped`, the reason, and what is known of the data."""
    return Verdict(
        verdict="skipped",
        reason=reason,
        protocol="none",
        given="",
        reference="none",
        metrics=compared.metrics if compared else {},
        notes=[*notes_on_data(manifest), *(compared.notes() if compared else ())],
        data={
            "fingerprint": manifest.fingerprint,
            "instances": manifest.instances,
            "users": manifest.users,
            "catalogue": manifest.items,
        },
        age={"as_of": as_of.isoformat()},
        ids=ids,
        compared=compared,
    )


def _attempt(attempt: int) -> list[str]:
    if attempt == 1:
        return []
    return [
        f"This is attempt {attempt} on this data: {attempt - 1} other candidates were refused on it. Its bounds have "
        f"{sure(confidence_of_attempt(attempt))} confidence in place of {sure(CONFIDENCE)}, so that trying again and "
        "again does not pass by chance."
    ]


def _data(evidence: Evidence, measured: Measured) -> dict[str, Any]:
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
    }


def _age(measured: Measured, as_of: datetime | None) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat() if as_of else None,
        "newest_training_interaction": measured.newest.isoformat() if measured.newest else None,
        "hours": measured.age_hours,
    }
