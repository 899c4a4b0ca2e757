"""The command `finest tune`: runs a search on this machine, and writes the config that it found as a whole."""

import csv
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from components.sections import parse
from finest.durations import duration
from finest.errors import ConfigError
from finest.tuning.page import CONFIG, PAGE, TABLE
from pipeline import config as configs
from pipeline import state as states
from pipeline.config import Config
from pipeline.options import AsOf, ConfigFile, Name, Sets, StateFolder, console, examples, open_folder, settings
from pipeline.plain import say

FOLDER = "tune"
"""Folder of what a search found, in its run's folder."""


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    lines = (
        "finest tune --source clicks.csv --minutes 60",
        "finest tune --minutes 30 --output tuned",
        "finest tune --set 'tune.space={pretrain: {lr: {low: 0.0005, high: 0.005, log: true}}}'",
    )
    app.command(epilog=examples(*lines))(tune)


def tune(
    config: ConfigFile = None,
    source: Annotated[str | None, typer.Option(help="Interactions: a file, a folder, or the sample ml-100k.")] = None,
    name: Name = None,
    as_of: AsOf = None,
    minutes: Annotated[
        float | None, typer.Option(help="Of the whole search, earlier attempts included; tune.minutes.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Most configs to try; tune.trials.")] = None,
    sets: Sets = None,
    state: StateFolder = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for config.yaml, trials.csv and tune.md; the run's folder if not given.")
    ] = None,
) -> None:
    """Search for a more accurate or more stable config, on validation rows alone.

    A search that was stopped goes on when the same command is given again, and no trial that is over is made again.
    """
    own = {"tune.minutes": minutes, "tune.trials": trials}
    given = settings(sets, **own, name=name, source=source, as_of=as_of)
    here = states.use(state)
    loaded = configs.load(config or configs.QUICKSTART, given)
    if output and (output.is_file() or (output.is_dir() and any(output.iterdir()) and not (output / PAGE).exists())):
        raise ConfigError(f"{output}: holds something that no search wrote; give another folder as --output")
    open_folder(output)
    from pipeline import local

    out = console()
    folder, spent = local.carry_out(loaded, here, out, searches=True)
    found = folder / FOLDER
    (found / CONFIG).write_text(configs.dump(whole(loaded, found / CONFIG)))
    if output:
        shutil.copytree(found, output, dirs_exist_ok=True)
    _say(out, output or found, found, spent)


def whole(config: Config, found: Path) -> Config:
    """Returns a config with what a search found on top; the step knows sections alone, not where steps run."""
    values: dict[str, Any] = yaml.safe_load(found.read_text())
    ours = config.model_dump(mode="json")
    return parse(Config, {**ours, **values, "tune": ours["tune"]})  # KFP hands on the keys of its space in any order


def _say(out: Console, shown: Path, found: Path, spent: Any) -> None:
    from tracking import links

    page = (found / PAGE).read_text().splitlines()
    with (found / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    chosen = next(row for row in rows if row["chosen"] == "1")
    changed = [f"{key}={value}" for key, value in chosen.items() if "." in key and value != rows[0][key]]
    run = links.run(found.parent.name)
    for line in (
        page[2],
        f"Changed  {', '.join(changed) or 'nothing'}",
        f"Time     {duration(spent.wall)} wall, {spent.cpu:.0f} CPU s",
        f"Config   {shown / CONFIG}",
        f"Trials   {shown / TABLE}",
        f"Page     {shown / PAGE}",
        f"MLflow   {run}",
    ):
        say(out, line)
