"""Examples for people: lists that moved most and typical ones, to see what a number of RLS means to a user."""

from typing import Any

import numpy as np

from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.measure import Measured
from finest.gate.rls import Compared
from finest.gate.verdict import Example
from finest.metrics.overlaps import HEAD


def examples(evidence: Evidence, measured: Measured, count: int = 3) -> list[Example]:
    """Returns lists of users.

    They are the `count` users with the lowest rbo between clean variant and a probe with FINEST, as many without it,
    and one whose rbo with FINEST is the median; then, where there is a champion, the user with the lowest rbo between
    champion and candidate, and another one with the median. A user is there with the worst instance and probe. Ties go
    to the earlier scenario, then to the earlier instance.
    """
    names = np.array(list(evidence.vocabulary), dtype=object)
    found: list[Example] = []
    for why, stage in (("with", "tuned"), ("without", "base"), ("typical", "tuned")):
        probes = [probe for probe in measured.probes if stage in probe.values]
        if not probes:
            continue
        values = np.stack([probe.values[stage]["rbo"] for probe in probes])
        flat = _typical(values)[:1] if why == "typical" else np.argsort(values, axis=None, kind="stable")
        probe_of, row_of = np.divmod(flat, values.shape[1])
        _, first = np.unique(evidence.codes[row_of], return_index=True)
        for place in np.sort(first)[:count]:
            found.append(_moved(evidence, probes[int(probe_of[place])], int(row_of[place]), names, why))
    return [*found, *_champion(evidence, measured, names)]


def _champion(evidence: Evidence, measured: Measured, names: np.ndarray) -> list[Example]:
    """Returns a user whose list the candidate changes most, and one whom it changes as it does most users."""
    champion = measured.models.get("champion")
    if champion is None:
        return []
    rbo = measured.pairs.values(evidence.candidate, champion)["rbo"]
    most = int(np.argmin(rbo))
    others = (int(place) for place in _typical(rbo) if evidence.user[place] != evidence.user[most])
    chosen = [("champion", most), *(("typical champion", row) for row in list(others)[:1])]
    return [
        Example.model_validate(
            {
                **_about(evidence, row),
                "why": why,
                "scenario": "",
                "rbo": float(rbo[row]),
                "rbo_base": None,
                "before": _head(champion, row, names),
                "after": _head(evidence.candidate, row, names),
                "before_base": [],
                "after_base": [],
            }
        )
        for why, row in chosen
    ]


def _typical(values: np.ndarray) -> np.ndarray:
    """Returns places in the flat array, that nearest to the (lower) median first."""
    middle = np.quantile(values, 0.5, method="lower")
    return np.argsort(np.abs(values - middle), axis=None, kind="stable")


def _moved(evidence: Evidence, compared: Compared, row: int, names: np.ndarray, why: str) -> Example:
    """Returns an instance's lists before and after the edits of a probe, with FINEST and, where known, without."""

    def heads(stage: str) -> tuple[list[str], list[str]]:
        listed = compared.pairs.get(stage)
        return (_head(listed[0], row, names), _head(listed[1], row, names)) if listed else ([], [])

    (before, after), (before_base, after_base) = heads("tuned"), heads("base")
    return Example.model_validate(
        {
            **_about(evidence, row),
            "why": why,
            "scenario": compared.name,
            "rbo": float(compared.values["tuned"]["rbo"][row]),
            "rbo_base": float(compared.values["base"]["rbo"][row]) if "base" in compared.values else None,
            "before": before,
            "after": after,
            "before_base": before_base,
            "after_base": after_base,
        }
    )


def _about(evidence: Evidence, row: int) -> dict[str, Any]:
    return {
        "user": str(evidence.user[row]),
        "position": int(evidence.position[row]),
        "target": str(evidence.target[row]),
    }


def _head(listed: Listed, row: int, names: np.ndarray) -> list[str]:
    """Returns the ids of an instance's top 10."""
    codes = listed.items[row, :HEAD]
    return [str(name) for name in names[codes[codes >= 0]]]
