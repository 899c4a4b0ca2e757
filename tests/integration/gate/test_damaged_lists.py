"""A rank list of ours says when it is damaged; one from elsewhere has no digest and is taken as it is."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from finest.errors import DataError
from finest.gate.evidence import read_evidence
from finest.ranklists import file
from finest.ranklists.baselines import popularity
from finest.ranklists.schema import METADATA_KEY
from tests.builders import random_dataset
from tests.damage import DAMAGE, bits, flipped


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lists") / "popularity.parquet"
    file.write(popularity(random_dataset()), path)
    return path


def test_a_bit_that_flips_anywhere_is_found_or_changes_nothing(written: Path, tmp_path: Path) -> None:
    content, whole, damaged = written.read_bytes(), file.read(written), tmp_path / "damaged.parquet"
    found = 0
    for bit in bits(content, 300, seed=7):
        damaged.write_bytes(flipped(content, bit))
        try:
            read = file.read(damaged)
        except DataError as error:
            assert str(damaged) in str(error), bit
            found += 1
        else:
            assert read.description == whole.description, bit
            for name in ("user", "position", "target", "target_rank", "items", "scores"):
                assert np.array_equal(getattr(read, name), getattr(whole, name)), (bit, name)
    assert found > 250


@pytest.mark.parametrize("kind", DAMAGE)
def test_any_other_damage_is_a_line_that_names_the_file(written: Path, tmp_path: Path, kind: str) -> None:
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(DAMAGE[kind](written.read_bytes()))
    with pytest.raises(DataError, match=r"damaged.parquet"):
        file.read(damaged)


def test_a_file_that_no_longer_says_that_it_holds_rank_lists_is_not_passed_over(written: Path, tmp_path: Path) -> None:
    (tmp_path / "lists.parquet").write_bytes(written.read_bytes().replace(METADATA_KEY, b"rank_listz"))
    assert METADATA_KEY not in pq.read_metadata(tmp_path / "lists.parquet").metadata
    with pytest.raises(DataError, match=r"lists.parquet"):
        read_evidence([tmp_path], {})


def test_files_behind_a_link_are_read_and_none_is_passed_over_in_silence(written: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lists").mkdir()
    copy = tmp_path / "elsewhere" / "damaged.parquet"
    copy.write_bytes(written.read_bytes()[:-9])
    (tmp_path / "lists" / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"linked/damaged.parquet: cannot be read as Parquet"):
        read_evidence([tmp_path / "lists"], {})
    copy.unlink()
    copy.symlink_to(tmp_path / "gone.parquet")
    with pytest.raises(DataError, match=r"linked/damaged.parquet: the link leads nowhere; mend it, or move it away"):
        read_evidence([tmp_path / "lists"], {})
    copy.unlink()
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "lists")
    with pytest.raises(DataError, match=r"back: the link leads to a folder that it lies in; move it away"):
        read_evidence([tmp_path / "lists"], {})


def test_whoever_writes_a_file_anew_is_believed(written: Path, tmp_path: Path) -> None:
    table = pq.read_table(written)
    pq.write_table(table.slice(0, 5), tmp_path / "five.parquet")
    assert len(file.read(tmp_path / "five.parquet")) == 5
