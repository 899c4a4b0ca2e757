"""A thousand made-up years of nights, judged on accuracy: `python -m benchmarks.years`, a minute on one core.

A night's candidate is as good as the champion, or worse by the same share every night; its training has luck of its
own, and the night's ratio an error of sampling. Whoever passes becomes champion; nobody acts on a refusal. The base
model falls with the candidate, so that against it nothing changes. Writes benchmarks/years.json and prints the table of
docs/error_rates.md. The detector is the gate's own (finest/gate/monitor.py).
"""

import argparse
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from benchmarks.bench import commit, hardware
from finest.gate import monitor
from finest.gate.config import Gate
from finest.gate.judge import DROPS
from finest.gate.statistic import CONFIDENCE, Floats, quantile
from finest.section import Section

Bools = npt.NDArray[np.bool_]

FILE = Path(__file__).parent / "years.json"
NIGHTS, MONTH = 365, 30
CREEPS = (0.0, 0.01, 0.02, 0.05)
"""Shares of MRR that every candidate lacks of the champion's."""
LOOK_BACK = 60
"""Number of nights whose controls tell the noise of training."""


class World(Section):
    """Describes the data and the trainings of a line, and its bounds."""

    error: float
    """Standard error of the ratio candidate / champion, by users; that of candidate / base is half of it."""
    noise: float = 0.005
    """Standard deviation of log MRR between equal trainings."""
    champion: float = Gate().max_accuracy_drop_champion
    base: float = Gate().max_accuracy_drop_base


WORLDS = (
    World(error=0.003),
    World(error=0.01),
    World(error=0.03),
    World(error=0.03, champion=0.12, base=0.06),
    World(error=0.003, noise=0.015),
)


class Result(Section):
    """Holds what came of one world and creep, under the old rules alone or with the new one."""

    world: World
    creep: float
    trend: bool
    """Whether the rule `trend` was on."""
    refused: float
    """Refused nights a month."""
    interval: tuple[float, float]
    """Its 95% interval, over years."""
    by_trend: float
    """Nights a month that `trend` refused."""
    nights: float
    """Median of the first refused night; the number of nights in a year where it never came."""
    late: float
    """The same, of the latest 5% of years."""
    lost: float | None
    """Mean share of MRR that the champion had lost when the first candidate was refused."""
    lost_in_a_year: float


def main() -> None:
    """Runs the command."""
    words = argparse.ArgumentParser(description="Error rates of the accuracy rules over years of nights.")
    words.add_argument("--years", type=int, default=1000)
    given = words.parse_args()
    results = [
        live(world, creep, trend, given.years) for world in WORLDS for creep in CREEPS for trend in (False, True)
    ]
    about = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "hardware": hardware()}
    content = {**about, "years": given.years, "results": [one.model_dump() for one in results]}
    FILE.write_text(json.dumps(content, indent=1) + "\n")
    print(table(results))


def live(world: World, creep: float, trend: bool, years: int, seed: int = 0) -> Result:
    """Lives through that many years at once, night by night."""
    random = np.random.default_rng(
        [seed, round(creep * 1000), round(world.error * 10_000), round(world.noise * 10_000)]
    )
    nights = Gate().false_alarm_nights
    level, luck = np.zeros(years), world.noise * random.standard_normal(years)
    ratios, alarmed = np.full((years, monitor.CHAMPIONS - 1), np.nan), np.zeros(years, bool)
    controls = np.full((years, LOOK_BACK), np.nan)
    refusals, first, lost, by_trend = np.zeros(years), np.full(years, NIGHTS), np.full(years, np.nan), 0
    for night in range(NIGHTS):
        own = world.noise * random.standard_normal(years)
        ratio = math.log1p(-creep) + own - luck + world.error * random.standard_normal(years)
        against_base = world.error / 2 * random.standard_normal(years)
        refused = _too_low(ratio, world.error, world.champion) | _too_low(against_base, world.error / 2, world.base)
        alarm = np.zeros(years, bool)
        if trend:
            noise = monitor.pooled_noise(np.nansum(controls, axis=1), np.count_nonzero(~np.isnan(controls), axis=1))
            alarm = _alarm(np.column_stack([ratio, ratios]), noise, alarmed, world, nights)
        controls[:, night % LOOK_BACK] = _control(world, random, years)
        refused |= alarm
        by_trend += int(np.count_nonzero(alarm))
        never = refusals == 0
        first, lost = np.where(refused & never, night + 1, first), np.where(refused & never, -np.expm1(level), lost)
        refusals += refused
        ratios = np.where(refused[:, None], ratios, np.column_stack([ratio, ratios[:, :-1]]))
        level, luck = np.where(refused, level, level + math.log1p(-creep)), np.where(refused, luck, own)
        alarmed = (alarmed | alarm) & refused
    monthly = refusals / NIGHTS * MONTH
    half = float(stats.norm.ppf(0.975) * monthly.std(ddof=1) / math.sqrt(years))
    return Result(
        world=world,
        creep=creep,
        trend=trend,
        refused=float(monthly.mean()),
        interval=(float(monthly.mean()) - half, float(monthly.mean()) + half),
        by_trend=by_trend / years / NIGHTS * MONTH,
        nights=float(np.median(first)),
        late=float(np.quantile(first, 0.95)),
        lost=None if np.isnan(lost).all() else float(np.nanmean(lost)),
        lost_in_a_year=float(-np.expm1(level).mean()),
    )


def _too_low(ratio: Floats, error: float, drop: float) -> Bools:
    """Tells where the lower bound of a ratio is under 1 - `drop`."""
    return np.asarray(np.exp(ratio) * (1 - quantile(CONFIDENCE, np.inf) * error) < 1 - drop)


def _alarm(ratios: Floats, noise: Floats, alarmed: Bools, world: World, nights: float) -> Bools:
    """Tells by the ratios [years, N], tonight first and NaN behind the first champion, which candidates are refused."""
    there = ~np.isnan(ratios)
    variance = np.full(ratios.shape, world.error**2)
    logs = monitor.log_evidence(np.where(there, ratios, 0.0), variance, noise, world.champion / DROPS)
    evidence = special.logsumexp(np.where(there, logs, -np.inf), axis=1)
    return np.asarray(evidence >= np.log(monitor.bound(nights, alarmed)))


def _control(world: World, random: np.random.Generator, years: int) -> Floats:
    """Returns what the controls of a night say of the noise of training: a seed's and rounding's."""
    error = world.error / 2
    spread = math.sqrt(2 * world.noise**2 + error**2)
    squares = (spread * random.standard_normal((2, years))) ** 2
    return np.asarray((squares.mean(axis=0) - error**2) / 2)


def table(results: list[Result]) -> str:
    """Returns the results as Markdown."""
    lines = [
        "| standard error | noise of training | bounds | a night's drop | rules | refused nights a month | by "
        "`trend` | first refused night: median, latest 5% | MRR lost by then | in a year |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        world = one.world
        never = one.nights >= NIGHTS
        lost = "-" if one.creep == 0 or one.lost is None else f"{one.lost:.1%}"
        cells = [
            f"{world.error:.1%}",
            f"{world.noise:.1%}",
            f"{world.champion:.0%}, {world.base:.0%}",
            "equal" if one.creep == 0 else f"{one.creep:.0%}",
            "with `trend`" if one.trend else "without",
            f"{one.refused:.2f} [{one.interval[0]:.2f}, {one.interval[1]:.2f}]",
            f"{one.by_trend:.2f}" if one.trend else "",
            "never" if never else f"{one.nights:.0f}, {'never' if one.late >= NIGHTS else f'{one.late:.0f}'}",
            lost,
            "-" if one.creep == 0 else f"{one.lost_in_a_year:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
