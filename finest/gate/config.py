"""Config of the gate: what a candidate must show."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, field_validator

from finest.gate.registry import NamedRule, RuleOptions
from finest.section import OrOff, Section

Share = Annotated[float, Field(ge=-1, le=3)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OnDamage = Literal["refuse", "replace"]
DEFAULT_RULES = (
    "churn",
    "stability",
    "gain",
    "accuracy",
    "collapse",
    "sanity",
    "frozen",
    "trend",
    "jump",
    "segments",
    "flips",
)


class Gate(Section):
    """Bounds of the gate's rules.

    A bound is held against a one-sided 95% bound of the measured number where it says so, else against the number
    itself. Similarities and RLS go from 0 (nothing in common) to 1 (equal lists).
    """

    # Sections, not names to be validated: that would import all rules, and what they measure by, wherever a config is
    # read.
    rules: list[Annotated[RuleOptions, NamedRule()]] = Field(
        default=[RuleOptions(name=name) for name in DEFAULT_RULES],
        json_schema_extra={"default": [*DEFAULT_RULES]},
    )
    """The rules that must hold; without any, nothing passes. Names, or sections for rules of other packages that have
    options of their own: `[stability, {name: calm, min_overlap: 0.5}]`."""
    min_rls_above_floor: OrOff[Share] = 0.5
    """Least mean RLS over the scenarios, as a share of the way from the noise floor (0: another seed) to the ceiling
    (1: rounding alone), both of the network alone and without FINEST, in the same run; for rbo and Jaccard at 10, by
    the lower bound. What is counted beside a network moves less than its rounding: a share may be above 1. The default
    is from three seeds of ml-100k: docs/choices.md."""
    min_worst_rls_above_floor: OrOff[Share] = 0.35
    """Least mean RLS of the worst scenario, as a share of the way from the noise floor (0) to the ceiling (1), by the
    lower bound."""
    min_rls_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least mean RLS (rbo) over the scenarios, by the lower bound. Absolute, so it depends on the data: put it .02
    under the lowest of three seeds."""
    min_rls_jaccard: float | None = Field(default=None, ge=0, le=1)
    """Least mean RLS (Jaccard at 10) over the scenarios, by the lower bound. Absolute, so it depends on the data."""
    min_worst_rls_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least mean RLS (rbo) of the worst scenario, by the lower bound. Absolute, so it depends on the data."""
    max_stability_loss: float = Field(default=0.01, ge=0, le=1)
    """Largest mean RLS that FINEST may cost, by the lower bound of RLS with FINEST less RLS without; rule `gain`."""
    max_churn_over_seed: OrOff[Fraction] = 0.02
    """How far the mean rbo with the champion's lists may be below what another seed without FINEST leaves of it, by the
    lower bound; `off` for a night that is to bring users a new recommender."""
    training_noise: float = Field(default=0.01, ge=0, le=1)
    """Standard deviation of a mean RLS from one training to the next, equal but for rounding, that is assumed where no
    rank lists measure it: those of a control `rounding`, or of further groups whose hardware rounds otherwise."""
    min_users: int = Field(default=30, ge=2)
    """Least number of users whose instances are compared; with fewer, nothing is decided and nothing passes."""
    max_accuracy_drop_base: float = Field(default=0.03, ge=0, lt=1)
    """Largest drop in MRR against the base model, as a share of the base model's MRR: the lower bound of MRR_candidate
    / MRR_base must be at least 1 - this. The verdict says how often equal models
    pass: under three standard errors of the ratio, many do not."""
    max_accuracy_drop_champion: float = Field(default=0.06, ge=0, lt=1)
    """Largest drop in MRR against the champion, as a share of the champion's MRR, by the lower bound of the ratio; on
    instances after the champion's own cut, with targets that both catalogues hold; one that the candidate does not rank
    is one that it does not find."""
    false_alarm_nights: float = Field(default=60, ge=1)
    """Least average number of nights until a line of equal models is refused for a decline over nights. Candidates are
    held against the last 30 champions by the nightly ratios of MRR, which are added up along the promotions; how soon a
    decline is seen: docs/error_rates.md."""
    max_jump: OrOff[Fraction] = 0.05
    """How far the candidate's MRR against the champion's may be proven to be beyond that of all past nights of the
    line; above it the verdict is `suspicious`, and a person decides. With fewer than five past nights, half as much
    again as the champion's is the bound; without a champion, three times the best simple recommender's; and in any
    case a fifth above the base model's. `off` asks none of this."""
    min_coverage_ratio: float = Field(default=0.8, ge=0, le=1)
    """Least catalogue coverage of all top 10s, as a share of the base model's coverage."""
    max_overlap_ratio: float = Field(default=1.25, ge=1)
    """Largest mean overlap between two users' top 10s, in multiples of the base model's overlap."""
    min_item_ratio: OrOff[Fraction] = 0.25
    """Least number of users who are shown an item in a top 10, in multiples of how many are shown it by the base model
    and by the champion, whichever shows it to fewer; of every item that these show to 1% of the users, and to
    `min_users`, or more. The other way round, what the candidate shows to so many must be shown to as large a share of
    them by one of these. Of 21 candidates on three kinds of data no item was below .68: docs/choices.md. Of the items
    that these show to 5 users or more, 1% at most may be in no list of the candidate. `off` asks neither."""
    min_plasticity: float = Field(default=0.9, ge=0, le=1)
    """Least plasticity, as a share of the base model's. Plasticity is the mean of 1 - rbo between a user's lists at one
    interaction and at the next: how far lists move when the history grows."""
    min_new_data_gain: float = Field(default=0.5, ge=0, le=1)
    """Least share that the candidate keeps of what its base model gains on the champion by new data: (MRR_candidate -
    MRR_champion) / (MRR_base - MRR_champion), the number itself; on instances after the champion's own cut, with
    targets that both catalogues hold. It applies only where the base model's gain is significant: lower bound above
    0."""
    max_segment_drop: float = Field(default=0.2, ge=0, lt=1)
    """Largest drop of a segment, as a share: of its MRR against the base model's and the champion's, and of its RLS
    with FINEST against that without. It refuses where a larger one is proven, at 5% for all segments together (Holm).
    Between two seeds no segment is below .05 so far: docs/choices.md."""
    min_segment_users: int = Field(default=30, ge=2)
    """Least number of users for a segment to be held to `max_segment_drop`; smaller ones are reported alone."""
    max_odd_users: float = Field(default=0.01, ge=0, lt=1)
    """Largest share of a user's lists that are odd with the candidate and not with the base model, in the mean over
    users and less the share of which it is the other way round: they stand still while those of the base model move,
    are a simple recommender's, the champion's own or the same user's one before, or have next to nothing in common with
    the base model's. Also the largest share of users whose lists have next to nothing in common with the champion's,
    unless `max_churn_over_seed` is off. It refuses where more are proven."""
    max_flips_above_seed: float = Field(default=0.05, ge=0, le=1)
    """Largest share of hits in the top 10 that the candidate may lose beyond those that another seed loses, by the
    lower bound of the difference: hits of the champion on instances after its own cut, or without one, of the base
    model."""
    min_churn_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least mean rbo between the candidate's and the champion's lists of the same instances, by the lower bound;
    absolute, beside `max_churn_over_seed`. The number is reported in any case."""
    max_age_hours: float | None = Field(default=None, gt=0)
    """Largest age of the newest training interaction at `as_of`, in hours."""
    on_damaged_champion: OnDamage = "refuse"
    """What becomes of a night whose champion's package is not what was packed: `refuse` ends it in one line, and
    `replace` judges the candidate as if there were no champion, which it then replaces."""
    require_new_data: bool = False
    """Whether to refuse a candidate that was trained on the champion's own data."""

    self_test: bool = True
    """Whether the gate also judges candidates that it makes of the night's own lists: bad ones, which must be refused
    by the rule that is there for them, and a good one, which must pass. Otherwise the verdict is `broken`."""

    @field_validator("rules")
    @classmethod
    def _named_once(cls, rules: list[RuleOptions]) -> list[RuleOptions]:
        names = [rule.name for rule in rules]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"must name a rule once; {twice[0]} is there {names.count(twice[0])} times")
        return rules


def digest(config: Gate) -> str:
    """Returns the sha256 of a config of the gate."""
    return hashlib.sha256(json.dumps(config.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
