"""Sources on a real S3 server: the same data set as from a folder, and one line for all that can be refused."""

import gzip
import os
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from finest.data import schema
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.errors import ConfigError, DataError, FinestError
from storage import listing_hash, resolve
from tests.builders import write_walks
from tests.services.faults import Added, Fault, Faulty, Refusal, Request, slow_down
from tests.services.s3 import S3, SECRET

CONFIG = Ingest.model_validate({"evaluation": {"depth": 20, "exclude_seen": False}})


def table(tmp_path: Path) -> pa.Table:
    return pacsv.read_csv(write_walks(tmp_path / "rows.csv", users=20, items=60))


def partitioned(folder: Path, rows: pa.Table) -> Path:
    """Three days of Parquet, and what others leave beside them."""
    third = len(rows) // 3 + 1
    for day in range(3):
        part = folder / f"dt=2024-01-0{day + 1}"
        part.mkdir(parents=True)
        pq.write_table(rows.slice(day * third, third), part / "part-0.parquet", row_group_size=100)
    (folder / "_SUCCESS").touch()
    return folder


def copy(folder: Path, server: S3, bucket: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            server.client().upload_file(str(file), bucket, f"data/{file.relative_to(folder).as_posix()}")


def manifest(uri: str, out: Path, config: Ingest = CONFIG) -> schema.Manifest:
    source = resolve(uri)
    return ingest(source.filesystem, source.files, config, out)


def test_partitioned_parquet_is_the_same_data_set_as_from_a_folder(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    folder = partitioned(tmp_path / "data", table(tmp_path))
    copy(folder, s3_server, bucket)
    there = resolve(f"s3://{bucket}/data")
    assert [file.path for file in there.files] == [
        f"{bucket}/data/dt=2024-01-0{day}/part-0.parquet" for day in (1, 2, 3)
    ]
    assert manifest(f"s3://{bucket}/data", tmp_path / "remote") == manifest(str(folder), tmp_path / "local")


def test_partitions_are_pruned_by_day(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    rows = table(tmp_path)
    copy(partitioned(tmp_path / "data", rows), s3_server, bucket)
    third = len(rows) // 3 + 1
    second_day = CONFIG.model_copy(update={"since": date(2024, 1, 2), "until": date(2024, 1, 2)})
    made = manifest(f"s3://{bucket}/data/", tmp_path / "out", second_day)
    assert made.source_rows == third


def test_broken_lines_of_text_files_are_set_aside_with_file_and_line(
    s3_server: S3, bucket: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_walks(folder / "a.csv", users=20, items=60)
    lines = write_walks(folder / "b [1].csv", users=20, items=60, seed=1).read_text().splitlines()
    lines[5], lines[9] = "only one field", "u,i,yesterday"
    (folder / "b [1].csv").write_text("\n".join(lines) + "\n")
    copy(folder, s3_server, bucket)
    assert (
        manifest(f"s3://{bucket}/data", tmp_path / "remote").fingerprint
        == manifest(str(folder), tmp_path / "local").fingerprint
    )
    aside = pq.read_table(tmp_path / "remote" / schema.QUARANTINE).select(["file", "line", "reason"]).to_pylist()
    path = f"{bucket}/data/b [1].csv"
    assert aside == [
        {"file": path, "line": 6, "reason": "malformed line (missing columns)"},
        {"file": path, "line": 10, "reason": "timestamp unparsable"},
    ]


def test_one_object_of_recboles_format_compressed_or_not_is_read_like_the_rest(
    s3_server: S3, bucket: str, tmp_path: Path
) -> None:
    rows = table(tmp_path)
    text = "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(
        f"{row['user_id']}\t{row['item_id']}\t{row['timestamp']}\n" for row in rows.to_pylist()
    )
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key="x.inter", Body=text.encode())
    client.put_object(Bucket=bucket, Key="x.inter.gz", Body=gzip.compress(text.encode()))
    plain = manifest(f"s3://{bucket}/x.inter", tmp_path / "plain")
    assert [file.path for file in resolve(f"s3://{bucket}/x.inter").files] == [f"{bucket}/x.inter"]
    assert plain.fingerprint == manifest(f"s3://{bucket}/x.inter.gz", tmp_path / "packed").fingerprint
    assert plain.fingerprint == manifest(str(tmp_path / "rows.csv"), tmp_path / "local").fingerprint


def test_the_listing_hash_changes_with_an_object_and_not_with_the_bucket(s3_server: S3, bucket: str) -> None:
    client, other = s3_server.client(), s3_server.bucket("other-bucket")
    for name in (bucket, other):
        client.put_object(Bucket=name, Key="data/a.csv", Body=b"12345")
    first = listing_hash(resolve(f"s3://{bucket}/data"))
    assert first == listing_hash(resolve(f"s3://{bucket}/data/")) == listing_hash(resolve(f"s3://{other}/data"))
    client.put_object(Bucket=bucket, Key="data/a.csv", Body=b"54321")
    second = listing_hash(resolve(f"s3://{bucket}/data"))
    client.put_object(Bucket=bucket, Key="data/_marker", Body=b"x")
    assert second == listing_hash(resolve(f"s3://{bucket}/data")) != first
    client.put_object(Bucket=bucket, Key="data/b.csv", Body=b"x")
    assert listing_hash(resolve(f"s3://{bucket}/data")) != second


def one_line(uri: str, kind: type[FinestError] = FinestError) -> str:
    with pytest.raises(kind) as error:
        resolve(uri)
    text = str(error.value)
    assert "\n" not in text and SECRET not in text
    return text


def test_without_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials found; set AWS_ACCESS_KEY_ID" in one_line(f"s3://{bucket}/data")


def test_with_a_wrong_secret(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    text = one_line(f"s3://{bucket}/data")
    assert "does not accept the credentials (SignatureDoesNotMatch)" in text and "not-the-secret" not in text


def test_with_a_profile_that_does_not_exist(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "profile (nobody)" in one_line(f"s3://{bucket}/data", ConfigError)


def test_without_the_bucket(bucket: str) -> None:
    text = one_line("s3://no-such-bucket/data")
    assert f"there is no bucket no-such-bucket on {os.environ['AWS_ENDPOINT_URL']}" in text


def test_with_nothing_below_the_prefix(s3_server: S3, bucket: str) -> None:
    s3_server.client().put_object(Bucket=bucket, Key="data2/a.csv", Body=b"x")
    assert f"s3://{bucket}/data: there is no such object or folder" in one_line(f"s3://{bucket}/data")
    assert "no files lie there" in one_line(f"s3://{bucket}/data/", DataError)


def test_with_a_server_that_does_not_answer(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://someone:hunter2@127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    text = one_line(f"s3://{bucket}/data")
    assert "http://127.0.0.1:9 cannot be reached" in text and "hunter2" not in text


def test_with_credentials_in_the_uri() -> None:
    assert "key:hunter2" not in one_line("s3://key:hunter2@bucket/data", ConfigError)


def listing_only(request: Request) -> Refusal | None:
    return Refusal(403, "AccessDenied") if request.method == "HEAD" and ".csv" in request.path else None


def gone(request: Request) -> Refusal | None:
    return Refusal(404, "NoSuchKey") if request.method == "HEAD" and ".csv" in request.path else None


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            lambda request: Refusal(403, "AccessDenied"),
            "access denied (ListObjectsV2); the credentials need s3:ListBucket there",
        ),
        (listing_only, "access denied (HeadObject); the credentials need s3:GetObject there"),
        (gone, "a.csv was removed after it was listed"),
        (lambda request: Refusal(400, "ExpiredToken"), "does not accept the credentials (ExpiredToken)"),
        (lambda request: Refusal(403, "RequestTimeTooSkewed"), "clock is off"),
        (lambda request: Refusal(301, "PermanentRedirect"), "wrong region (PermanentRedirect); set AWS_DEFAULT_REGION"),
        (
            lambda request: Refusal(503, "SlowDown"),
            "is too busy (SlowDown, ListObjectsV2), and stayed so through all retries",
        ),
        (lambda request: Refusal(405, "MethodNotAllowed"), "ListObjectsV2 failed (MethodNotAllowed)"),
    ],
)
def test_a_refusal_is_one_line_before_anything_is_read(
    fault: Fault, says: str, s3_server: S3, bucket: str, faulty: Faulty
) -> None:
    s3_server.client().put_object(Bucket=bucket, Key="data/a.csv", Body=b"x")
    faulty.fault = fault
    assert says in one_line(f"s3://{bucket}/data")
    assert not [
        request for request in faulty.seen if request.method == "GET" and "a.csv" in request.path.partition("?")[0]
    ]


def in_frankfurt(request: Request) -> Refusal | Added:
    """As AWS answers for a bucket in another region than the request was signed for."""
    here = {"x-amz-bucket-region": "eu-central-1"}
    if "/eu-central-1/s3/" in request.headers["authorization"]:
        return Added(here)
    return Refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>", here)


def test_a_bucket_in_another_region_is_followed_there(
    s3_server: S3, bucket: str, faulty: Faulty, tmp_path: Path
) -> None:
    copy(partitioned(tmp_path / "data", table(tmp_path)), s3_server, bucket)
    faulty.fault = in_frankfurt
    assert manifest(f"s3://{bucket}/data", tmp_path / "out").source_rows == len(table(tmp_path))


def test_a_busy_server_is_asked_again_until_it_answers(
    s3_server: S3, bucket: str, faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = partitioned(tmp_path / "data", table(tmp_path))
    copy(folder, s3_server, bucket)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "8")
    faulty.fault = slow_down(0.2)
    made = manifest(f"s3://{bucket}/data", tmp_path / "remote")
    assert made.fingerprint == manifest(str(folder), tmp_path / "local").fingerprint
    assert len(faulty.seen) > 20


@pytest.mark.parametrize("after", ["check", "read"])
def test_a_server_that_fails_while_it_is_read_is_one_line(
    after: str, s3_server: S3, bucket: str, faulty: Faulty, tmp_path: Path
) -> None:
    copy(partitioned(tmp_path / "data", table(tmp_path)), s3_server, bucket)
    source = resolve(f"s3://{bucket}/data")
    reads = iter(range(1000))
    limit = 0 if after == "check" else 6
    faulty.fault = lambda request: (
        Refusal(503, "SlowDown") if request.method == "GET" and next(reads) >= limit else None
    )
    with pytest.raises(FinestError) as error:
        ingest(source.filesystem, source.files, CONFIG, tmp_path / "out")
    assert re.search("SLOW_DOWN|SERVICE_UNAVAILABLE", str(error.value)) and "\n" not in str(error.value)
    assert not list(tmp_path.glob("out*"))
