"""The commands `finest models approve`, `reject` and `prune`: what people decide about versions besides who serves."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from components.promote.config import Promote
from components.promote.freeze import frozen
from components.sections import parse
from finest.errors import ConfigError, FinestError
from pipeline import line as lines
from pipeline.options import ConfigFile, Name, Sets, StateFolder, confirm, examples

if TYPE_CHECKING:
    from pipeline.config import Config
    from tracking.retention import Unused

Why = Annotated[str, typer.Option("--reason", help="Why, for the ledger.")]


def approve(
    version: str,
    reason: Why,
    force: Annotated[
        bool, typer.Option("--force", help="Even in a freeze or unfit to serve; the ledger says so.")
    ] = False,
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Make a version the champion that passed and awaits approval: it is downloaded, checked and moved as a night does.

    It must have been asked for no longer ago than its night's promote.approval_hours, and be the newest that was; and
    the champion must be the one that it was judged against, without a move in between.
    """
    why, loaded = _stated(reason), lines.known(line, config, sets, state)
    from components.promote.work import canary
    from tracking import approval, production

    name = loaded.line
    night, held = _night(name, version, loaded, datetime.now(UTC))
    move = approval.approval(name, version, held, force)
    print(f"version {version} is tried before it serves", file=sys.stderr)
    now = production.make(move, why, canary(night))
    print(f"{now.name} version {now.version} is the champion")


def reject(
    version: str,
    reason: Why,
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Refuse a version that awaits approval. The champion stays."""
    why, name = _stated(reason), lines.known(line, config, sets, state).line
    from tracking import approval

    approval.refuse(name, version, why)
    print(f"{name} version {version} is refused")


def _stated(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("--reason is empty: say why, for whoever reads the ledger")
    return reason


def _night(name: str, version: str, loaded: "Config", now: datetime) -> tuple[Promote, str]:
    """Returns the section `promote` of a version's night, and why nothing may go into production now.

    That is a freeze of that night's config, or of the one given here.
    """
    from tracking.history import config_of

    try:
        night = parse(Promote, config_of(name, version).get("promote", {}), "promote")
    except FinestError as error:
        return loaded.promote, f"nobody knows whether there is a freeze: {error}"
    return night, frozen([*night.freeze, *loaded.promote.freeze], now)


def prune(
    keep: Annotated[
        int, typer.Option(min=1, help="Number of the ledger's last entries and moves whose versions stay.")
    ] = 10,
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only versions of before that.")] = 7.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    line: Name = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Delete versions that nothing refers to, with their files.

    What stays: versions with an alias, that await approval, that one could roll back to, that the ledger's last entries
    name or that these were compared with, that another registered model has, and what finest has not registered.
    """
    name = lines.known(line, config, sets, state).line
    from tracking import retention

    unused = retention.unused(name, keep, older_than)
    total = sum(one.size for one in unused)
    for one in unused:
        print(f"{name} version {one.version.version}: {_about(one)}")
    if not unused:
        print(f"{name}: there is nothing to delete")
    if dry_run or not unused:
        return
    confirm(f"Delete {len(unused)} versions of {name} for good, {total / 1e6:.1f} MB?", yes, "nothing was deleted")
    gone = retention.prune(name, unused, keep)
    print(f"{name}: deleted {len(gone)} versions, {sum(one.size for one in gone) / 1e6:.1f} MB")


def _about(one: "Unused") -> str:
    verdict = one.version.verdict or "without a verdict"
    return f"of {one.version.created:%Y-%m-%d %H:%M} UTC, {verdict}, {one.size / 1e6:.1f} MB"


def register(app: typer.Typer) -> None:
    """Adds the commands to `finest models`."""
    approving = examples(
        "finest models approve 7 --reason 'looked at the lists'", "finest models approve 7 --reason ok"
    )
    app.command(epilog=approving)(approve)
    app.command(epilog=examples("finest models reject 7 --reason 'odd lists'"))(reject)
    app.command(epilog=examples("finest models prune --dry-run", "finest models prune --keep 20 --yes"))(prune)
