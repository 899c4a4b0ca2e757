import re
from pathlib import Path

from benchmarks.bench import FOLDER, GROUPS, markdown, read

DOCS = Path(__file__).parents[3] / "docs" / "benchmarks.md"


def test_the_documented_table_is_the_committed_one() -> None:
    table = re.search(r"<!-- latest.json -->\n(.*?)\n<!-- end -->", DOCS.read_text(), re.DOTALL)
    assert table and table[1] == markdown(read(FOLDER / "latest.json"))


def test_the_committed_table_has_every_group() -> None:
    assert set(read(FOLDER / "latest.json")) == set(GROUPS)
