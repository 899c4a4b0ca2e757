"""The data set that commands keep from one time to the next."""

from pathlib import Path

from rich.console import Console

from finest.data.dataset import load
from finest.data.schema import INTERACTIONS
from pipeline import config as configs
from pipeline.dataset import ingested
from tests.builders import write_walks
from tests.damage import flipped


def test_a_damaged_one_is_read_anew_and_one_that_is_whole_is_kept(tmp_path: Path) -> None:
    source = write_walks(tmp_path / "walks.csv")
    given = [f"source={source}", "ingest.evaluation.depth=20", "ingest.evaluation.exclude_seen=false"]
    config, console = configs.load(configs.QUICKSTART, [*given, "as_of=2026-11-27"]), Console(record=True, width=300)
    data = ingested(config, tmp_path / "kept", console)
    whole = (data / INTERACTIONS).read_bytes()
    assert ingested(config, tmp_path / "kept", console) == data
    assert console.export_text().count("Reading") == 1
    (data / INTERACTIONS).write_bytes(flipped(whole, 4 * len(whole)))
    assert ingested(config, tmp_path / "kept", console) == data
    assert "is damaged; it is removed, and the source read anew" in console.export_text()
    assert (data / INTERACTIONS).read_bytes() == whole and len(load(data).user)
