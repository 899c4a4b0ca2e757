"""Step `preflight` as a component of the pipeline."""

from typing import NamedTuple

from components.image import step


@step
def preflight(
    source: str,
    as_of: str,
    scheduled: str,
    seed: int,
    checkpoints: str,
    packages: list,
    fans_out: bool,
    name: str,
    rebase: bool,
    serves: bool,
    preflight: dict,
    ingest: dict,
    perturb: dict,
    pretrain: dict,
    finetune: dict,
    gate: dict,
    promote: dict,
    recommend: dict,
    notify: dict,
) -> NamedTuple(  # type: ignore[valid-type]
    "Checked",
    [
        ("listing", str),
        ("line", str),
        ("champion", str),
        ("production", dict),
        ("checkpoints", str),
        ("items_needed", int),
        ("as_of", str),
        ("ingest", dict),
        ("perturb", dict),
        ("seen", dict),
    ],
):
    """Checks everything that can be checked in a minute, and opens the MLflow run.

    Args:
        source: Interactions: a URI or the name of a sample.
        as_of: The moment that the run stands for; '' for the schedule's own time.
        scheduled: When the run was made, as a backend puts it; '' in a local run.
        seed: Seed of the whole run.
        checkpoints: Folder or URI of the checkpoints.
        packages: Packages that the config's models, rules and the like come from.
        fans_out: Whether the compiled pipeline trains any number of groups, or one.
        name: The line's name; '' for the source's own.
        rebase: Whether the line starts over.
        serves: Whether the compiled pipeline has the step `recommend`.
        preflight: Section of that name, as the ones below: all are validated before any of them is needed.
        ingest: Section of that name.
        perturb: Section of that name.
        pretrain: Section of that name.
        finetune: Section of that name.
        gate: Section of that name.
        promote: Section of that name.
        recommend: Section of that name.
        notify: Section of that name.

    Returns:
        listing: Hash of the source's listing (names, sizes, etags), which ingest compares.
        line: Name of the line.
        champion: Version of the champion to compare with; '' where there is none, it is damaged, or the line starts
            over.
        production: What is in production, which promote replaces: its version, and the number of the move of the ledger
            that made it that.
        checkpoints: Folder or URI of the line's checkpoints.
        items_needed: Number of items that fine-tuning needs at least.
        as_of: The moment that the run stands for.
        ingest: Section `ingest` with dates in place of the days that it counts from that moment.
        perturb: Section `perturb` with the digests of its edit files.
        seen: The champion's data; empty where that is no reason to skip the run.
    """
    from components import lines
    from components import packages as needed
    from components.config import Sections
    from components.preflight.work import check, stands_for
    from components.sections import parse
    from components.step import watched

    given = {name: value for name, value in locals().items() if name in Sections.model_fields}
    line = lines.named(name, source)
    place = lines.checkpoints(checkpoints, line)
    with watched("preflight", checkpoints=place):
        needed.check(packages)
        night = source, stands_for(as_of, scheduled), seed, place
        return check(line, *night, parse(Sections, given), fans_out, rebase, serves)
