"""An edit file on a real S3 server is the one from a folder, and what is not there is one line."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.perturb.work import resolved, tables
from finest.errors import FinestError
from finest.perturb.config import Perturb
from finest.perturb.plan import plan
from tests.builders import random_dataset
from tests.services.s3 import S3


def test_an_edit_file_is_read_from_s3_bit_for_bit(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    data = random_dataset(users=40, items=30)
    drawn, _ = plan(data, Perturb.model_validate({"scenarios": [{"kind": "timestamp_jitter", "share": 0.1}]}), 0)
    pq.write_table(drawn, tmp_path / "mine.parquet")
    s3_server.client().upload_file(str(tmp_path / "mine.parquet"), bucket, "edits/mine.parquet")
    here, there = (
        resolved(Perturb.model_validate({"scenarios": [{"file": file}]}))
        for file in (str(tmp_path / "mine.parquet"), f"s3://{bucket}/edits/mine.parquet")
    )
    assert here.files[0].sha256 == there.files[0].sha256 != ""
    table, _ = plan(data, there, 0, tables(there))
    assert table.drop_columns(["scenario"]).equals(drawn.drop_columns(["scenario"]))
    gone = Perturb.model_validate({"scenarios": [{"file": f"s3://{bucket}/edits/other.parquet"}]})
    with pytest.raises(FinestError, match=r"other.parquet") as raised:
        resolved(gone)
    assert "\n" not in str(raised.value)
