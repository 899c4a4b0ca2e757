"""Nights run one after the other, each as the nightly command runs it, over a feed to which things happen."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import pyarrow as pa

from tests import nights

ROOT = Path(__file__).parents[1]
FIRST = date(2026, 11, 16)
"""`as_of` of the first night."""
LATE_SHARE = 0.1
POISON = {"light": 0.005, "heavy": 0.3}
SMALL_MODEL = (
    "pretrain.model.hidden_size=32",
    "pretrain.model.max_length=20",
    "pretrain.memory.serve=stack",
)
"""A training of seconds, whose network is served whatever it is worth. The gate's bounds stay nightly.yaml's own."""


@dataclass(frozen=True)
class Night:
    """What is out of the ordinary in a night, and how it should end."""

    title: str
    event: str = ""
    """What befalls the newest day: lost, late (a part comes with the next day), twice, empty; or the whole window:
    light, heavy (poison)."""
    verdict: str = "pass"
    says: str = ""
    """Part of the verdict's reason or of one of its notes."""
    fails: str = ""
    """A rule that must be among those that do not hold."""


@dataclass(frozen=True)
class Ended:
    """A night that is over."""

    night: Night
    as_of: date
    code: int
    verdict: dict[str, Any]
    champion: str
    """The version in production afterwards; '' for none."""
    previous: str
    """The version that a rollback would bring back."""


@dataclass
class Feed:
    """Days in partitions below `folder`, as somebody delivers them."""

    folder: Path
    world: list[tuple[date, pa.Table]]
    window: int

    def __post_init__(self) -> None:
        self.clean: dict[date, pa.Table] = {}
        self.late: pa.Table | None = None
        for day, rows in self.world[: self.window]:
            self._put(day, rows)

    def night(self, number: int, event: str) -> None:
        """Brings the day before night `number`, and mends what the last night had broken."""
        for day, rows in self.clean.items():
            nights.deliver(self.folder, day, rows)
        if number:
            self._bring(*self.world[self.window + number - 1], event)
        if share := POISON.get(event):
            for day, rows in self.clean.items():
                nights.deliver(self.folder, day, nights.poisoned(rows, share, seed=0))

    def _bring(self, day: date, rows: pa.Table, event: str) -> None:
        if self.late is not None:
            nights.deliver(self.folder, day, self.late, "late")
            self.late = None
        if event == "lost":
            return
        if event == "empty":
            rows = rows.slice(0, 0)
        if event == "late":
            rows, self.late = nights.some_late(rows, LATE_SHARE, seed=0)
        if event == "twice":
            nights.deliver(self.folder, day, rows, "again")
        self._put(day, rows)

    def _put(self, day: date, rows: pa.Table) -> None:
        self.clean[day] = rows
        nights.deliver(self.folder, day, rows)


class Runner(Protocol):
    """Something that runs a night to its end."""

    def run(self, night: Night, as_of: date) -> Ended:
        """The night, and what came of it."""
        ...


def ended(night: Night, as_of: date, code: int, verdict: Path, state: Path) -> Ended:
    """What came of a night: its verdict's file, and the aliases in the state's registry."""
    from tracking.registry import list_versions

    with patch.dict(os.environ, {"FINEST_STATE": str(state)}):
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        aliases = {alias: one.version for one in list_versions("finest") for alias in one.aliases}
    return Ended(
        night, as_of, code, json.loads(verdict.read_text()), aliases.get("champion", ""), aliases.get("previous", "")
    )


@dataclass(frozen=True)
class Command:
    """Runs nights by the command, with a state of their own.

    `source` is the feed as the command is told of it; `settings` go on top of nightly.yaml.
    """

    source: str
    state: Path
    settings: Sequence[str]
    environment: dict[str, str]

    def run(self, night: Night, as_of: date) -> Ended:
        """One night, to its end."""
        sets = [
            part
            for setting in (*SMALL_MODEL, "name=finest", "preflight.min_free_gb=0", *self.settings)
            for part in ("--set", setting)
        ]
        command = [
            sys.executable,
            "-m",
            "pipeline",
            "run",
            "--config",
            "nightly",
            "--source",
            self.source,
            "--as-of",
            str(as_of),
        ]
        done = subprocess.run(
            [*command, *sets], cwd=ROOT, env=self._variables(), capture_output=True, text=True, timeout=600
        )
        folder = max((self.state / "runs").iterdir())
        assert (folder / "verdict.json").exists(), f"{night.title}: {done.stderr}"
        return ended(night, as_of, done.returncode, folder / "verdict.json", self.state)

    def _variables(self) -> dict[str, str]:
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FINEST_", "MLFLOW_", "KFP_", "AWS_"))
        }
        return {**plain, "FINEST_STATE": str(self.state), "OMP_NUM_THREADS": "1", **self.environment}


def simulate(plan: Sequence[Night], feed: Feed, runner: Runner) -> list[Ended]:
    """Runs the nights of `plan`. Raises AssertionError where one ends in another way than it should."""
    over: list[Ended] = []
    for number, night in enumerate(plan):
        feed.night(number, night.event)
        over.append(runner.run(night, FIRST + timedelta(days=number)))
        check(over)
    return over


def check(over: Sequence[Ended]) -> None:
    """Whether the last night ended as it should, exit code, verdict and aliases."""
    last, before = over[-1], over[-2] if len(over) > 1 else None
    found, told = last.verdict["verdict"], " ".join([last.verdict["reason"], *last.verdict["notes"]])
    broken = [rule["name"] for rule in last.verdict["rules"] if rule["status"] == "fail"]
    assert found == last.night.verdict, f"{last.night.title}: {found}: {last.verdict['reason']}"
    assert last.code == {"pass": 0, "skipped": 0, "fail": 3}[found], f"{last.night.title}: exit code {last.code}"
    assert last.night.says in told, f"{last.night.title}: the verdict does not say {last.night.says!r}"
    meant = [(rule["status"], rule["value"]) for rule in last.verdict["rules"] if rule["name"] == last.night.fails]
    assert last.night.fails in broken or not last.night.fails, (
        f"{last.night.title}: {broken} do not hold, {last.night.fails} is {meant}"
    )
    was, earlier = (before.champion, before.previous) if before else ("", "")
    if found == "pass":
        assert (last.champion != was, last.previous) == (True, was), f"{last.night.title}: not promoted: {last}"
        assert last.verdict["reference"] == (f"champion/{was}" if was else "base"), (
            f"{last.night.title}: {last.verdict['reference']}"
        )
    else:
        assert (last.champion, last.previous) == (was, earlier), f"{last.night.title}: production has moved: {last}"


def world(count: int, window: int, users: int, items: int) -> list[tuple[date, pa.Table]]:
    """The days that `count` nights over a window can see, the first ones before the first night."""
    return list(nights.days(FIRST - timedelta(days=window), window + count - 1, users, items, seed=0))
