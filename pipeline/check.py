"""The command `finest check`: what a source is, what a run would make of it, and the config for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from finest.data.check.checked import merged
from finest.data.schema import Manifest
from finest.plural import counted
from finest.training.config import EPOCHS
from pipeline import config as configs
from pipeline.config import Config
from pipeline.options import Json, Sets, console, examples, print_json
from pipeline.plain import say

COUNTS = (
    "source_rows",
    "quarantined_rows",
    "quarantined_by_reason",
    "kcore_dropped_rows",
    "interactions",
    "users",
    "items",
    "train_interactions",
    "instances",
    "repeated_share",
    "users_cut_inside_a_tie",
)
"""What is taken from the sample's manifest."""


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    app.command(
        epilog=examples(
            "finest check clicks.csv",
            "finest check s3://bucket/interactions --config nightly",
            "finest check data --json",
        )
    )(check)


def check(
    source: Annotated[str, typer.Argument(help="Interactions: a file, a folder, a table, or the sample ml-100k.")],
    config: Annotated[
        Path | None,
        typer.Option(parser=configs.find, metavar="FILE|NAME", help="Config to begin with; none if not given."),
    ] = None,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Look at a source: reads a sample in seconds, starts nothing, and prints the config to run it with.

    Exit codes: 0 a run can begin with the config as given; 1 it cannot: each reason is said, with what mends it; 2
    usage or config.
    """
    values = configs.assigned(sets or [], configs.read(config) if config else {})
    found = examined(source, configs.load(config, sets or []))
    found["config"] = merged(values, found["config"])
    if as_json:
        print_json(found)
    else:
        show(console(), found)
    if found["mistakes"]:
        raise typer.Exit(1)


def examined(uri: str, loaded: Config) -> dict[str, Any]:
    """Returns what a source is, as `--json` prints it.

    Raises:
        FinestError: Nothing can be listed there.
    """
    from components import source as sources
    from finest.data.check import check as checks

    resolved = sources.resolve(uri)
    found = checks.check(resolved.filesystem, resolved.root, resolved.files, loaded.ingest)
    overrides: dict[str, Any] = {"source": uri}
    if found.only:
        overrides["source"] = uri.rstrip("/") + found.only.removeprefix(resolved.root)
    if found.settings:
        overrides["ingest"] = found.settings
    counts, about = {}, None
    if (manifest := found.manifest) is not None:
        if found.whole and manifest.items < loaded.finetune.list_length:
            top_k = manifest.items // 2
            overrides["finetune"] = {"top_k": top_k}
            found.mistakes.append(
                f"{manifest.items} items, but finetune.top_k={loaded.finetune.top_k} needs"
                f" {loaded.finetune.list_length}; set finetune.top_k={top_k}"
            )
        counts = {name: getattr(manifest, name) for name in COUNTS}
        counts["first"], counts["last"] = (
            datetime.fromtimestamp(time / 1e6, UTC).isoformat()
            for time in (manifest.first_timestamp, manifest.last_timestamp)
        )
        if found.whole and manifest.description is not None:
            counts["measures"] = manifest.description.measures
        about = _cost(loaded, manifest, found.share)
    return {
        "source": uri,
        "table": resolved.table,
        "files": found.files,
        "bytes": found.size,
        "left_out": list(resolved.left_out),
        "whole": found.whole,
        "share": round(found.share, 4),
        "formats": found.formats,
        "columns": found.columns,
        "mapping": {role: one._asdict() for role, one in found.mapping.items()},
        "partition": found.partition,
        "days": [found.days[0].isoformat(), found.days[-1].isoformat()] if found.days else [],
        "missing_days": [day.isoformat() for day in found.missing_days],
        "unknown_days": found.unknown_days,
        "counts": counts,
        "bad_rows": found.bad_rows,
        "cost": about,
        "notes": found.notes,
        "mistakes": found.mistakes,
        "config": overrides,
    }


def _cost(loaded: Config, manifest: Manifest, share: float) -> dict[str, Any]:
    """Returns about what a run takes of a source, of which this share was looked at."""
    from finest.data.check.cost import cost
    from finest.data.check.memory import Size, steps_gib
    from finest.ranklists.yardsticks import YARDSTICKS

    pretrain, variants = loaded.pretrain, loaded.perturb.trainings
    rows, train_rows, instances = (
        number / share for number in (manifest.source_rows, manifest.train_interactions, manifest.instances)
    )
    depth, beside = loaded.ingest.evaluation.depth, None if pretrain.memory == "off" else pretrain.memory
    size = Size(
        rows=rows,
        train_rows=train_rows,
        items=manifest.items,
        instances=instances,
        depth=depth,
        lists=variants * (3 if beside else 2) + 3 + len(list(YARDSTICKS)),
        top_k=loaded.finetune.top_k,
        neighbours=beside.neighbours if beside else 0,
    )
    memory = steps_gib(size)
    largest = max(memory, key=lambda step: memory[step])
    epochs = (pretrain.epochs or EPOCHS) + loaded.finetune.epochs
    spent = cost(rows, train_rows, manifest.items, instances, depth, epochs, variants)
    return {**spent._asdict(), "memory_gib": memory[largest], "largest_step": largest}


def show(out: Console, found: dict[str, Any]) -> None:
    """Prints it for people."""
    counts = found["counts"]
    say(
        out,
        f"{found['source']}: {found['table'] + ', ' if found['table'] else ''}{found['files']:,} file(s), "
        f"{found['bytes'] / 1e6:,.1f} MB"
        + ("" if found["whole"] else f"; read: a sample of some {found['share']:.1%}"),
    )
    lines = {"format": "; ".join(found["formats"]), "columns": ", ".join(found["columns"])}
    lines |= {role: f"{one['column']} ({one['why']})" for role, one in found["mapping"].items()}
    if found["left_out"]:
        lines["left out"] = f"{len(found['left_out'])} name(s) with _ or ., such as {found['left_out'][0]}"
    if found["days"]:
        missing = found["missing_days"]
        lines["days"] = (
            f"{found['days'][0]} to {found['days'][1]} by {found['partition']}, "
            + (
                f"{len(missing)} missing: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
                if missing
                else "none missing"
            )
            + (f"; {found['unknown_days']} file(s) of unknown days" if found["unknown_days"] else "")
        )
    if counts:
        lines["rows"] = (
            f"{counts['source_rows']:,}, {counts['quarantined_rows']:,} unusable, {counts['first']} to {counts['last']}"
        )
        lines["kept"] = (
            f"{counts['interactions']:,} interactions of {counts['users']:,} users and {counts['items']:,} items; "
            f"{counts['kcore_dropped_rows']:,} rows left out by the k-core; {counts['instances']:,} instances"
        )
        lines["repeats"] = f"{counts['repeated_share']:.1%} of the interactions"
        lines["ties"] = f"{counts['users_cut_inside_a_tie']:,} users are cut between interactions of one time"
    if found["cost"]:
        about = found["cost"]
        lines["a run"] = (
            f"about {counted(round(about['cpu_minutes']), 'CPU minute')}, {about['memory_gib']:.1f} GiB of memory "
            f"({about['largest_step']}), {about['disk_gb']:.1f} GB of disk (docs/sizing.md)"
        )
    for name, text in lines.items():
        say(out, f"  {name:<10}{text}", indent=12)
    for title, texts in (("bad row", found["bad_rows"]), ("note", found["notes"]), ("mistake", found["mistakes"])):
        for text in texts:
            say(out, f"  {title}: {text}", indent=4)
    runs = "The config for it, as far as it is not the default; as a file: finest run --config FILE"
    say(out, f"\n{runs if counts else 'No config makes it run as it is; what is known of one so far'}\n")
    say(out, yaml.safe_dump(found["config"], sort_keys=False, allow_unicode=True).rstrip())
