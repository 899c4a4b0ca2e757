"""Rank list stability: every probe and control against the clean variant of its own group, with FINEST and without."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.statistic import CONFIDENCE, Error, Floats, Statistic, Uncertain, average, mean_of
from finest.gate.verdict import ScenarioResult
from finest.metrics.overlaps import Pair
from finest.metrics.registry import SIMILARITIES, measured
from finest.metrics.similarity import similarities

HEADLINE = ("rbo", "jaccard_at_10")
"""The similarities that the gate bounds."""
BINS = 20
"""Number of equal bins of a histogram of rbo."""


@dataclass(frozen=True)
class ByUser:
    """Computes means over instances with what every user adds to their error."""

    user: npt.NDArray[np.int64]
    """The user of each instance [M], from 0."""
    confidence: float = CONFIDENCE
    """Confidence of the means' one-sided bounds."""

    def means(self, values: list[Floats], among: npt.NDArray[np.bool_] | None = None) -> list[Statistic]:
        """Returns the mean of each of `values` [M].

        With the mask `among`, over its instances; NaN where it has none.
        """
        mask = np.ones(len(self.user), bool) if among is None else among
        user, users = self.user[mask], int(self.user.max()) + 1
        instances = np.bincount(user, minlength=users)
        return [mean_of(np.bincount(user, each[mask], minlength=users), instances, self.confidence) for each in values]


@dataclass(frozen=True)
class Compared:
    """Holds how a variant compares with its group's clean variant.

    Keys are stages (`tuned`, `base`, `network`), then similarities.
    """

    name: str
    role: str
    group: str
    kind: str | None
    edits: int | None
    values: dict[str, dict[str, Floats]]
    """A value an instance [M]."""
    means: dict[str, dict[str, Statistic]]
    equal: dict[str, bool]
    """Whether all items and all target ranks are the same."""
    pairs: dict[str, tuple[Listed, Listed]] = field(default_factory=dict)
    """What was compared, clean first."""


class Pairs:
    """Compares rank lists, the same two once."""

    def __init__(self, known: "Pairs | None" = None):
        """Takes comparisons of the same instances, which are not made again; it adds nothing to them."""
        self._known = known
        # By the lists' identity, beside the lists themselves: without them, others might come to have it.
        self._values: dict[tuple[int, int], tuple[Listed, Listed, dict[str, Floats]]] = {}
        self._levels: dict[tuple[int, int], tuple[Listed, Listed, list[float]]] = {}

    def values(self, one: Listed, other: Listed) -> dict[str, Floats]:
        """Returns every similarity of the lists, a value an instance [M]."""
        if (found := self._found(one, other)) is None:
            found = similarities(one.items, other.items)
            self._values[id(one), id(other)] = one, other, found
        return found

    def levels(self, one: Listed, other: Listed) -> list[float]:
        """Returns the mean of each of the gated similarities, and keeps no value an instance for that."""
        if (found := self._level(one, other)) is None:
            values = self._found(one, other)
            pair = Pair(one.items, other.items)
            found = [
                float((values[name] if values else measured(SIMILARITIES, name, pair)).mean()) for name in HEADLINE
            ]
            self._levels[id(one), id(other)] = one, other, found
        return found

    def _found(self, one: Listed, other: Listed) -> dict[str, Floats] | None:
        if (entry := self._values.get((id(one), id(other)))) is not None:
            return entry[2]
        return self._known._found(one, other) if self._known else None

    def _level(self, one: Listed, other: Listed) -> list[float] | None:
        if (entry := self._levels.get((id(one), id(other)))) is not None:
            return entry[2]
        return self._known._level(one, other) if self._known else None


def compare(
    evidence: Evidence, by_user: ByUser, pairs: Pairs, role: str, protocol: str | None = None
) -> list[Compared]:
    """Compares all probes or all controls with their clean variants.

    Args:
        evidence: The rank lists.
        by_user: What means are computed by.
        pairs: What lists are compared by.
        role: `probe` or `control`.
        protocol: Protocol of the tuned lists; without one, that of the headline. Another one shares the
            headline's base lists.
    """
    result = []
    for group, name in evidence.variants(role, protocol):
        both = {
            "tuned": (evidence.clean(group, "tuned", protocol), evidence.find(role, name, "tuned", group, protocol))
        }
        for stage in ("base", "network"):
            if other := evidence.find(role, name, stage, group):
                both[stage] = evidence.clean(group, stage), other
        found = {stage: (clean, listed) for stage, (clean, listed) in both.items() if listed is not None}
        values = {stage: pairs.values(clean, other) for stage, (clean, other) in found.items()}
        extra = found["tuned"][1].description.extra
        result.append(
            Compared(
                name=name,
                role=role,
                group=group,
                kind=extra.get("kind"),
                edits=extra.get("edits"),
                values=values,
                means={stage: means(each, by_user) for stage, each in values.items()},
                equal={stage: same(*pair) for stage, pair in found.items()},
                pairs=found,
            )
        )
    return result


def means(values: dict[str, Floats], by_user: ByUser) -> dict[str, Statistic]:
    """Returns the mean of every similarity."""
    return dict(zip(values, by_user.means(list(values.values())), strict=True))


def same(one: Listed, other: Listed) -> bool:
    """Tells whether two files rank alike to the last item and target."""
    return np.array_equal(one.items, other.items) and np.array_equal(one.target_rank, other.target_rank, equal_nan=True)


def over_scenarios(statistics: list[Statistic], training: Error) -> Uncertain:
    """Returns the mean over S >= 2 scenarios, with the errors of all that it is one draw of.

    An interval over users alone would say how sure these scenarios' numbers are, not what other scenarios (`scenarios`:
    their spread, with S - 1 degrees of freedom) or another clean training, which all scenarios share (`training`),
    would give.
    """
    mean = average(statistics)
    count = len(statistics)
    spread = float(np.std([one.value for one in statistics], ddof=1))
    errors = {"users": mean.error, "scenarios": Error(spread / count**0.5, count - 1), "training": training}
    return Uncertain(mean.value, errors, mean.confidence)


def scenario_result(compared: Compared) -> ScenarioResult:
    """Returns the comparison as the verdict holds it."""
    return ScenarioResult.model_validate(
        {
            "name": compared.name,
            "role": compared.role,
            "group": compared.group,
            "kind": compared.kind,
            "edits": compared.edits,
            "tuned": {name: mean.estimate() for name, mean in compared.means["tuned"].items()},
            "base": {name: mean.estimate() for name, mean in compared.means.get("base", {}).items()},
            "network": {name: mean.estimate() for name, mean in compared.means.get("network", {}).items()},
            "histogram": {stage: _histogram(values["rbo"]) for stage, values in compared.values.items()},
        }
    )


def _histogram(values: Floats) -> list[float]:
    """Returns shares of instances in equal bins from 0 to 1."""
    counts, _ = np.histogram(values, bins=BINS, range=(0, 1))
    return [float(count) for count in counts / len(values)]
