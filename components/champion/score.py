"""Takes the rank lists that a candidate must beat: those of the champion, and of simple recommenders that count."""

from dataclasses import replace
from pathlib import Path

from finest import sealed
from finest.data.dataset import Dataset
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.ranklists import baselines, champion, file, yardsticks
from finest.training.device import choose, prepare


def score(version: str, data: Dataset, model: Path, lists: Path) -> None:
    """Writes the rank lists of all that a candidate must beat.

    Args:
        version: The champion's version; empty where there is none.
        data: The data set.
        model: Folder of the champion's weights; empty where there is none.
        lists: Folder for the rank lists.
    """
    lists.mkdir(parents=True, exist_ok=True)
    file.write(baselines.popularity(data), lists / "popularity.parquet")
    file.write(baselines.repeat_last(data), lists / "repeat_last.parquet")
    for name, listed in yardsticks.lists(data, counted(data, data.training_rows(), MemoryConfig())):
        file.write(listed, lists / f"{name}.parquet")
    if version:
        # One thread, like every model's lists: more of them differ in rounding, and spin where cores are taken.
        prepare(choose("cpu"))
        theirs, after_cut = champion.score(model, data, version)
        file.write(replace(theirs, after_cut=after_cut), lists / "champion.parquet")
    sealed.seal(lists)
