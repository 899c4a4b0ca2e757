"""Config of the gate: what a candidate must show."""

from typing import Annotated, Literal

from pydantic import Field

from finest.section import OrOff, Section

Rule = Literal["stability", "gain", "accuracy", "collapse", "sanity", "frozen"]

Share = Annotated[float, Field(ge=-1, le=1)]


class Gate(Section):
    """Bounds of the gate's rules. Intervals are one-sided 95%."""

    rules: list[Rule] = Field(default=["stability", "gain", "accuracy", "collapse", "sanity", "frozen"])
    """The rules that must hold. Without any, nothing passes."""
    min_rls_above_floor: OrOff[Share] = 0.5
    """Least stability as a share of the way from the noise floor (another seed) to the ceiling (rounding); rbo and jaccard, lower bound."""
    min_worst_rls_above_floor: OrOff[Share] = 0.35
    """The same for the worst scenario's mean."""
    min_rls_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least mean RLS (rbo), lower bound; absolute, so it depends on the data."""
    min_rls_jaccard: float | None = Field(default=None, ge=0, le=1)
    """Least mean RLS (Jaccard at 10), lower bound."""
    min_worst_rls_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least RLS (rbo) of the worst scenario."""
    max_accuracy_drop_base: float = Field(default=0.03, ge=0, lt=1)
    """Largest relative drop in MRR against the base model, lower bound of the ratio. Under 3 standard errors it refuses equal models."""
    max_accuracy_drop_champion: float = Field(default=0.06, ge=0, lt=1)
    """The same against the champion, on instances after the champion's own cut and with targets that both catalogues hold."""
    min_coverage_ratio: float = Field(default=0.8, ge=0, le=1)
    """Least catalogue coverage at 10 over the base model's."""
    max_overlap_ratio: float = Field(default=1.25, ge=1)
    """Largest mean overlap between users' lists over the base model's."""
    min_plasticity: float = Field(default=0.9, ge=0, le=1)
    """Least plasticity (how far a user's list moves when the history grows) over the base model's."""
    min_new_data_gain: float = Field(default=0.5, ge=0, le=1)
    """With a champion: the share that the candidate must keep of what its base gains in MRR over the champion on newer instances."""
    min_churn_rbo: float | None = Field(default=None, ge=0, le=1)
    """Least mean rbo of candidate against champion on the same instances; always reported."""
    max_age_hours: float | None = Field(default=None, gt=0)
    """Largest age of the newest training interaction at `as_of`."""
    require_new_data: bool = False
    """Refuse a candidate trained on the champion's own data."""
    bootstrap_draws: int = Field(default=2000, ge=100)
    """Draws of the bootstrap, clustered by user."""
