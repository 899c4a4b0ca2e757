"""The gate's rules, a file each: what was measured and the bounds in, results with a sentence each out."""

from collections.abc import Callable

from finest.gate.config import Gate, Rule
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.rules.accuracy import accuracy
from finest.gate.rules.collapse import collapse
from finest.gate.rules.frozen import frozen
from finest.gate.rules.gain import gain
from finest.gate.rules.sanity import sanity
from finest.gate.rules.stability import stability
from finest.gate.verdict import RuleResult

RULES: dict[Rule, Callable[[Evidence, Measured, Gate], list[RuleResult]]] = {
    "stability": stability,
    "gain": gain,
    "accuracy": accuracy,
    "collapse": collapse,
    "sanity": sanity,
    "frozen": frozen,
}
