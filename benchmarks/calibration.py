"""How often the gate's rules err: `python -m benchmarks.calibration`, some ten minutes of one core.

A thousand gates are simulated for every condition, and judged by the rules themselves. The true number is at its bound,
where a rule that keeps its word passes in at most 5% (false pass), or .02 above it, where it should pass (false fail).
Users' numbers of instances are as on ml-100k (`real`: 2 to 74, median 7), one each (`single`), or heavy-tailed
(`heavy`: Pareto, shape 1.2); their similarities and target ranks vary as on ml-100k (constants below). `spread` is the
standard deviation between scenarios, `noise` that between clean trainings, which all scenarios share.
"""

import argparse
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from benchmarks.bench import hardware
from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured, Newer
from finest.gate.registry import RULES
from finest.gate.rls import HEADLINE, Compared
from finest.gate.statistic import CONFIDENCE, Error, Statistic, mean_of
from finest.gate.verdict import RuleResult
from finest.keys import numpy_generator

JSON = Path(__file__).with_name("calibration.json")
USERS, SHAPES = (50, 500, 5000), ("real", "single", "heavy")
SCENARIOS, SPREADS, NOISES = (3, 5, 6, 8), (0.0, 0.015, 0.03), (0.0, 0.007, 0.03)
OF_USER, OF_SCENARIO, OF_INSTANCE = 0.027, 0.013, 0.058
"""Standard deviations of rbo on ml-100k: a user's mean, what a scenario adds to it, and one instance about that."""
LOG_RANK, LOG_RANK_SD = 3.77, 1.70
"""Mean and standard deviation of a target's log rank there."""
RETRAINED = {"base": 0.145, "champion": 0.26}
"""Standard deviation of the log ratio of a target's ranks there: candidate to base, and to another seed's model."""
CONDITION = ("users", "shape", "scenarios", "spread", "noise", "nights")
POWER = ((0.0, 0.0), (0.015, 0.0), (0.03, 0.0), (0.0, 0.007), (0.015, 0.007), (0.0, 0.03))
"""Spreads and noises of the table of power."""
POOLED = (1, 7, 30)
"""Numbers of nights that a line has pooled the noise of training over, the first one among them."""
AGAIN, NOMINAL = 10, 7.0
"""A condition whose interval ends above so many percent is drawn again with so many times the gates, all of them new:
of a thousand conditions with a true 5%, the highest are high by chance."""
FLOOR, CEILING = 0.67, 0.90
ABOVE = 0.02
Floats = npt.NDArray[np.float64]


class Users:
    """Draws what a gate sees of its users."""

    def __init__(self, count: int, shape: str, random: np.random.Generator) -> None:
        self.random = random
        if shape == "real":
            drawn = np.clip(random.lognormal(1.95, 0.95, count).round(), 2, 74)
        elif shape == "heavy":
            drawn = np.clip(np.ceil(random.pareto(1.2, count)), 1, 300)
        else:
            drawn = np.ones(count)
        self.instances = drawn.astype(np.int64)
        self.level = OF_USER * random.standard_normal(count)

    def rls(self, level: float) -> Statistic:
        """Draws a mean RLS whose true number is `level`."""
        count = self.instances
        own = self.level + OF_SCENARIO * self.random.standard_normal(len(count))
        once = OF_INSTANCE * np.sqrt(count) * self.random.standard_normal(len(count))
        return mean_of(count * (level + own) + once, count, CONFIDENCE)

    def mrr(self, ratio: float, moved: float) -> tuple[Statistic, Statistic]:
        """Draws the MRR of two models, whose true ratio is `ratio` and whose targets' log ranks differ by `moved`."""
        user = np.repeat(np.arange(len(self.instances)), self.instances)
        shared = LOG_RANK + LOG_RANK_SD * self.random.standard_normal(len(user))
        means = []
        for factor in (ratio, 1.0):
            log_rank = shared + moved / 2**0.5 * self.random.standard_normal(len(user))
            reciprocal = factor / np.maximum(np.exp(log_rank).round(), 1)
            sums = np.bincount(user, reciprocal, minlength=len(self.instances))
            means.append(mean_of(sums, self.instances, CONFIDENCE))
        return means[0], means[1]


def of_levels(
    users: Users,
    scenarios: int,
    spread: float,
    noise: float,
    mean: float,
    worst: float | None,
    nights: int = 1,
) -> Measured:
    """Draws what is measured of stability, for a true mean over scenarios, and the worst one's where it is fixed.

    `nights` is their number that the noise of training is known from.
    """
    random = users.random
    clean, again, plain, plain_again = noise * random.standard_normal(4)
    moves = spread * random.standard_normal(scenarios)
    levels = mean + moves if worst is None else np.r_[worst, np.full(scenarios - 1, mean)]
    probes = [users.rls(level + clean) for level in levels]
    seed, rounding = (
        users.rls(FLOOR + plain + noise * random.standard_normal()),
        users.rls(CEILING + plain + plain_again),
    )
    shifts = {"tuned": abs(clean - again) / 2**0.5, "base": abs(plain - plain_again) / 2**0.5}
    if nights > 1:  # tonight's pair, and one of every night before
        shifts = {
            stage: float(np.sqrt((shift**2 + np.sum((noise * random.standard_normal(nights - 1)) ** 2)) / nights))
            for stage, shift in shifts.items()
        }
    controls = [_compared("seed", "control", base=seed), _compared("rounding", "control", base=rounding)]
    return _measured(
        probes=[_compared(f"s{index}", "probe", tuned=probe) for index, probe in enumerate(probes)],
        controls=controls,
        noise={stage: dict.fromkeys(HEADLINE, Error(shift, nights)) for stage, shift in shifts.items()},
    )


def of_gain(users: Users, scenarios: int, spread: float, noise: float, gain: float) -> Measured:
    """Draws what is measured of the gain by FINEST, whose true number is `gain`."""
    random = users.random
    clean, again = noise * random.standard_normal(2)
    probes = []
    for index in range(scenarios):
        base, move = users.rls(0.9), gain + spread * random.standard_normal()
        probes.append(_compared(f"s{index}", "probe", tuned=_shifted(users, base, move + clean), base=base))
    return _measured(probes=probes, noise={"gain": dict.fromkeys(HEADLINE, Error(abs(clean - again) / 2**0.5, 1))})


def _shifted(users: Users, base: Statistic, move: float) -> Statistic:
    """Returns a mean RLS that differs from another one by `move`, and by what a scenario adds to every user."""
    count = users.instances
    own = OF_SCENARIO * users.random.standard_normal(len(count)) * count
    own += OF_INSTANCE / 2 * np.sqrt(count) * users.random.standard_normal(len(count))
    return base + mean_of(count * move + own, count, CONFIDENCE)


def of_churn(users: Users, lead: float) -> Measured:
    """Draws what is measured of churn, where the candidate keeps `lead` more than another seed does."""
    return _measured(churn={"rbo": users.rls(0.7 + lead)}, churn_seed={"rbo": users.rls(0.7)})


def of_accuracy(users: Users, ratio: float, against: str) -> Measured:
    """Draws what is measured of accuracy, where the true ratio to the base model or the champion is `ratio`."""
    candidate, other = users.mrr(ratio, RETRAINED[against])
    if against == "base":
        return _measured(mrr={"candidate": candidate, "base": other})
    newer = Newer(candidate, None, other, int(users.instances.sum()), 0, 0, 0, told=True)
    return _measured(mrr={"candidate": candidate, "base": candidate}, newer=newer)


def _compared(name: str, role: str, **stages: Statistic) -> Compared:
    means = {stage: dict.fromkeys(HEADLINE, mean) for stage, mean in stages.items()}
    return Compared(name, role, "0", None, None, {}, means, {})


def _measured(**found: Any) -> Measured:
    """Returns what rules read, with nothing in all other places."""
    nothing = dict.fromkeys(Measured.__dataclass_fields__)
    return Measured(
        **{
            **nothing,
            "unlisted": 0.0,
            "probes": [],
            "controls": [],
            "noise": {},
            "churn": {},
            "churn_seed": {},
            **found,
        }
    )


class _Instances:
    """Stands for the rank lists, of which a rule on accuracy asks how many instances there are."""

    def __init__(self, users: Users) -> None:
        self.user = np.empty(int(users.instances.sum()))


def passes(name: str, users: Users, measured: Measured, config: Gate) -> bool:
    """Tells whether the check of that name holds."""
    evidence = cast(Evidence, _Instances(users))
    results: Iterable[RuleResult] = RULES[name.partition(".")[0]].decide(evidence, measured, config)
    return next(result.status == "pass" for result in results if result.name == name)


def share(count: int, of: int) -> dict[str, float]:
    """Returns a share with its 95% interval, by Wilson's formula, in percent."""
    z, p = 1.96, count / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return {
        name: round(100 * float(value), 2)
        for name, value in (("share", p), ("low", middle - half), ("high", middle + half))
    }


def conditions(counts: Iterable[int]) -> Iterable[dict[str, Any]]:
    """Yields every condition that is simulated, for these numbers of users."""
    config = Gate()
    way = cast(float, config.min_rls_above_floor), cast(float, config.min_worst_rls_above_floor)
    at = [FLOOR + share * (CEILING - FLOOR) for share in way]
    for users, shape in product(counts, SHAPES):
        where = {"users": users, "shape": shape}
        for scenarios, spread, noise in product(SCENARIOS, SPREADS, NOISES):
            given = {**where, "scenarios": scenarios, "spread": spread, "noise": noise}
            for name, low, high in (
                ("stability.rbo", (at[0], None), (at[0] + ABOVE, None)),
                ("stability.worst_rbo", (at[1] + ABOVE, at[1]), (at[1] + 2 * ABOVE, at[1] + ABOVE)),
            ):
                for truth, levels in (("at", low), ("above", high)):
                    if name != "stability.worst_rbo" or not spread:
                        yield {**given, "rule": name, "truth": truth, "levels": levels}
            for truth, gain in (("at", -config.max_stability_loss), ("above", ABOVE - config.max_stability_loss)):
                yield {**given, "rule": "gain.rbo", "truth": truth, "gain": gain}
        for truth, lead in (("at", -cast(float, config.max_churn_over_seed)), ("above", 0.0)):
            yield {**where, "rule": "churn.rbo", "truth": truth, "lead": lead}
        for against, drop in (("base", config.max_accuracy_drop_base), ("champion", config.max_accuracy_drop_champion)):
            for truth, ratio in (("at", 1 - drop), ("equal", 1.0)):
                yield {**where, "rule": f"accuracy.{against}", "truth": truth, "ratio": ratio}
    for spread, noise, nights in product(SPREADS, (0.007, 0.015), POOLED[1:]):
        given = {"users": 500, "shape": "real", "scenarios": 6, "spread": spread, "noise": noise, "nights": nights}
        for truth, mean in (("at", at[0]), ("above", at[0] + ABOVE)):
            yield {**given, "rule": "stability.rbo", "truth": truth, "levels": (mean, None)}


def key_of(condition: dict[str, Any]) -> str:
    """Returns what tells a condition from all others."""
    what = {key: list(value) if isinstance(value, tuple) else value for key, value in condition.items()}
    return json.dumps({key: what[key] for key in what if key not in ("gates", "passes", "again")}, sort_keys=True)


def simulated(condition: dict[str, Any], gates: int) -> dict[str, Any]:
    """Returns the condition with the share of gates that pass."""
    random = numpy_generator("calibration", json.dumps(condition, sort_keys=True))
    config, rule, passed = Gate(), condition["rule"], 0
    for _ in range(gates):
        users = Users(condition["users"], condition["shape"], random)
        passed += passes(rule, users, _drawn(condition, users), config)
    return {**condition, "gates": gates, "passes": share(passed, gates)}


def _drawn(condition: dict[str, Any], users: Users) -> Measured:
    rule = condition["rule"]
    if rule == "churn.rbo":
        return of_churn(users, condition["lead"])
    if rule.startswith("accuracy"):
        return of_accuracy(users, condition["ratio"], rule.partition(".")[2])
    noisy = condition["scenarios"], condition["spread"], condition["noise"]
    if rule == "gain.rbo":
        return of_gain(users, *noisy, condition["gain"])
    mean, worst = condition["levels"]
    return of_levels(users, *noisy, mean, worst, condition.get("nights", 1))


def page(found: list[dict[str, Any]]) -> str:
    """Returns the tables of docs/error_rates.md: false passes by rule, and how often good models are refused."""
    lines = [
        "| rule | conditions | false pass: mean | highest of 1,000 gates each | drawn again | highest of 10,000 | at |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(each["rule"] for each in found):
        at = [each for each in found if each["rule"] == name and each["truth"] == "at"]
        again = [each for each in at if "again" in each]
        worst = max(again or at, key=lambda each: float(each.get("again", each["passes"])["share"]))
        cells = [
            f"`{name}`",
            str(len(at)),
            f"{np.mean([each['passes']['share'] for each in at]):.1f}%",
            f"{max(each['passes']['share'] for each in at):.1f}%",
            str(len(again)),
            _interval(worst["again"]) if again else "",
            ", ".join(f"{key} {worst[key]}" for key in CONDITION if key in worst),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| scenarios | " + " | ".join(f"spread {spread:g}, noise {noise:g}" for spread, noise in POWER) + " |",
    ]
    lines.append("|---|" + "---|" * len(POWER))
    for scenarios in SCENARIOS:
        cells = [_refused(found, scenarios=scenarios, spread=spread, noise=noise) for spread, noise in POWER]
        lines.append(f"| {scenarios} | {' | '.join(cells)} |")
    lines += ["", "| spread | noise | " + " | ".join(f"{nights} nights pooled" for nights in POOLED[1:]) + " |"]
    lines.append("|---|---|" + "---|" * len(POOLED[1:]))
    for spread, noise in product(SPREADS, (0.007, 0.015)):
        cells = [_refused(found, scenarios=6, spread=spread, noise=noise, nights=nights) for nights in POOLED[1:]]
        lines.append(f"| {spread:g} | {noise:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(passes: dict[str, float]) -> str:
    return "{share:.1f}% [{low:.1f}, {high:.1f}]".format(**passes)


def _refused(found: list[dict[str, Any]], **condition: float) -> str:
    """Returns the share of models that are .02 above the bound and refused, of 500 users as on ml-100k."""
    wanted = {"rule": "stability.rbo", "truth": "above", "users": 500, "shape": "real", "nights": 1} | condition
    one = next(each for each in found if all(({"nights": 1} | each).get(key) == wanted[key] for key in wanted))
    return f"{100 - one['passes']['share']:.1f}%"


def main() -> None:
    """Simulates all conditions, prints the worst of each rule, and writes benchmarks/calibration.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=1000)
    parser.add_argument("--only", default="", help="rules whose name begins so")
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--resume", action="store_true", help="simulate what calibration.json lacks")
    parser.add_argument("--page", action="store_true", help="print the tables of what was measured last")
    given = parser.parse_args()
    if given.page:
        print(page(json.loads(JSON.read_text())["conditions"]), end="")
        return
    began = time.process_time()
    known: dict[str, Any] = json.loads(JSON.read_text()) if given.resume else {"cpu_s": 0, "conditions": []}
    there = {key_of(each): each for each in known["conditions"]}
    asked = [each for each in conditions(given.users) if each["rule"].startswith(given.only)]
    found = [there.get(key_of(each)) or simulated(each, given.gates) for each in asked]
    for each in found:
        if each["truth"] == "at" and each["passes"]["high"] > NOMINAL and "again" not in each:
            condition = {key: value for key, value in each.items() if key not in ("gates", "passes")}
            each["again"] = simulated({**condition, "drawn": "again"}, AGAIN * given.gates)["passes"]
    seconds = known["cpu_s"] + time.process_time() - began
    for name in dict.fromkeys(each["rule"] for each in found):
        at = [each for each in found if each["rule"] == name and each["truth"] == "at"]
        worst = max(at, key=lambda each: float(each.get("again", each["passes"])["share"]))
        where = {key: worst[key] for key in CONDITION if key in worst}
        print(f"{name}: false pass at most {worst.get('again', worst['passes'])} at {where}, of {len(at)} conditions")
    if not given.only:
        facts = {"date": datetime.now(UTC).date().isoformat(), "hardware": hardware(), "cpu_s": round(seconds)}
        JSON.write_text(json.dumps({**facts, "conditions": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
