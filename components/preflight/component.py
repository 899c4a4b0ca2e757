from typing import NamedTuple

from components.image import step


@step
def preflight(
    source: str, seed: int, checkpoints: str, config: dict, ingest: dict, perturb: dict, pretrain: dict, finetune: dict, gate: dict,
    promote: dict, notify: dict,
) -> NamedTuple("Checked", [("listing", str), ("champion", str), ("items_needed", int)]):  # type: ignore[valid-type]  # fmt: skip
    """Checks everything that can be checked in a minute, and opens the MLflow run.

    Args:
        source: Interactions: a URI or the name of a sample.
        seed: Of the whole run.
        checkpoints: Folder or URI of the checkpoints.
        config: Section `preflight`.
        ingest, perturb, pretrain, finetune, gate, promote, notify: The other sections, to be validated before they are needed.
    """
    from components.preflight.work import check
    from components.step import watched

    with watched("preflight"):
        sections = {"preflight": config, "ingest": ingest, "perturb": perturb, "pretrain": pretrain, "finetune": finetune, "gate": gate}
        return check(source, seed, checkpoints, sections | {"promote": promote, "notify": notify})
