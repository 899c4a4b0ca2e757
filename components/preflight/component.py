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
    preflight: dict,
    ingest: dict,
    perturb: dict,
    pretrain: dict,
    finetune: dict,
    gate: dict,
    promote: dict,
    notify: dict,
) -> NamedTuple(  # type: ignore[valid-type]
    "Checked",
    [("listing", str), ("champion", str), ("items_needed", int), ("as_of", str), ("ingest", dict), ("seen", dict)],
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
        preflight: Section of that name, as the ones below: all are validated before any of them is needed.
        ingest: Section of that name.
        perturb: Section of that name.
        pretrain: Section of that name.
        finetune: Section of that name.
        gate: Section of that name.
        promote: Section of that name.
        notify: Section of that name.

    Returns:
        listing: Hash of the source's listing (names, sizes, etags), which ingest compares.
        champion: The champion's version; '' where there is none.
        items_needed: Number of items that fine-tuning needs at least.
        as_of: The moment that the run stands for.
        ingest: Section `ingest` with dates in place of the days that it counts from that moment.
        seen: The champion's data; empty where that is no reason to skip the run.
    """
    from components import packages as needed
    from components.config import Sections
    from components.preflight.work import check, stands_for
    from components.sections import parse
    from components.step import watched

    given = {name: value for name, value in locals().items() if name in Sections.model_fields}
    with watched("preflight", checkpoints=checkpoints):
        needed.check(packages)
        return check(source, stands_for(as_of, scheduled), seed, checkpoints, parse(Sections, given), fans_out)
