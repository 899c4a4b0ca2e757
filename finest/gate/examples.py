"""Examples for people: the instances whose lists moved most, to see what a number of RLS means to a user."""

import numpy as np

from finest.gate.evidence import Evidence, Listed
from finest.gate.measure import Measured
from finest.gate.verdict import Example
from finest.metrics.overlaps import HEAD


def examples(evidence: Evidence, measured: Measured, count: int = 6) -> list[Example]:
    """Returns the `count` users with the lowest rbo between clean variant and a probe, with FINEST.

    Each user is there with the worst instance and probe. Ties go to the earlier scenario, then to the earlier instance.
    """
    if not measured.probes:
        return []
    values = np.stack([probe.values["tuned"]["rbo"] for probe in measured.probes])
    probe, instance = np.divmod(np.argsort(values, axis=None, kind="stable"), values.shape[1])
    _, first = np.unique(evidence.codes[instance], return_index=True)
    names = np.array(list(evidence.vocabulary), dtype=object)
    result = []
    for place in np.sort(first)[:count]:
        row, compared = int(instance[place]), measured.probes[int(probe[place])]
        tuned = [
            evidence.clean(compared.group, "tuned"),
            evidence.find("probe", compared.name, "tuned", compared.group),
        ]
        base = []
        if "base" in compared.values:
            base = [
                evidence.clean(compared.group, "base"),
                evidence.find("probe", compared.name, "base", compared.group),
            ]
        before, after, *rest = [_head(listed, row, names) for listed in (*tuned, *base) if listed is not None]
        before_base, after_base = rest or ([], [])
        result.append(
            Example(
                user=str(evidence.user[row]),
                position=int(evidence.position[row]),
                target=str(evidence.target[row]),
                scenario=compared.name,
                rbo=float(compared.values["tuned"]["rbo"][row]),
                rbo_base=float(compared.values["base"]["rbo"][row]) if base else None,
                before=before,
                after=after,
                before_base=before_base,
                after_base=after_base,
            )
        )
    return result


def _head(listed: Listed, row: int, names: np.ndarray) -> list[str]:
    """Returns the ids of an instance's top 10."""
    codes = listed.items[row, :HEAD]
    return [str(name) for name in names[codes[codes >= 0]]]
