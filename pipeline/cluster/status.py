"""Shows the last nights: what came of them, and whether the newest verdict is as new as it should be."""

import math
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from finest.durations import duration
from finest.errors import ConfigError, FinestError
from finest.secrets import masked
from pipeline.plain import Table, say
from pipeline.table import STATUS_STYLES, number
from tracking import ledger, links, standing
from tracking.answer import asked
from tracking.history import Past, last_judged, past_runs
from tracking.runs import APPROVAL, LINE, NIGHT
from tracking.store import connect, lines, uri

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
METRICS = {"RLS": "rls/rbo", "churn": "churn/rbo", "MRR": "accuracy/mrr", "coverage": "coverage/at_10"}


def age(text: str) -> timedelta:
    """Reads a length of time. Raises ConfigError.

    >>> age("26h"), age("90m")
    (datetime.timedelta(days=1, seconds=7200), datetime.timedelta(seconds=5400))
    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([mhd])", text.strip())
    if not found:
        raise ConfigError(f"--max-age {text!r}: write a number and m, h or d, like 26h")
    return float(found[1]) * UNITS[found[2]]


def show(console: Console, count: int, line: str = "") -> None:
    """Prints a row for every run, newest first; of a line, or of all where none is named."""
    columns = "line", "night", "started (UTC)", "took", "verdict", *METRICS, "run"
    table = Table(*columns, title=f"Last runs in MLflow at {masked(uri())}")
    for past in past_runs(count, line):
        took = duration((past.ended - past.started).total_seconds()) if past.ended else "running"
        values = [number(past.metrics.get(key)) for key in METRICS.values()]
        night = past.tags.get(NIGHT, "")[:10]
        table.add_row(
            past.tags.get(LINE, ""),
            night,
            f"{past.started:%Y-%m-%d %H:%M}",
            took,
            _verdict(past),
            *values,
            past.kfp_run,
        )
    table.show(console)
    if links.served():
        say(console, f"MLflow   {asked(lambda: links.table(line) if line else links.home())}")


def facts(count: int, line: str = "") -> dict[str, Any]:
    """Returns what `show` prints, for programs."""
    return {"tracking_uri": masked(uri()), "runs": [_facts(past) for past in past_runs(count, line)]}


def _facts(past: Past) -> dict[str, Any]:
    return {
        "line": past.tags.get(LINE) or None,
        "run": past.kfp_run,
        "name": past.name,
        "night": past.tags.get(NIGHT, "")[:10] or None,
        "state": past.status.lower(),
        "verdict": past.verdict,
        "approval": past.tags.get(APPROVAL),
        "started": past.started.isoformat(),
        "ended": past.ended.isoformat() if past.ended else None,
        "metrics": {name: value for name, value in past.metrics.items() if math.isfinite(value)},
    }


def check(limit: timedelta, line: str = "") -> str:
    """Returns what `check_age` says. Raises FinestError with all that it and `check_lines` find."""
    said, problems = "", list[str]()
    for look in (partial(check_age, limit, line), partial(check_lines, line)):
        try:
            said += look()
        except FinestError as error:
            problems.append(str(error))
    if problems:
        raise FinestError("; ".join(problems))
    return said


def check_age(limit: timedelta, line: str = "", now: datetime | None = None) -> str:
    """Returns in one sentence a line how old its newest verdict is.

    Args:
        limit: How old it may be.
        line: Name of the line; all that have had a run where it is empty.
        now: The time; that of this machine if not given.

    Raises:
        FinestError: It is older, or there is none: in one line for all lines of which that is so.
    """
    ages = [_age(name, limit, now or datetime.now(UTC)) for name in _names(line)]
    late = [said for said, well in ages if not well] or ([] if ages else ["no run has a verdict yet"])
    if late:
        advice = "see `finest status` and the runs in KFP: did the night start, and where did it end?"
        raise FinestError(f"{'; '.join(late)}; {advice}")
    return "\n".join(said for said, _ in ages)


def _age(line: str, limit: timedelta, now: datetime) -> tuple[str, bool]:
    """Returns what is said of a line's newest verdict, and whether that is as it should be."""
    last = last_judged(line)
    if last is None or last.judged is None:
        return f"{line}: no run has a verdict yet", False
    old = now - last.judged
    said = f"{line}: the newest verdict ({last.verdict}, run {last.kfp_run}) is {_hours(old)} old"
    return (said, True) if old <= limit else (f"{said}, and may be {_hours(limit)}", False)


def check_lines(line: str = "") -> str:
    """Raises FinestError where what is in production is not what the ledger says, of a line or of all; else silent."""
    problems = [problem for name in _names(line) if (problem := _problem(name))]
    if problems:
        raise FinestError("; ".join(problems))
    return ""


def _problem(line: str) -> str | None:
    now = asked(lambda: standing.stand(line))
    ledger.unbroken(now.log)
    return now.gone or now.moved


def _names(line: str) -> list[str]:
    """Returns the line's name; those of all that have had a run where it is empty."""
    return [line] if line else asked(lambda: lines(connect()))


def _hours(span: timedelta) -> str:
    return f"{span / UNITS['h']:.1f} h"


def _verdict(past: Past) -> Text:
    if past.verdict:
        said = ", ".join(filter(None, [past.verdict, past.tags.get(APPROVAL)]))
        return Text(said, style=STATUS_STYLES[past.verdict])
    return Text("" if past.status == "RUNNING" else past.status.lower(), style="bold red")
