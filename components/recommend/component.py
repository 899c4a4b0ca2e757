"""Step `recommend` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def recommend(interactions: dsl.Input[dsl.Dataset], line: str, config: dict, promote: dict, checkpoints: str) -> None:
    """Makes lists of the champion for all users, from all that is known of them.

    Args:
        interactions: The data set.
        line: Name of the line.
        config: Section `recommend`; nothing is made where it names no place.
        promote: Section `promote`, for what the data must share with the champion's.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
    """
    import tempfile
    from pathlib import Path

    from components.events import emit
    from components.promote.config import Promote
    from components.recommend import work
    from components.recommend.config import Recommend
    from components.sections import parse
    from components.step import running

    with running("recommend", checkpoints=checkpoints), tempfile.TemporaryDirectory() as scratch:
        section = parse(Recommend, config, "recommend")
        if section.out:
            work.recommend(
                work.champion_of(line, section),
                Path(interactions.path),
                section,
                parse(Promote, promote, "promote"),
                Path(scratch),
                lambda there, of: emit("progress", "recommend", None, done=there / of),
            )
