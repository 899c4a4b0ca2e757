"""Shows the last nights: what came of them, and whether the newest verdict is as new as it should be."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from finest.durations import duration
from finest.errors import ConfigError, FinestError
from pipeline.options import say
from pipeline.table import STATUS_STYLES, number
from tracking import ledger, links, standing
from tracking.history import Past, last_judged, past_runs, registered_model
from tracking.runs import NIGHT
from tracking.store import asked, masked, uri

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
METRICS = {"RLS": "rls/rbo", "churn": "churn/rbo", "MRR": "accuracy/mrr", "coverage": "coverage/at_10"}


def age(text: str) -> timedelta:
    """Reads a length of time. Raises ConfigError.

    >>> age("26h"), age("90m")
    (datetime.timedelta(days=1, seconds=7200), datetime.timedelta(seconds=5400))
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhd])", text.strip())
    if not found:
        raise ConfigError(f"--max-age {text!r}: write a number and m, h or d, like 26h")
    return float(found[1]) * UNITS[found[2]]


def show(console: Console, count: int) -> None:
    """Prints a row for every run, newest first."""
    columns = "night", "started (UTC)", "took", "verdict", *METRICS, "run"
    table = Table(*columns, title=f"Last runs in MLflow at {masked(uri())}", title_justify="left")
    for past in past_runs(count):
        took = duration((past.ended - past.started).total_seconds()) if past.ended else "running"
        values = [number(past.metrics.get(key)) for key in METRICS.values()]
        night = past.tags.get(NIGHT, "")[:10]
        table.add_row(night, f"{past.started:%Y-%m-%d %H:%M}", took, _verdict(past), *values, past.kfp_run)
    console.print(table)
    if links.served():
        say(console, f"MLflow   {asked(links.table)}")


def facts(count: int) -> dict[str, Any]:
    """Returns what `show` prints, for programs."""
    return {"tracking_uri": masked(uri()), "runs": [_facts(past) for past in past_runs(count)]}


def _facts(past: Past) -> dict[str, Any]:
    return {
        "run": past.kfp_run,
        "name": past.name,
        "night": past.tags.get(NIGHT, "")[:10] or None,
        "state": past.status.lower(),
        "verdict": past.verdict,
        "started": past.started.isoformat(),
        "ended": past.ended.isoformat() if past.ended else None,
        "metrics": {name: value for name, value in past.metrics.items() if math.isfinite(value)},
    }


def check_age(limit: timedelta, now: datetime | None = None) -> str:
    """Returns a line on the newest verdict. Raises FinestError where it is older than `limit`, or there is none."""
    advice = "see `finest status` and the runs in KFP: did the night start, and where did it end?"
    last = last_judged()
    if last is None or last.judged is None:
        raise FinestError(f"no run has a verdict yet; {advice}")
    old = (now or datetime.now(UTC)) - last.judged
    said = f"the newest verdict ({last.verdict}, run {last.kfp_run}) is {_hours(old)} old"
    if old > limit:
        raise FinestError(f"{said}, and may be {_hours(limit)}; {advice}")
    return said


def check_line() -> None:
    """Raises FinestError where what is in production is not what the ledger of the newest verdict's line says."""
    last = last_judged()
    name = registered_model(last.kfp_run) if last else None
    if name is None:
        return
    now = asked(lambda: standing.stand(name))
    ledger.unbroken(now.log)
    if problem := now.gone or now.moved:
        raise FinestError(problem)


def _hours(span: timedelta) -> str:
    return f"{span / UNITS['h']:.1f} h"


def _verdict(past: Past) -> Text:
    if past.verdict:
        return Text(past.verdict, style=STATUS_STYLES[past.verdict])
    return Text("" if past.status == "RUNNING" else past.status.lower(), style="bold red")
