"""Step `champion` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def champion(
    line: str,
    version: str,
    seen: dict,
    interactions: dsl.Input[dsl.Dataset],
    config: dict,
    checkpoints: str,
    model: dsl.Output[dsl.Model],
    lists: dsl.Output[dsl.Dataset],
) -> str:
    """Scores what the candidate must beat: the model in production, popularity and repeat-last.

    Args:
        line: Name of the line.
        version: The champion's version; '' where there is none.
        seen: The champion's data; empty where that is no reason to skip.
        interactions: The data set.
        config: Section `promote`, for what the data must share with the champion's.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        model: The champion's weights, for `finetune.reference: champion`; empty where there is none.
        lists: Rank lists on the data set's instances, or why there is nothing new.

    Returns:
        Output: `retrain`, or `skip` where the data has nothing new; plain words that a condition can compare.
    """
    from pathlib import Path

    from components.champion.work import download, score, skipped
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load

    with running("champion", checkpoints=checkpoints):
        folder = Path(interactions.path)
        download(version, line, folder, parse(Promote, config, "promote"), Path(model.path))
        data = load(folder)
        if skipped(data.manifest, seen, Path(lists.path)):
            return "skip"
        score(version, data, Path(model.path), Path(lists.path))
        return "retrain"
