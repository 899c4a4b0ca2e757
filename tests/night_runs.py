"""Nights run one after the other, each as the nightly command runs it, over a feed to which things happen."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
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


def simulate(plan: Sequence[Night], feed: Feed, runner: Runner) -> Iterator[Ended]:
    """Runs the nights of `plan`, one after the other."""
    for number, night in enumerate(plan):
        feed.night(number, night.event)
        yield runner.run(night, FIRST + timedelta(days=number))


def wrong(last: Ended, before: Ended | None = None) -> list[str]:
    """In what a night did not end as it should: verdict, exit code, words, rules and aliases.

    `before` is the night before it; None for the first.
    """
    found, told = last.verdict["verdict"], " ".join([last.verdict["reason"], *last.verdict["notes"]])
    rules = {rule["name"]: rule for rule in last.verdict["rules"]}
    was, earlier = (before.champion, before.previous) if before else ("", "")
    moved = (last.champion, last.previous) != (was, earlier)
    reference = f"champion/{was}" if was else "base"
    says = {
        f"verdict {found}, not {last.night.verdict}: {last.verdict['reason']}": found == last.night.verdict,
        f"exit code {last.code}": last.code == {"pass": 0, "skipped": 0, "fail": 3}.get(found),
        f"the verdict does not say {last.night.says!r}": last.night.says in told,
        f"{last.night.fails} is not what fails: {rules.get(last.night.fails)}": (
            not last.night.fails or rules.get(last.night.fails, {}).get("status") == "fail"
        ),
        f"not promoted: {last.champion} after {was}, previous {last.previous}": (
            found != "pass" or (last.champion != was and last.previous == was)
        ),
        f"reference {last.verdict['reference']}": found != "pass" or last.verdict["reference"] == reference,
        f"production has moved: {last.champion} after {was}, previous {last.previous}": found == "pass" or not moved,
    }
    return [f"{last.night.title}: {words}" for words, holds in says.items() if not holds]


def all_wrong(nights: Sequence[Ended]) -> list[str]:
    """In what any of the nights that followed each other did not end as it should."""
    return [words for night, before in zip(nights, [None, *nights], strict=False) for words in wrong(night, before)]


def world(count: int, window: int, users: int, items: int) -> list[tuple[date, pa.Table]]:
    """The days that `count` nights over a window can see, the first ones before the first night."""
    return list(nights.days(FIRST - timedelta(days=window), window + count - 1, users, items, seed=0))
