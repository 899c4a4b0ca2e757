"""Ingest on a standalone Spark cluster, a master and two workers, makes the files that DuckDB makes, and counts alike.

Without pyspark (468 MB: `pip install -c constraints.txt -e '.[pipeline,dev,spark]'`) or Java these tests are skipped.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from finest.data import spark
from finest.data.config import Ingest
from finest.data.dataset import Rows
from finest.data.duck import DuckDB
from finest.data.engine import Engine
from finest.data.forms import Form
from finest.data.ingest import ingest
from finest.data.source import SourceFile
from finest.data.times import iso_8601, written
from finest.errors import ConfigError, DataError
from finest.memory import counts
from tests.integration.data.test_parquet_forms import MAPPED, table, with_twin
from tests.unit.data.test_forms import EACH

ROWS = 100_000
FILES = ("interactions.parquet", "users.parquet", "items.parquet", "quarantine.parquet", "manifest.json")
CONFIG = {"evaluation": {"depth": 10, "exclude_seen": False}, "engine": "spark"}


class Cluster(NamedTuple):
    """A running one."""

    url: str
    log: Path
    """The master's."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers, a process each."""
    pyspark = pytest.importorskip("pyspark", reason="the spark extra is not installed")
    if shutil.which("java") is None:
        pytest.skip("no Java")
    folder = tmp_path_factory.mktemp("cluster")
    spark_class = [str(Path(pyspark.__file__).parent / "bin" / "spark-class")]

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        stream = stack.enter_context(log.open("w"))
        process = subprocess.Popen([*spark_class, *arguments], stdout=stream, stderr=subprocess.STDOUT, cwd=folder)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        return log

    with ExitStack() as stack:
        log = start(
            "master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"
        )
        url = _found(log, r"Starting Spark master at (\S+)")[0]
        for name in ("one", "two"):
            limits = [
                "--cores",
                "1",
                "--memory",
                "1200m",
                "--webui-port",
                "0",
                "--work-dir",
                str(folder / name),
                "--host",
                "127.0.0.1",
            ]
            start(name, "org.apache.spark.deploy.worker.Worker", *limits, url)
        _found(log, r"Registering worker", 2)
        yield Cluster(url, log)


def _found(log: Path, pattern: str, times: int = 1) -> list[str]:
    for _ in range(600):
        found = re.findall(pattern, log.read_text())
        if len(found) >= times:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{pattern!r} is not {times} times in {log.read_text()}")


def source(folder: Path) -> list[SourceFile]:
    """Rows in partitions, with a type of timestamp each; ties, rows alike, odd ids, and rows that cannot be used."""
    random = np.random.default_rng(0)
    user, item = (random.zipf(1.3, ROWS) % count for count in (900, 1700))
    second, number = (
        random.integers(1_700_000_000, 1_700_000_000 + 86_400, ROWS) // 60 * 60,
        random.integers(0, 3, ROWS),
    )
    users = [
        None if row % 999 == 0 else "" if row % 998 == 0 else f"{'NA' if code == 3 else code}"
        for row, code in enumerate(user)
    ]
    items = [f"i {code}" if code % 2 else f"\u65e5{code}" for code in item]
    texts = [
        f"{moment}.5" if moment % 7 else "1e3" if row % 5 == 0 else "2023-11-14T22:13:20+01:00"
        for row, moment in enumerate(second)
    ]
    floats = np.where(
        np.arange(ROWS) % 1000 == 1, 7_300_000_000.25, np.where(np.arange(ROWS) % 1000 == 2, -1.5, second + 0.25)
    )
    moments = {
        "integer": second,
        "text": pa.array(texts),
        "float": floats,
        "micros": pa.array(second * 1_000_000).cast(pa.timestamp("us", "UTC")),
        "nanos": pa.array(second * 1_000_000_000).cast(pa.timestamp("ns")),
        "int32": second.astype(np.int32),
        "date": pa.array((second // 86_400).astype(np.int32)).cast(pa.date32()),
    }
    files = []
    for place, (kind, times) in enumerate(moments.items()):
        part = slice(place, ROWS, len(moments))
        path = folder / f"dt=2023-11-{14 + place % 2}" / f"{kind} 100%+[a].parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {
            "user_id": users[part],
            "item_id": items[part],
            "timestamp": pa.array(times)[part],
            "n": number[part],
        }
        pq.write_table(pa.table(columns), path)
        files.append(SourceFile(str(path), path.stat().st_size, ""))
    return files


@pytest.mark.parametrize(
    "config",
    [
        {
            "columns": {"sequence": "n", "segments": ["n", "item_id"]},
            "min_item_interactions": 12,
            "min_user_interactions": 8,
        },
        {
            "duplicates": "quarantine",
            "split": {"method": "temporal", "cut": "2023-11-15T10:00:00"},
            "until": "2023-11-15",
        },
    ],
)
def test_spark_and_duckdb_write_the_same_files(
    cluster: Cluster, tmp_path: Path, config: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setenv(
        "PYSPARK_SUBMIT_ARGS", "--conf spark.sql.shuffle.partitions=2 --conf spark.driver.host=127.0.0.1 pyspark-shell"
    )
    files = source(tmp_path / "in")
    config = {
        **CONFIG,
        "max_quarantined_share": 0.1,
        "spark_master": cluster.url,
        "spark_folder": str(tmp_path),
        **config,
    }
    there = ingest(pafs.LocalFileSystem(), files, Ingest(**config), tmp_path / "spark")
    here = ingest(pafs.LocalFileSystem(), files, Ingest(**{**config, "engine": "duckdb"}), tmp_path / "duckdb")

    assert there.fingerprint == here.fingerprint
    assert there.quarantined_rows > 100 and there.interactions > 50_000
    for name in FILES + (("segments.parquet",) if "columns" in config else ()):
        assert (tmp_path / "spark" / name).read_bytes() == (tmp_path / "duckdb" / name).read_bytes(), name
    assert {path.name for path in tmp_path.iterdir()} == {"in", "spark", "duckdb"}  # nothing is left behind
    workers = set(re.findall(r"Launching executor \S+ on worker (\S+)", cluster.log.read_text()))
    assert len(workers) == 2


def test_of_columns_that_differ_in_case_alone_spark_reads_the_mapped_one(
    cluster: Cluster, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.driver.host=127.0.0.1 pyspark-shell")
    rows = table().append_column("country", pa.array(["NO", "SE"] * (len(table()) // 2)))
    config = {**CONFIG, "spark_master": cluster.url, "spark_folder": str(tmp_path)}

    def read(rows: pa.Table, columns: dict[str, Any], engine: str) -> Path:
        path = tmp_path / "twins.parquet"
        pq.write_table(rows, path)
        given = Ingest.model_validate({**config, "engine": engine, "columns": columns})
        ingest(pafs.LocalFileSystem(), [SourceFile(str(path), path.stat().st_size, "")], given, tmp_path / engine)
        return tmp_path / engine

    plain = read(rows, {"segments": ["country"]}, "duckdb")
    for role, name in MAPPED.items():
        twins, columns = with_twin(rows, role, name, 0)
        found = read(twins, columns, "spark")
        for file in (*FILES, "segments.parquet"):
            assert (found / file).read_bytes() == (plain / file).read_bytes(), (role, file)


def test_spark_and_duckdb_count_the_same_bit_for_bit(cluster: Cluster, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(
        "PYSPARK_SUBMIT_ARGS", "--conf spark.sql.shuffle.partitions=2 --conf spark.driver.host=127.0.0.1 pyspark-shell"
    )
    monkeypatch.setattr(counts, "PAIRS", 60_000)  # some parts each
    random = np.random.default_rng(0)
    user = np.repeat(np.arange(60), random.integers(1, 90, 60))
    item, id = random.zipf(1.3, len(user)) % 200 + 1, np.arange(len(user))
    rows, weight = Rows(user, item, id, id, id), 1 + id % counts.FULL_WEIGHT
    config = Ingest(**CONFIG, spark_master=cluster.url, spark_folder=str(tmp_path))
    with spark.opened(pafs.LocalFileSystem(), [], config, "counts") as engine:
        there = counts.count(engine, rows, 200, 9, 5.0, weight)
    with DuckDB(pafs.LocalFileSystem(), tmp_path) as engine:
        here = counts.count(engine, rows, 200, 9, 5.0, weight)
    there.save(tmp_path / "spark")
    here.save(tmp_path / "duckdb")
    assert here.follows.nnz > 500 and here.alike.nnz > 500
    assert (tmp_path / "spark").read_bytes() == (tmp_path / "duckdb").read_bytes()


def test_a_file_that_spark_would_skip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "_hidden.parquet"
    pq.write_table(pa.table({"user_id": ["u"], "item_id": ["i"], "timestamp": [1]}), path)
    files = [SourceFile(str(path), path.stat().st_size, "")]
    with pytest.raises(DataError, match=r"_hidden.parquet: Spark skips names"):
        ingest(pafs.LocalFileSystem(), files, Ingest(**CONFIG), tmp_path / "out")


def test_text_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id,timestamp\nu,i,1\n")
    with pytest.raises(ConfigError, match=r"a.csv: ingest.engine=spark reads Parquet alone"):
        ingest(
            pafs.LocalFileSystem(), [SourceFile(str(path), path.stat().st_size, "")], Ingest(**CONFIG), tmp_path / "out"
        )


def test_a_folder_to_share_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ingest\.spark_folder: .*typo is no folder"):
        spark.shared(Ingest(**CONFIG, spark_folder=str(tmp_path / "typo")), 0o777)
    assert not (tmp_path / "typo").exists()


def test_spark_and_duckdb_read_the_same_times_in_every_form(cluster: Cluster, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.driver.host=127.0.0.1 pyspark-shell")
    moments = [datetime(1999, 12, 31, 23, 59, 58, 120_000, UTC), datetime(2024, 2, 29, 12, 5, tzinfo=UTC)]
    odd = ["31.02.2024", "2024-02-01T10:00Z", "5", "", "Mai 3 2024"]
    rows = pa.table({f"c{place}": [*(at.strftime(form) for at in moments), *odd] for place, form in enumerate(EACH)})

    def read(engine: Engine) -> list[dict[str, Any]]:
        texts = engine.keep("texts", engine.hold("held", rows))
        found = {f"c{place}": iso_8601(written(texts[f"c{place}"], Form(form))) for place, form in enumerate(EACH)}
        return sorted(engine.small(texts.select(**found)).to_pylist(), key=str)

    config = Ingest(**CONFIG, spark_master=cluster.url, spark_folder=str(tmp_path))
    with spark.opened(pafs.LocalFileSystem(), [], config, "times") as engine:
        there = read(engine)
    with DuckDB(pafs.LocalFileSystem(), tmp_path) as here:
        assert read(here) == there
    assert sum(None not in row.values() for row in there) == len(moments) + 1  # the one in ISO 8601
