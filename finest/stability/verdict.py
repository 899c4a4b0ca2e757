"""The verdict: one file that says what was measured, which rules held and why."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Part(BaseModel):
    """Base of the verdict's parts."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RuleResult(Part):
    """One rule, or one bound of a rule that has several."""

    rule: str
    """The rule's name in `gate.rules`."""
    name: str
    """What was checked, like `stability.rbo`, unique in a verdict."""
    option: str | None = None
    """The config field of the bound, like `gate.min_rls_rbo`."""
    value: float | None
    bound: float | None
    interval: tuple[float | None, float | None] = (None, None)
    """One-sided 95% bounds, low and high, where the value has them."""
    status: Literal["pass", "fail", "not applicable"]
    sentence: str
    """What that means, in one sentence."""


class Estimate(Part):
    """A mean over instances with its two-sided 90% bootstrap interval (5% each side), clustered by user: not the noise of training."""

    mean: float
    low: float
    high: float


class ScenarioResult(Part):
    """RLS of one probe or control. Keys of the dicts: `rbo`, `frbo`, `jaccard_at_10`, `top1_agreement`."""

    name: str
    role: Literal["probe", "control"]
    shard: str
    kind: str | None = None
    edits: int | None = None
    tuned: dict[str, Estimate]
    """With FINEST: the shard's tuned clean variant against the tuned one."""
    base: dict[str, Estimate]
    """Without: base against base."""
    histogram: dict[str, list[float]]
    """`tuned` and `base`: shares of instances by rbo in 20 equal bins from 0 to 1."""


class Accuracy(Part):
    """Means over all instances."""

    name: str
    """`candidate`, `base`, `champion`, `popularity`, `repeat_last`."""
    mrr: float
    recall_at_10: float
    ndcg_at_10: float
    coverage_at_10: float
    overlap: float
    """Mean pairwise overlap at 10 between users' lists."""
    popularity_bias: float | None = None
    plasticity: float | None


class Moved(Part):
    """An instance whose list moved much between the clean variant and a probe, for reading."""

    user: str
    position: int
    target: str
    scenario: str
    rbo: float
    rbo_base: float
    before: list[str]
    after: list[str]
    before_base: list[str]
    after_base: list[str]
    """Top 10 item ids."""


class Verdict(Part):
    """Everything but `cost`, `age` and `ids` is a function of the lists, the config and the seed."""

    schema_version: int = SCHEMA_VERSION
    verdict: Literal["pass", "fail", "skipped"]
    reason: str
    """One line: that all rules held, or the first failed rule's sentence."""
    protocol: str
    """`anchored` or `independent`."""
    given: str
    """What the stability is conditional on: `given shared references`, or empty for independent."""
    reference: str
    """`base` or `champion/<version>`."""
    rules: list[RuleResult] = []
    scenarios: list[ScenarioResult] = []
    accuracy: list[Accuracy] = []
    metrics: dict[str, float] = {}
    """Flat, named as in MLflow: `rls/rbo`, `noise_floor/rbo`, `accuracy/mrr`, ..."""
    moved: list[Moved] = []
    notes: list[str] = []
    """What the reader must know: excluded counts, missing champion, what intervals cover."""
    data: dict[str, Any] = {}
    """Fingerprint, instances, catalogue, depth, exclude_seen, seed."""
    cost: dict[str, Any] = {}
    age: dict[str, Any] = {}
    ids: dict[str, Any] = {}
