"""The commands `finest models ...`: versions, who is in production, and the ledger that says why."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finest.durations import duration
from finest.errors import ConfigError, FinestError
from finest.plural import counted
from pipeline import decisions
from pipeline import line as lines
from pipeline.options import ConfigFile, Json, Name, Sets, StateFolder, confirm, console, examples, print_json
from pipeline.plain import Table, say

if TYPE_CHECKING:
    from components.promote.config import Promote
    from tracking.entries import Log, Written
    from tracking.production import Move, Tenure
    from tracking.registry import Version

app = typer.Typer(
    help="Versions of a line, which one is in production, and since when and why.",
    no_args_is_help=True,
    epilog=examples("finest models list", "finest models history --name clicks", "finest models rollback"),
)
Reason = Annotated[str, typer.Option("--reason", help="Why, for the ledger.")]
Force = Annotated[bool, typer.Option("--force", help="Even if it was never proven; the ledger says so.")]


@app.command(name="list", epilog=examples("finest models list", "finest models list --json"))
def list_(
    line: Name = None, config: ConfigFile = None, sets: Sets = None, state: StateFolder = None, as_json: Json = False
) -> None:
    """Show all versions of a line, newest first."""
    name = _named(line, config, sets, state)
    from tracking import ledger
    from tracking.awaiting import over, waiting
    from tracking.registry import list_versions

    versions, log = list_versions(name), ledger.read(name)
    asked = waiting(log)
    if as_json:
        awaiting = asked and asked.facts()
        print_json({"model": name, "awaiting": awaiting, "versions": [_described(version) for version in versions]})
        return
    columns = "version", "aliases", "verdict", "verified", "RLS", "churn", "MRR", "created (UTC)", "run"
    table = Table(*columns, title=f"Line {name}")
    for version in versions:
        measured = ["" if value is None else f"{value:.4f}" for value in (version.rls, version.churn, version.mrr)]
        said = version.verdict
        if asked and asked.version == version.version:
            said += f", awaits approval for {duration((asked.until - datetime.now(UTC)).total_seconds())}: {asked.why}"
        elif why := version.refused or (version.awaiting and over(log, version.version)):
            said += f", not promoted: {why}"
        table.add_row(
            version.version,
            ", ".join(version.aliases),
            said,
            "yes" if version.verified else "",
            *measured,
            f"{version.created:%Y-%m-%d %H:%M}",
            version.kfp_run_id,
        )
    table.show(console())


def _described(version: "Version") -> dict[str, Any]:
    """Returns what `models list --json` says of a version."""
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "verdict": version.verdict or None,
        "verified": version.verified or None,
        "refused": version.refused or None,
        "rls": version.rls,
        "churn": version.churn,
        "mrr": version.mrr,
        "created": version.created.isoformat(),
        "run": version.kfp_run_id,
        "mlflow_run": version.mlflow_run_id,
        "data_fingerprint": version.data_fingerprint,
    }


@app.command(
    epilog=examples("finest models promote 7", "finest models promote 7 --force --reason 'the feed is mended'")
)
def promote(
    version: str,
    force: Force = False,
    reason: Reason = "by hand",
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Make a version the champion by hand. It must have passed, and have served what was judged once it was loaded."""
    given = lines.known(line, config, sets, state)
    from tracking import production

    _make(production.promotion(given.line, version, force), reason, given.promote)


@app.command(epilog=examples("finest models rollback", "finest models rollback --to 4 --yes --reason 'odd lists'"))
def rollback(
    to: Annotated[str, typer.Option(help="The version to go back to; the champion before this one if not given.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Force = False,
    reason: Reason = "by hand",
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Go back to the champion before this one, or to any version that was proven; also where the champion is gone.

    Given again, it goes further back.
    """
    given = lines.known(line, config, sets, state)
    from tracking import production
    from tracking.entries import named

    move = production.rollback(given.line, to, force)
    asked = f"Roll {given.line} back from {named(move.log.champion)} to version {move.to.version} ({_about(move)})?"
    confirm(asked, yes, "nothing was moved")
    _make(move, reason, given.promote)


def _about(move: "Move") -> str:
    measured = "" if move.to.mrr is None else f", MRR {move.to.mrr:.4f}"
    return f"of {move.to.created:%Y-%m-%d %H:%M} UTC, verdict {move.to.verdict or 'missing'}{measured}"


def _make(move: "Move", reason: str, config: "Promote") -> None:
    from components.promote.work import canary
    from tracking import production

    print(f"version {move.to.version} is tried before it serves", file=sys.stderr)
    now = production.make(move, reason, canary(config))
    print(f"{now.name} version {now.version} is the champion")


@app.command(
    epilog=examples(
        "finest models history",
        "finest models history --at 2026-05-03",
        "finest models history --json --at 2026-05-03T06:00",
    )
)
def history(
    at: Annotated[
        str | None, typer.Option(help="Only what was in production on that day (UTC), or at that time.")
    ] = None,
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
    as_json: Json = False,
) -> None:
    """Show what was in production when, and why: the ledger, oldest entry first."""
    name = _named(line, config, sets, state)
    from tracking import ledger
    from tracking.production import tenures

    log = ledger.read(name)
    ledger.unbroken(log)
    served = [one for one in tenures(log) if at is None or _overlaps(one, at)]
    of_moves = {one.entry for one in served}
    written = [one for one in log.written if at is None or one.number in of_moves]
    if as_json:
        print_json(
            {"model": name, "served": [_span(one) for one in served], "entries": [_facts(one, log) for one in written]}
        )
        return
    if at is not None and not served:
        raise FinestError(f"the ledger of {name} knows of no champion at {at}; `finest models history` shows it all")
    for one in served if at else ():
        until = f"until {one.until:%Y-%m-%d %H:%M}" if one.until else "and still is"
        print(f"{name} version {one.version} was the champion from {one.since:%Y-%m-%d %H:%M} UTC {until}")
    table = Table("entry", "when (UTC)", "what", "from", "to", "who", "why", title=f"Ledger of {name}")
    for number, facts in ((one.number, _facts(one, log)) for one in written):
        void = "" if facts["effective"] in (True, None) else ", without effect"
        what = f"{facts['kind']}{', forced' if facts['forced'] else ''}{void}"
        who = facts["run"] or facts["who"]
        moved = facts["from"] or "", facts["to"] or ""
        table.add_row(str(number), facts["when"][:16].replace("T", " "), what, *moved, who, facts["why"])
    table.show(console())
    if not log.written:
        say(console(), f"{name} has no ledger yet; its next promotion begins one")


def _overlaps(tenure: "Tenure", at: str) -> bool:
    try:
        first = datetime.fromisoformat(at)
        first = first if first.tzinfo else first.replace(tzinfo=UTC)
        last = first + (timedelta(days=1) if len(at.strip()) == len("2026-05-03") else timedelta(microseconds=1))
    except (ValueError, OverflowError):
        raise ConfigError(f"--at {at}: write a day or a time, like 2026-05-03 or 2026-05-03T06:00") from None
    return tenure.since < last and (tenure.until or datetime.max.replace(tzinfo=UTC)) > first


def _span(tenure: "Tenure") -> dict[str, Any]:
    until = tenure.until and tenure.until.isoformat()
    return {"version": tenure.version, "since": tenure.since.isoformat(), "until": until, "entry": tenure.entry}


def _facts(one: "Written", log: "Log") -> dict[str, Any]:
    """Returns what `models history --json` says of an entry."""
    from tracking.entries import MOVES

    entry = one.entry
    if entry is None:
        raise FinestError(f"entry {one.number} of the ledger of {log.line} cannot be read; see `finest models verify`")
    return {
        "entry": one.number,
        "kind": entry.kind,
        "effective": one in log.moves if entry.kind in MOVES else None,
        "when": entry.when.isoformat(),
        "who": entry.who,
        "run": entry.run or None,
        "why": entry.why,
        "from": entry.from_version or None,
        "to": entry.to_version or None,
        "verdict": entry.verdict or None,
        "forced": entry.forced,
        "digest": log.chain[one.number],
    }


@app.command(epilog=examples("finest models verify", "finest models verify --json"))
def verify(
    line: Name = None, config: ConfigFile = None, sets: Sets = None, state: StateFolder = None, as_json: Json = False
) -> None:
    """Check that the ledger is as it was written, and that aliases, versions and the champion's verdict fit it.

    Exit codes: 0 all fits; 1 something does not.
    """
    name = _named(line, config, sets, state)
    from tracking import ledger, production

    found, entries = production.problems(name), len(ledger.read(name).written)
    if as_json:
        print_json({"model": name, "entries": entries, "problems": found})
    else:
        for line in found:
            say(console(), f"wrong    {line}")
        print(
            f"{name}: {counted(entries, 'entry', 'entries')}, {counted(len(found), 'problem') if found else 'all fits'}"
        )
    if found:
        raise typer.Exit(1)


@app.command(epilog=examples("finest models repair", "finest models repair --accept --reason 'restored from a backup'"))
def repair(
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Go on from a ledger that was changed, with the champion that the alias names."),
    ] = False,
    reason: Reason = "",
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Put the aliases where the ledger says: finishes what a crash has left, takes back what was moved by hand."""
    name = _named(line, config, sets, state)
    from tracking import production

    for line in production.repair(name, accept, reason) or ["nothing to repair"]:
        print(f"{name}: {line}")


decisions.register(app)


def _named(line: str | None, config: Path | None, sets: list[str] | None, state: Path | None) -> str:
    """Returns the name of the line that a command is about."""
    return lines.known(line, config, sets, state).line
