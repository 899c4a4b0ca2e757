"""Rule `answers`: every held-out user gets a list."""

from pydantic import Field

from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide
from finest.gate.registry import RuleOptions, rule
from finest.gate.roles import CANDIDATE
from finest.gate.verdict import RuleResult


class AnswersOptions(RuleOptions):
    """Holds the rule's bound."""

    name: str = "answers"
    min_items: int = Field(default=1, ge=1)
    """Fewest items that the shortest list may have."""


@rule(needs=[CANDIDATE], config=AnswersOptions)
def answers(evidence: Evidence, measured: Measured, config: AnswersOptions) -> list[RuleResult]:
    """Holds where the candidate's shortest list has enough items."""
    shortest = int((evidence.candidate.items >= 0).sum(1).min())
    sentence = f"The candidate's shortest list has {shortest} items."
    holds = shortest >= config.min_items
    return [decide("answers", holds, sentence, value=shortest, bound=config.min_items, option="min_items")]
