"""The verdict: one file that says what was measured, which rules held and why."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finest.data.compared import Compared

SCHEMA_VERSION = 1
"""Version of the verdict's keys, whose JSON schema is docs/verdict.schema.json. A reader passes over keys that it does
not know, so a new key leaves the version as it is; what changes the meaning of others raises it, and older readers
refuse the file."""


Word = Literal["pass", "fail", "suspicious", "broken", "skipped"]
"""What a verdict says of the candidate."""
JUMP = "jump"
"""The rule by which a candidate is suspicious: it is better than its line has ever been."""


class Part(BaseModel):
    """Is the base of the verdict's parts: typed keys; those that a newer version added are passed over."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class Power(Part):
    """Holds how often a rule that tests a number passes, by the number's own error and margin tonight."""

    equal_passes: float | None
    """Probability that a model passes whose true number is that of `of`."""
    detects: float | None
    """How far below that the true number must be to be refused with a probability of 80%."""
    of: Literal["equal", "level"]
    """`equal`: a model equal to the one that it is compared with; `level`: one whose true number is tonight's."""
    fails_by: Literal["level", "interval"] | None
    """Of a failed rule: the number itself is on the wrong side (`level`), or its interval alone (`interval`)."""


class RuleResult(Part):
    """Holds what one rule found, or one bound of a rule that has several."""

    rule: str
    """The rule's name in `gate.rules`."""
    name: str
    """What was checked, like `stability.rbo`, unique in a verdict."""
    option: str | None = None
    """Config key of the bound, like `gate.min_rls_rbo`."""
    value: float | None
    """The measured number; None where there is none, or it is not finite."""
    bound: float | None
    """What the value, or its interval, is held against."""
    interval: tuple[float | None, float | None] = (None, None)
    """One-sided bounds, low and high, where the value has them: as two ends of one interval, they leave twice as much
    out as each alone."""
    confidence: float | None = None
    """Confidence of each bound: 0.95, or more at a further attempt on the same data; None without bounds, and where a
    verdict does not say."""
    status: Literal["pass", "fail", "not applicable"]
    """`not applicable` neither holds the candidate back nor speaks for it."""
    sentence: str
    """What that means, in one sentence."""
    todo: str = ""
    """Of a failed rule: what to do next."""
    power: Power | None = None
    """Of a rule that tests a number: how often it passes, and what it detects."""


class Estimate(Part):
    """Holds a mean over instances with its two-sided 90% interval, clustered by user.

    5% lie on each side. It does not cover the noise of training.
    """

    mean: float
    low: float
    high: float


class ScenarioResult(Part):
    """Holds the RLS of one probe or control. Keys are registered similarities: `rbo`, `jaccard_at_10`, ..."""

    name: str
    role: Literal["probe", "control"]
    group: str
    kind: str | None = None
    """What the edits do: `deletion`, `replacement`, `insertion`, ..."""
    edits: int | None = None
    """Number of edited interactions."""
    tuned: dict[str, Estimate]
    """RLS with FINEST: the group's tuned clean variant against the tuned one."""
    base: dict[str, Estimate]
    """RLS without: base against base. Empty where no such lists were given."""
    network: dict[str, Estimate] = {}
    """RLS of the network alone, without FINEST, where something is counted beside it."""
    histogram: dict[str, list[float]]
    """By `tuned` and, where given, `base` and `network`: shares of instances by rbo in 20 equal bins from 0 to 1."""

    @property
    def plain(self) -> dict[str, Estimate]:
        """Returns the RLS of the network alone, without FINEST: of a control, a yardstick of the run."""
        return self.network or self.base


class Accuracy(Part):
    """Holds one model's means over all instances. Further keys are registered metrics: `mrr`, `recall_at_10`, ..."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, float]

    name: str
    """`candidate`, `base`, `network`, `champion`, or the name of a baseline such as `popularity` or `item_knn`."""
    coverage_at_10: float
    """Share of the catalogue that stands in anybody's top 10."""
    overlap: float
    """Mean pairwise overlap at 10 between users' lists."""
    popularity_bias: float | None = None
    """Mean popularity percentile of the top 10; None without the data."""
    plasticity: float | None
    """How far a user's list moves from one interaction to the next, 1 - rbo; None where no user has two instances."""

    @property
    def metrics(self) -> dict[str, float]:
        """Returns the registered metrics by name."""
        return self.__pydantic_extra__


class Example(Part):
    """Holds an instance whose list moved, for people: between the clean variant and a probe, or from the champion."""

    why: Literal["with", "without", "typical", "champion", "typical champion"] = "with"
    """Why it is shown: it moved most `with` FINEST, or `without`; its rbo is the median one of all instances and probes
    with FINEST (`typical`); the candidate's list is farthest from the `champion`'s, or as far as the median one's."""
    user: str
    position: int
    """Number of interactions of the user before this one."""
    target: str
    """The item that the user really chose."""
    scenario: str
    """The probe; empty where the lists are the champion's and the candidate's."""
    rbo: float
    rbo_base: float | None
    before: list[str]
    after: list[str]
    before_base: list[str]
    after_base: list[str]
    """Item ids of the four top 10s; the last two empty where no lists without FINEST were given."""


class Ratio(Part):
    """Holds the ratio of two means over the same users."""

    value: float | None
    """None where what is below is 0."""
    interval: tuple[float | None, float | None]
    """One-sided 95% bounds by users, low and high, not corrected for the number of segments; None where so few users
    cannot tell. They do not cover the noise of training."""


class Segment(Part):
    """Holds what the candidate does to a part of the instances."""

    cut: str
    """What the instances were cut by: `history length`, ..., or a column of `ingest.columns.segments`. `everyone` is no
    cut: all instances, each instance or each user counting once."""
    value: str
    users: int
    instances: int
    mrr: dict[str, float]
    """Of `candidate`, `base` and, where there is one, `champion`, on all instances of the segment."""
    rls: dict[str, float]
    """Mean RLS (rbo) over the probes: `tuned`, with FINEST, and `base`, without; empty without probes."""
    churn: float | None
    """Mean rbo with the champion's lists; None without one."""
    ratios: dict[str, Ratio]
    """The candidate's MRR to that of `base`, and of `champion` where the two can be compared; `stability`: RLS with
    FINEST to RLS without."""
    p: float | None
    """The least p-value of the segment's tests, each of which says that there is no harm, corrected for all tests of
    the verdict; None where it has too few users to be tested."""
    hurt: list[str]
    """By what it is proven to be hurt, of the keys of `ratios`."""


class Served(Part):
    """Holds what the candidate is served with, and what each part brings on rows that nothing was fitted on."""

    chosen: Literal["stack", "memory", "network"]
    """`stack`: network and counts together; `memory`: counts alone; `network`: the network alone."""
    weights: dict[str, float]
    """Weights of the memory, the network's among them; empty without one."""
    mrr: dict[str, float]
    """Mean reciprocal rank of network, memory and stack there."""
    network_gain: float
    """What the network adds to the MRR of counts."""
    counts_gain: float
    """What counts add to the MRR of the network."""
    sentence: str
    """All that, in one sentence."""

    @property
    def metrics(self) -> dict[str, float]:
        """Returns the numbers, named as in MLflow: `memory/mrr/stack`, `memory/weight/popularity`, ..."""
        return {
            **{f"memory/mrr/{way}": value for way, value in self.mrr.items()},
            **{f"memory/weight/{name}": weight for name, weight in self.weights.items()},
            "memory/network_gain": self.network_gain,
            "memory/counts_gain": self.counts_gain,
        }


class Night(Part):
    """Holds what later nights of the same line need to know of this one."""

    run: str
    """The pipeline run; of lists from elsewhere, the digest of the candidate's scores."""
    as_of: str = ""
    """The moment that the run stands for."""
    verdict: Literal["pass", "fail"]
    promoted: bool = False
    """Whether the candidate became the champion, and today's champion comes after it: not where it was rolled back.
    False in tonight's verdict; whoever keeps a history by hand sets it."""
    champion: str = ""
    """Version that the candidate was compared with; empty for none."""
    fingerprint: str | None = None
    """Fingerprint of the data."""
    log_ratio: float | None = Field(default=None, allow_inf_nan=False)
    """Log of the candidate's MRR over the champion's, on the instances that both can be compared on."""
    standard_error: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Standard error of `log_ratio`, by users; where users are few, of the normal that reaches as far."""
    noise: float | None = Field(default=None, allow_inf_nan=False)
    """Variance of log MRR between equal trainings, by the controls `rounding` and `seed`; None without them."""
    training_noise: dict[str, tuple[float, float]] = {}
    """Standard deviation of a mean RLS from one clean training to another, and its degrees of freedom, as this night
    alone measured it; by stage and similarity, like `tuned/rbo`."""
    accuracy: float | None = None
    """The candidate's MRR."""
    seed: int | None = None
    config: str = ""
    """Digest of the gate's config."""
    candidate: str = ""
    """Digest of the candidate's scores."""
    alarm: bool = False
    """Whether the rule `trend` refused the candidate."""


class Trial(Part):
    """Holds what became of a candidate that the gate made itself, to see whether it can tell good from bad."""

    name: str
    """What was tried, like `popularity`."""
    did: str
    """What was done to the night's lists, in a sentence."""
    good: bool = False
    """Whether the candidate must pass; else one of `meant` must refuse it."""
    meant: list[str] = []
    """Rules or checks that are there for such a candidate; any one of them will do."""
    refused_by: list[str] = []
    """The checks that refused it."""
    untold: Literal["not configured", "not applicable", "cannot be told"] | None = None
    """Why the outcome counts for nothing: the rule that is meant is not in `gate.rules`; the night has not what the
    candidate is made of; or its data are too few to tell such a candidate from a good one. None where it counts."""
    instances: int
    """Number of instances that it was judged on: the night's, or those of users who were drawn from it."""
    sentence: str
    """What that means, in one sentence."""

    @property
    def held(self) -> bool:
        """Returns whether the gate did what it must."""
        if self.good:
            return not self.refused_by
        return any(check == rule or check.startswith(f"{rule}.") for check in self.refused_by for rule in self.meant)

    @property
    def status(self) -> str:
        """Returns `ok`, `broken`, or why the outcome counts for nothing."""
        return self.untold or ("ok" if self.held else "broken")


class Verdict(Part):
    """Holds the verdict.

    Everything but `cost`, `age` and `ids`, and what `night` has of them, is a function of the lists, the config and
    the history.
    """

    schema_version: int = SCHEMA_VERSION
    verdict: Word
    """`broken`: the gate failed its own test, so that its word on the candidate counts for nothing."""
    reason: str
    """One line: that all rules held, the first failed rule's sentence, or what the gate itself did wrong."""
    protocol: str
    """`anchored` or `independent`."""
    given: str
    """What the stability is conditional on: `given shared references`, or empty for independent."""
    reference: str
    """`base` or `champion/<version>`."""
    rules: list[RuleResult] = []
    selftest: list[Trial] = []
    """Candidates that the gate made itself; empty where `gate.self_test` is false."""
    scenarios: list[ScenarioResult] = []
    accuracy: list[Accuracy] = []
    segments: list[Segment] = []
    """Who is hurt: everyone first, then the worst segment."""
    metrics: dict[str, float] = {}
    """Flat, named as in MLflow: `rls/rbo`, `noise_floor/rbo`, `accuracy/mrr`, ... All are finite: what is not is left
    out, and named by the rule `sanity`."""
    served: Served | None = None
    """What the candidate is served with and why; None where there was nothing to choose."""
    moved: list[Example] = []
    """Lists for reading: those that moved most, and typical ones."""
    notes: list[str] = []
    """Facts that the reader must know: excluded counts, missing champion, what intervals cover."""
    compared: Compared | None = None
    """The night's data beside that of the line's last nights; None of lists that were judged by hand."""
    data: dict[str, Any] = {}
    """Fingerprint, instances, catalogue, depth, exclude_seen, seed."""
    cost: dict[str, Any] = {}
    """CPU and wall seconds of trainings and steps."""
    age: dict[str, Any] = {}
    """The run's moment, the newest training interaction, and the hours between."""
    ids: dict[str, Any] = {}
    """The run and the champion."""
    night: Night | None = None
    """This night's entry in the history of its line; None of a skipped run, and of a gate that is
    broken, which has judged nothing."""
    judged: dict[str, str] = {}
    """What was judged, by sha256: `lists`, the candidate's rank lists, `model`, its folder, and `config`, the gate's;
    with the data's `fingerprint`. Empty where lists alone were judged by hand."""


def as_schema() -> str:
    """Returns the JSON schema of a verdict's file, as docs/verdict.schema.json has it."""
    return json.dumps(Verdict.model_json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(as_schema(), end="")
