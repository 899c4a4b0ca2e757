"""The gate's rules, a file each: what was measured and the bounds in, results with a sentence each out."""

from collections.abc import Callable

from finest.stability.config import Gate, Rule
from finest.stability.evidence import Evidence
from finest.stability.measure import Measured
from finest.stability.rules.accuracy import accuracy
from finest.stability.rules.collapse import collapse
from finest.stability.rules.frozen import frozen
from finest.stability.rules.gain import gain
from finest.stability.rules.sanity import sanity
from finest.stability.rules.stability import stability
from finest.stability.verdict import RuleResult

RULES: dict[Rule, Callable[[Evidence, Measured, Gate], list[RuleResult]]] = {
    "stability": stability,
    "gain": gain,
    "accuracy": accuracy,
    "collapse": collapse,
    "sanity": sanity,
    "frozen": frozen,
}
