"""Step `grid` as a component of the pipeline of an experiment."""

from kfp import dsl

from components.image import step


@step
def grid(
    interactions: dsl.Input[dsl.Dataset],
    experiment: str,
    seeds: int,
    only: str,
    seed: int,
    pretrain: dict,
    finetune: dict,
    perturb: dict,
    gate: dict,
) -> list[str]:
    """Lays out the cells of an experiment.

    Args:
        interactions: The data set; there is nothing to measure without one.
        experiment: Name of the experiment.
        seeds: Number of seeds.
        only: Text that the name of a cell must have; empty for all cells.
        seed: The first seed.
        pretrain: Section `pretrain`.
        finetune: Section `finetune`.
        perturb: Section `perturb`.
        gate: Section `gate`.

    Returns:
        Output: The cells, each as JSON, which the pipeline loops over.
    """
    from components.cell.work import given
    from components.step import running
    from finest.experiments.run import chosen

    with running("grid"):
        taken = given(pretrain, finetune, perturb, gate, seed, seeds)
        return [cell.model_dump_json() for cell in chosen(experiment, taken, [only] if only else [])]
