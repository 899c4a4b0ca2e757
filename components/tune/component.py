"""Step `tune` as a component of the pipeline that searches."""

from kfp import dsl

from components.image import step


@step
def tune(
    interactions: dsl.Input[dsl.Dataset],
    source: str,
    seed: int,
    config: dict,
    preflight: dict,
    ingest: dict,
    perturb: dict,
    pretrain: dict,
    finetune: dict,
    gate: dict,
    promote: dict,
    recommend: dict,
    notify: dict,
    checkpoints: str,
    found: dsl.Output[dsl.Artifact],
) -> None:
    """Searches for a more accurate or more stable config, on validation rows alone.

    Args:
        interactions: The data set.
        source: Interactions: a URI or the name of a sample.
        seed: Seed of the whole run.
        config: Section `tune`: space and budget.
        preflight: Section of that name, as the ones below: the config that is found is written with all of them.
        ingest: Section of that name.
        perturb: Section of that name.
        pretrain: Section of that name.
        finetune: Section of that name.
        gate: Section of that name.
        promote: Section of that name.
        recommend: Section of that name.
        notify: Section of that name.
        checkpoints: Folder or URI of the checkpoints, where the search goes on from.
        found: Folder with `config.yaml`, `trials.csv` and `tune.md`.
    """
    from functools import partial
    from pathlib import Path

    from components.config import Sections
    from components.step import running
    from components.tune.work import find

    sections = {name: value for name, value in locals().items() if name in Sections.model_fields}
    with running("tune", checkpoints=checkpoints) as step:
        given = Path(interactions.path), source, seed, config, sections, checkpoints, step.run.parent
        step.train(partial(find, *given, Path(found.path)))
