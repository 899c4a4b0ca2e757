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
    ingest: dict,
    checkpoints: str,
    model: dsl.Output[dsl.Model],
    lists: dsl.Output[dsl.Dataset],
) -> str:
    """Compares the data with the last nights', and scores what a candidate must beat: champion, popularity, repetition.

    Args:
        line: Name of the line.
        version: The champion's version; '' where there is none.
        seen: The champion's data; empty where that is no reason to skip.
        interactions: The data set.
        config: Section `promote`, for what the data must share with the champion's.
        ingest: Section `ingest`, for what the data must be like.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        model: The champion's weights, for `finetune.reference: champion`; empty where there is none.
        lists: Rank lists on the data set's instances, or why there is nothing new; with how the data compares.

    Returns:
        Output: `retrain`, or `skip` where the data has nothing new; plain words that a condition can compare.
    """
    from pathlib import Path

    from components.champion import compare
    from components.champion.score import score
    from components.champion.work import download, known, skipped
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import running
    from finest.data.config import Ingest
    from finest.data.dataset import load
    from tracking.history import past_data
    from tracking.records import log_refused_data

    with running("champion", checkpoints=checkpoints) as step:
        folder, out, before = Path(interactions.path), Path(lists.path), known(seen)
        champions = download(version, line, folder, parse(Promote, config, "promote"), Path(model.path))
        data = load(folder)
        found = compare.compared(data.manifest, champions, *past_data(), parse(Ingest, ingest, "ingest"))
        if found is not None and compare.refuses(found, data.manifest, before):
            log_refused_data(step.run, found)
            found.check()
        compare.write(found, out)
        if skipped(data.manifest, before, out):
            return "skip"
        score(version, data, Path(model.path), out)
        return "retrain"
