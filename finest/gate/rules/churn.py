"""Rule `churn`: users see no more change from the champion's lists than a retraining without FINEST would bring."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_least, decide, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import CANDIDATE
from finest.gate.statistic import sure
from finest.gate.verdict import RuleResult

LOW = (
    "Keep the champion's lists (finetune.reference: champion), give FINEST more weight (finetune.alpha), or, where "
    "users are to see a new recommender, set gate.max_churn_over_seed: off for this run."
)
SEEDLESS = "Give these lists too, or set gate.max_churn_over_seed: off and gate.min_churn_rbo."
EMPTY = 0.5
"""Share of the champion's lists from which on, if they are empty, what users see change cannot be told."""
UNKNOWN = (
    "Look at what took its lists; where it knows next to nothing of what users chose, set gate.max_churn_over_seed to "
    "off for this run."
)
WIDE = "The number holds, too few users prove it: hold out more rows or more days."


@RULES.register("churn")
@rule(needs=[CANDIDATE])
def churn(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks the similarity with the champion's lists against what another seed without FINEST leaves of them."""
    options = {"churn.rbo": "max_churn_over_seed", "churn.absolute": "min_churn_rbo"}
    if not measured.churn:
        sentence = "There is no champion, so users have no lists of it to see change."
        return [not_applicable("churn.rbo", sentence, options["churn.rbo"])]
    results, mine = [], measured.churn["rbo"]
    said = f"Mean rbo with the champion's lists, what users see change, is {mine.value:.3f}"
    if config.max_churn_over_seed != "off" and measured.unlisted > EMPTY:
        sentence = (
            f"{measured.unlisted:.0%} of the champion's lists are empty, so what users see change cannot be told."
        )
        results.append(decide("churn.rbo", False, sentence, option=options["churn.rbo"], todo=UNKNOWN))
    elif config.max_churn_over_seed != "off" and not measured.churn_seed:
        sentence = f"{said}; what another seed leaves of it is not known, without base lists of the control `seed`."
        results.append(decide("churn.rbo", False, sentence, option=options["churn.rbo"], todo=SEEDLESS))
    elif config.max_churn_over_seed != "off":
        fresh, margin = measured.churn_seed["rbo"], config.max_churn_over_seed
        lead = mine - fresh
        holds = lead.low >= -margin
        sentence = (
            f"{said}, {abs(lead.value):.3f} {'above' if lead.value >= 0 else 'below'} the {fresh.value:.3f} that "
            f"another seed without FINEST leaves: {'' if holds else 'not '}proven to be at most {margin:g} below it."
        )
        name = "churn.rbo"
        option = options[name]
        results.append(
            at_least(name, lead, -margin, sentence, option=option, low=LOW, wide=WIDE, equal=0.0, shown=mine.value)
        )
    if (bound := config.min_churn_rbo) is not None:
        holds = mine.low >= bound
        sentence = (
            f"{said}, with {sure(mine.confidence)} confidence at least {mine.low:.3f}: "
            f"{'not below' if holds else 'below'} the bound of {bound:.3f}."
        )
        name = "churn.absolute"
        results.append(at_least(name, mine, bound, sentence, option=options[name], low=LOW, wide=WIDE))
    if not results:
        sentence = f"{said}; no bound is set."
        return [not_applicable("churn.rbo", sentence, options["churn.rbo"])]
    return results
