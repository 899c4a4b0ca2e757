"""The noise of training, measured in the run itself: what another clean training, equal but for rounding, would change.

All probes are compared with one clean training, so what that one happened to become moves all their RLS alike, and
neither their spread nor the choice of users shows it. The control `rounding`, and further groups' clean variants where
their hardware rounds otherwise, are clean trainings too: the RLS of the same probes against each are draws of it. One
pair is one draw, so a first night's bounds are wide; the nights of a line pool theirs.
"""

from collections.abc import Sequence

import numpy as np

from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.rls import HEADLINE, Pairs, same
from finest.gate.statistic import Error, Floats
from finest.gate.verdict import Night

Noise = dict[str, dict[str, Error]]
"""By stage (`tuned`, `base`, `network`; `gain`: tuned less base), then similarity: standard deviation of a mean RLS
from one clean training to another, and the degrees of freedom that it was measured with."""


def training_noise(evidence: Evidence, pairs: Pairs) -> Noise:
    """Returns the noise that the lists show; of a stage without a second clean training, nothing.

    `gain` is that of RLS with FINEST less RLS without.
    """
    means = {stage: _means(evidence, stage, pairs) for stage in ("tuned", "base", "network")}
    if means["tuned"].shape == means["base"].shape:
        means["gain"] = means["tuned"] - means["base"]
    return {
        stage: {
            name: Error(float(sd), len(rls) - 1) for name, sd in zip(HEADLINE, np.std(rls, axis=0, ddof=1), strict=True)
        }
        for stage, rls in means.items()
        if len(rls) > 1
    }


def pooled(noise: Noise, history: Sequence[Night]) -> Noise:
    """Returns tonight's noise with that of earlier nights of the line: the variances' mean, by degrees of freedom."""
    nights = [night.training_noise for night in history]
    return {
        stage: {
            name: _pool([(error.standard, error.degrees), *_known(nights, f"{stage}/{name}")])
            for name, error in found.items()
        }
        for stage, found in noise.items()
    }


def _known(nights: list[dict[str, tuple[float, float]]], name: str) -> list[tuple[float, float]]:
    return [night[name] for night in nights if name in night]


def _pool(found: list[tuple[float, float]]) -> Error:
    degrees = sum(each for _, each in found)
    return Error(float(np.sqrt(sum(each * standard**2 for standard, each in found) / degrees)), degrees)


def _means(evidence: Evidence, stage: str, pairs: Pairs) -> Floats:
    """Returns the mean RLS of all probes against every clean training [C, 2], by each of the gated similarities."""
    clean = evidence.find("clean", None, stage, evidence.group)
    probes = [evidence.find("probe", name, stage, group) for group, name in evidence.variants("probe")]
    groups = [evidence.find("clean", None, stage, group) for group in evidence.groups[1:]]
    # Hardware that rounds alike trains the same model once more. The control that is the same shows that nothing moves:
    # counts alone know no rounding (a copy of a network's lists is the check sanity.copies' to refuse).
    others = [one for one in groups if one is not None and clean is not None and not same(clean, one)]
    given = [probe for probe in probes if probe is not None]
    if clean is None or not given:
        return np.empty((0, len(HEADLINE)))
    rounding = evidence.find("control", "rounding", stage)
    again = [*others, *([] if rounding is None else [rounding])]
    return np.array([_rls(each, given, pairs) for each in (clean, *again)])


def _rls(clean: Listed, probes: list[Listed], pairs: Pairs) -> list[float]:
    """Returns the mean RLS of all probes against one clean training, by each of the gated similarities."""
    levels = [pairs.levels(clean, probe) for probe in probes]
    return [float(np.mean([level[place] for level in levels])) for place in range(len(HEADLINE))]
