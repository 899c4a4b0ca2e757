"""From a URI to files."""

import os
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs as pafs
import pytest

from finest.errors import ConfigError, DataError
from storage import checkpoint_store, listing_hash, packages_of, resolve
from storage.registry import CHECKPOINTS, SOURCES


def folder_of_three(tmp_path: Path) -> Path:
    for name in ("dt=2024-01-02/b.csv", "dt=2024-01-01/a.csv", "c.parquet", "_SUCCESS", ".hidden.csv", "_logs/x.csv"):
        path = tmp_path / "my data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "my data"


def test_a_folder_is_its_visible_files_at_any_depth_by_name(tmp_path: Path) -> None:
    folder = folder_of_three(tmp_path)
    source = resolve(str(folder))
    names = [Path(file.path).relative_to(folder).as_posix() for file in source.files]
    assert names == ["c.parquet", "dt=2024-01-01/a.csv", "dt=2024-01-02/b.csv"]
    assert source.uri == str(folder) and isinstance(source.filesystem, pafs.LocalFileSystem)
    first = folder / "c.parquet"
    assert (source.files[0].size, source.files[0].etag) == (9, str(first.stat().st_mtime_ns))


def test_a_file_is_itself_by_path_relative_path_and_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder_of_three(tmp_path) / "c.parquet"
    monkeypatch.chdir(tmp_path)
    for uri in (str(file), "my data/c.parquet", file.as_uri()):
        assert [found.path for found in resolve(uri).files] == [str(file)]


def test_the_listing_hash_follows_names_sizes_and_times_but_not_the_place(tmp_path: Path) -> None:
    folder = folder_of_three(tmp_path)
    before = listing_hash(resolve(str(folder)))
    moved = folder.rename(tmp_path / "moved")
    assert listing_hash(resolve(str(moved))) == before == listing_hash(resolve(moved.as_uri()))
    hashes = {before}
    os.utime(moved / "c.parquet", ns=(1, 1))
    hashes.add(listing_hash(resolve(str(moved))))
    (moved / "c.parquet").rename(moved / "d.parquet")
    hashes.add(listing_hash(resolve(str(moved))))
    (moved / "_SUCCESS").write_text("no matter")
    hashes.add(listing_hash(resolve(str(moved))))
    (moved / "d.parquet").write_text("longer than it was")
    os.utime(moved / "d.parquet", ns=(1, 1))
    hashes.add(listing_hash(resolve(str(moved))))
    assert len(hashes) == 4


def test_a_place_of_another_package_is_said_and_an_unknown_one_leads_to_where_it_would_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    list(SOURCES), list(CHECKPOINTS)
    dist = SimpleNamespace(name="example", version="1.0")
    monkeypatch.setattr(SOURCES, "_points", {"hdfs": SimpleNamespace(name="hdfs", dist=dist)})
    assert packages_of("hdfs://here", "s3://bucket") == ["example==1.0"] and packages_of("here.csv", "state") == []
    with pytest.raises(ConfigError, match=r"unknown kind of place for checkpoints hdfs://.* of finest\.checkpoints"):
        checkpoint_store("hdfs://here")


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for uri, message in [("missing.csv", "no such file"), ("empty", "holds no files")]:
        with pytest.raises(DataError, match=message) as error:
            resolve(str(tmp_path / uri))
        assert uri in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(DataError, match="no such file"):
        resolve((tmp_path / "missing").as_uri())


def test_an_unknown_scheme_or_none_at_all_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="gopher://"):
        resolve("gopher://somewhere/file.csv")
    with pytest.raises(ConfigError, match="--source"):
        resolve("")


def test_a_token_in_a_uri_is_refused_without_being_said() -> None:
    with pytest.raises(ConfigError, match=r"abfss://shop/days: a query follows.*AZURE_STORAGE_SAS_TOKEN") as error:
        resolve("abfss://shop/days?sv=2024&sig=a-secret")
    assert "a-secret" not in str(error.value)
