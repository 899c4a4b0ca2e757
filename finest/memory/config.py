"""Config of the memory: what is counted beside a network, and how its weights are found."""

from typing import Annotated, Any, Literal

from pydantic import Field

from finest.memory.registry import FEATURES
from finest.registry import Name
from finest.section import Section


class MemoryConfig(Section):
    """What is counted beside the network, whose log-probabilities and features are added up with fitted weights."""

    serve: Literal["best", "stack", "memory"] = "best"
    """What is served: `stack`, network and counts together; `memory`, counts alone; `best`: what validation shows,
    the best of these and of the network alone, or the calmest that is within a standard error of it; the champion's way
    stays unless it is two standard errors worse."""
    neighbours: int = Field(default=100, ge=1)
    """Nearest neighbours of an item that are kept. Part of what the model is: another number gives other lists."""
    shrink: float = Field(default=5.0, ge=0)
    """Steps that are added to what followed an item in all, so that items that were seen seldom weigh little."""
    half_life_days: float | None = Field(default=None, gt=0)
    """Age at which an interaction counts half, in days; unset: all count alike."""
    features: list[Annotated[str, Name(FEATURES)]] | None = None
    """Features, by name; unset: all that apply, those about a history's own items only where lists may repeat these."""
    instances: int = Field(default=2500, ge=100)
    """Largest number of held-out interactions of the validation cut that weights are fitted on; four times as many
    choose among network, counts and both."""
    pull: float = Field(default=1.0, ge=0)
    """How strongly weights are drawn to the champion's: squared distance, in units of a feature's size, against the
    mean loss. 0: not at all. Features say much of the same, so weights that float go where chance takes them, and lists
    with them: docs/choices.md. What the champion lacks, or is served another way with, is found freely."""

    @property
    def counting(self) -> dict[str, Any]:
        """Returns what decides, beside the rows, what is counted."""
        return self.model_dump(include={"neighbours", "shrink", "half_life_days"})
