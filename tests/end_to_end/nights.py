"""Nights on an installation whose services go away when the night comes to certain moments, and what came of them."""

import math
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from components.events import read
from tests.end_to_end.conftest import ROOT, Place, Ran
from tests.end_to_end.test_resume import same_lists, stable_part, wait_for
from tests.services.outage import BUCKET, Installation
from tracking import registry
from tracking.runs import children, parent_of
from tracking.store import connect

Moment = tuple[str, str]
"""The first event of its kind, of a step."""
MOMENTS: Sequence[Moment] = [
    ("preflight", "start"),
    ("ingest", "start"),
    ("champion", "start"),
    ("perturb", "start"),
    ("pretrain", "start"),
    ("pretrain", "progress"),
    ("finetune", "progress"),
    ("gate", "start"),
    ("promote", "start"),
    ("notify", "start"),
]
OF_TIME = re.compile(r"seconds|per_second|^system/|cost/|memory|^canary/")
"""Metrics that no two runs have alike."""


def in_turn(first: int) -> dict[Moment, str]:
    """A service for every moment, each after the other."""
    services = ("store", "database", "mlflow")
    return {moment: services[(first + number) % 3] for number, moment in enumerate(MOMENTS)}


@dataclass
class Outages:
    """Services that go away when a run comes to certain moments, one at a time."""

    installation: Installation
    seconds: float
    """How long; until the run has ended, where it is infinite."""
    plan: Mapping[Moment, str]
    """Which service goes at a moment."""
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self, events: Path, run: subprocess.Popen[str]) -> None:
        """Returns when the run has ended and all services are back."""
        seen: set[Moment] = set()
        while run.poll() is None:
            for moment in {(event.step, event.kind) for event in read(events)[0]} & self.plan.keys() - seen:
                seen.add(moment)
                self.threads.append(threading.Thread(target=self._away, args=(self.plan[moment],), daemon=True))
                self.threads[-1].start()
            time.sleep(0.02)
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert seen == set(self.plan), run.communicate()

    def _away(self, name: str) -> None:
        with self.lock:
            service = self.installation.services[name]
            service.down()
            self.over.wait(self.seconds if self.seconds < math.inf else None)
            service.up()


def upload(place: Place, installation: Installation) -> None:
    """Puts the place's data into the bucket, as days of Parquet."""
    rows = pacsv.read_csv(place.source)
    half = len(rows) // 2
    for day, part in (("2024-01-01", rows.slice(0, half)), ("2024-01-02", rows.slice(half))):
        folder = installation.s3.root / BUCKET / "interactions" / f"dt={day}"
        folder.mkdir(parents=True)
        pq.write_table(part, folder / "part-0.parquet")


def a_night(
    installation: Installation, place: Place, state: str, *arguments: str, outages: Outages | None = None, **more: str
) -> Ran:
    """Runs the pipeline on the installation, with a registered model of its own."""
    placed = [
        f"source=s3://{BUCKET}/interactions",
        f"checkpoints=s3://{BUCKET}/{state}",
        f"name={state}",
    ]
    command = place.command("run", *[part for setting in placed for part in ("--set", setting)], *arguments)
    environment = place.environment(state, **(installation.environment | more))
    run = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if outages:
        wait_for(lambda: list((place.folder / state / "runs").glob("*")), run)
        outages.watch(place.last(state) / "events.jsonl", run)
    said = run.communicate()
    return Ran(subprocess.CompletedProcess(command, run.returncode, *said), place.last(state))


def measured(ran: Ran) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """By step or variant, and metric, all points that MLflow has, times aside."""
    client = connect()
    parent = parent_of(client, ran.folder.name)
    assert parent is not None
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for run in [client.get_run(parent), *children(client, parent)]:
        of = next((run.data.tags[tag] for tag in ("step", "variant") if tag in run.data.tags), "night")
        assert of not in found
        found[of] = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
            if not OF_TIME.search(name)
        }
    return {of: metrics for of, metrics in found.items() if metrics}


def alike(disturbed: Ran, undisturbed: Ran, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Checks that a night on the installation came to what one on files did.

    Returns its log's lines on waits that are over.
    """
    assert disturbed.process.returncode == undisturbed.process.returncode == 0, disturbed.process.stderr
    assert same_lists(disturbed.folder, undisturbed.folder)
    assert stable_part(disturbed.folder) == stable_part(undisturbed.folder)
    with monkeypatch.context() as patch:  # its MLflow is that of its own state
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("FINEST_STATE", str(undisturbed.folder.parents[1]))
        theirs = measured(undisturbed)
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    ours = measured(disturbed)
    differ = {key: (ours.get(key), theirs.get(key)) for key in ours | theirs if ours.get(key) != theirs.get(key)}
    assert not differ, differ
    assert sum(map(len, ours.values())) > 100
    name = disturbed.folder.parents[1].name
    champion = registry.champion(name)
    assert (
        champion is not None and champion.kfp_run_id == disturbed.folder.name and len(registry.list_versions(name)) == 1
    )
    return [line for line in (disturbed.folder / "kfp.log").read_text().splitlines() if " is back after " in line]
