"""Logs an experiment: the cells as runs below one parent, and its table on the parent."""

import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finest.experiments.record import Record
from tracking.answer import check
from tracking.closing import close_dead
from tracking.describe import log_params, log_tags, short_name
from tracking.runs import children, open_child, open_parent
from tracking.store import connect, state_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

CELL = "cell"
"""Name of the tag with a cell's key."""
FOLDER = "experiment"
"""Folder of the table and the plot among the artifacts of the parent."""


def opened(id: str, experiment: str, config: Mapping[str, Any], *, line: str, source: str, seed: int) -> str:
    """Opens an experiment's parent run, or reopens it where the experiment goes on, and returns its id.

    Args:
        id: What stands for the experiment, as KFP's id of a run stands for a run.
        experiment: Name of the experiment.
        config: Plain data.
        line: Name of the line.
        source: URI or name of the data.
        seed: The first seed.
    """
    os.environ["KFP_RUN_ID"] = id
    check(line)
    here = f"{socket.gethostname()}:{state_folder()}"  # one at a time there, by the state's lock
    close_dead(lambda tags: tags.get("place") == here)
    parent = open_parent(config, line=line, source=source, seed=seed, tags={"place": here})
    named(connect(), parent, experiment)
    return parent


def named(client: "MlflowClient", parent: str, experiment: str) -> None:
    """Puts the experiment into the name and a tag of its parent run."""
    run = client.get_run(parent)
    day = str(run.info.run_name).partition(" ")[0]
    client.update_run(parent, name=f"{day} experiment {experiment} {short_name(run.data.tags.get('source', ''))}")
    client.set_tag(parent, "experiment", experiment)


class Cells:
    """Logs the cells of one experiment below a parent run. Those that are there already are left as they are."""

    def __init__(self, parent: str):
        self.client, self.parent = connect(), parent
        self.there = {
            child.data.tags[CELL]
            for child in children(self.client, parent)
            if CELL in child.data.tags and child.data.tags.get("state") == "finished"
        }

    def add(self, record: Record) -> None:
        """Logs a cell that is over: what it is as params, the numbers of its rows as metrics, and what it took."""
        if record.key in self.there:
            return
        tags = {CELL: record.key, "state": record.state, "reason": record.reason, "experiment": record.cell.experiment}
        shown = {key: value for key, value in tags.items() if value}
        id = open_child(self.client, self.parent, record.cell.name, shown)
        what = {key: str(value) for key, value in record.cell.what.items()}
        log_params(self.client, id, {**what, "seed": str(record.cell.seed)})
        now = int(time.time() * 1000)
        for name, value in metrics(record).items():
            self.client.log_metric(id, name, value, now, 0)
        self.client.set_terminated(id, "FAILED" if record.state == "broken" else "FINISHED")
        if record.state == "finished":
            self.there.add(record.key)

    def end(self, experiment: str, folder: Path, note: str, broken: int) -> None:
        """Logs what came of the experiment on the parent: its name, table and plot, and the page as the run's note."""
        named(self.client, self.parent, experiment)
        self.client.log_artifacts(self.parent, str(folder), FOLDER)
        log_tags(self.client, self.parent, {"mlflow.note.content": note, "broken_cells": broken})


def metrics(record: Record) -> dict[str, float]:
    """Returns a cell's numbers by name, like `network/rbo`; further columns and labels are in it where rows differ."""
    labels = len({row.label for row in record.rows}) > 1
    found: dict[str, float] = {"cost/wall_s": record.cost.wall_s, "cost/cpu_s": record.cost.cpu_s}
    found["cost/peak_mb"] = record.cost.peak_mb
    for row in record.rows:
        more = [value for name, value in row.more.items() if len({one.more.get(name) for one in record.rows}) > 1]
        place = "/".join([*([row.label] if labels else []), *more, row.of])
        for name, value in row.values.items():
            found["".join(c if c.isalnum() or c in "_-. /" else " " for c in f"{place}/{name}")] = value
    return {name: value for name, value in found.items() if math.isfinite(value)}
