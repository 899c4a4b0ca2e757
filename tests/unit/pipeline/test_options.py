from pathlib import Path

import pytest

from finest.errors import ConfigError
from pipeline.options import open_folder


def test_a_folder_for_the_output_is_there_before_anything_is_measured(tmp_path: Path) -> None:
    open_folder(None)
    open_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_one_that_cannot_be_is_a_line_that_names_the_option(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=rf"--output .*{place}: no file can be put there \(.+\); give another folder"):
        open_folder(tmp_path / place)
