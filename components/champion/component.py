from kfp import dsl

from components.image import step


@step
def champion(
    version: str, interactions: dsl.Input[dsl.Dataset], config: dict, model: dsl.Output[dsl.Model], lists: dsl.Output[dsl.Dataset]
):  # fmt: skip
    """Scores what the candidate must beat: the model in production, popularity and repeat-last.

    Args:
        version: The champion's version; '' where there is none.
        interactions: The data set.
        config: Section `promote`, for the registered model's name.
        model: The champion's weights; empty where there is none.
        lists: Rank lists on the data set's instances.
    """
    from pathlib import Path

    from components.champion.work import score
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load

    with running("champion"):
        name = parse(Promote, config, "promote").registered_model
        score(version, name, load(Path(interactions.path)), Path(model.path), Path(lists.path))
