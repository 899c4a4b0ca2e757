from typing import NamedTuple

from components.image import step


@step
def preflight(
    source: str,
    as_of: str,
    scheduled: str,
    seed: int,
    checkpoints: str,
    config: dict,
    ingest: dict,
    perturb: dict,
    pretrain: dict,
    finetune: dict,
    gate: dict,
    promote: dict,
    notify: dict,
    fans_out: bool,
) -> NamedTuple(  # type: ignore[valid-type]
    "Checked",
    [("listing", str), ("champion", str), ("items_needed", int), ("as_of", str), ("ingest", dict), ("seen", dict)],
):
    """Checks everything that can be checked in a minute, and opens the MLflow run.

    Args:
        source: Interactions: a URI or the name of a sample.
        as_of: The moment that the run stands for; '' for the schedule's own time.
        scheduled: When the run was made, as a backend puts it; '' in a local run.
        seed: Of the whole run.
        checkpoints: Folder or URI of the checkpoints.
        config: Section `preflight`.
        ingest, perturb, pretrain, finetune, gate, promote, notify: The other sections, to be validated before they are needed.
        fans_out: Whether the compiled pipeline trains any number of groups, or one.
    """
    from components.preflight.work import check, stands_for
    from components.step import watched

    with watched("preflight", checkpoints=checkpoints):
        sections = {
            "preflight": config,
            "ingest": ingest,
            "perturb": perturb,
            "pretrain": pretrain,
            "finetune": finetune,
            "gate": gate,
        }
        sections |= {"promote": promote, "notify": notify}
        return check(source, stands_for(as_of, scheduled), seed, checkpoints, sections, fans_out)
