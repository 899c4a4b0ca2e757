"""The pipeline as a cluster feeds it: interactions and checkpoints on S3, MLflow's server on PostgreSQL and S3."""

import secrets

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Place, Ran
from tests.end_to_end.test_resume import same_lists
from tests.services import faults
from tests.services.faults import Refusal, Request
from tests.services.s3 import S3, SECRET
from tracking import registry


@pytest.fixture(scope="module")
def source(place: Place, s3_server: S3, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The place's data as days of Parquet in a bucket."""
    rows, bucket = pacsv.read_csv(place.source), s3_server.bucket(f"run-{secrets.token_hex(4)}")
    file, half = tmp_path_factory.mktemp("days") / "part.parquet", len(rows) // 2
    for day, part in (("2024-01-01", rows.slice(0, half)), ("2024-01-02", rows.slice(half))):
        pq.write_table(part, file)
        s3_server.client().upload_file(str(file), bucket, f"interactions/dt={day}/part-0.parquet")
    return f"s3://{bucket}/interactions"


def test_a_run_on_a_busy_s3_promotes_the_same_model_as_one_on_files(
    place: Place, promoted: Ran, source: str, s3_server: S3, shared_mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = source.replace("interactions", "checkpoints")
    with faults.before(s3_server.endpoint) as proxy:
        proxy.fault = faults.slow_down(0.05)
        environment = s3_server.environment(AWS_ENDPOINT_URL=proxy.endpoint, MLFLOW_TRACKING_URI=shared_mlflow)
        run = place.call("run", "--source", source, "--set", f"checkpoints={checkpoints}", state="s3", **environment)
        assert run.returncode == 0, run.stderr
        written = [request for request in proxy.seen if request.method == "PUT" and "/checkpoints/" in request.path]
    assert same_lists(place.last("s3"), promoted.folder)
    assert (
        len([request for request in written if ".safetensors" in request.path and "/runs/" not in request.path]) >= 14
    )
    root = s3_server.root / source.split("/")[2]
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["part-0.parquet"] * 2
    assert not (place.folder / "s3" / "checkpoints").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)
    champion = registry.champion("finest")
    assert champion is not None and champion.kfp_run_id == place.last("s3").name
    assert list((s3_server.root / "mlflow").rglob("*.safetensors"))


def no_bucket(request: Request) -> Refusal | None:
    return Refusal(404, "NoSuchBucket") if "interactions" in request.path else None


def read_only(request: Request) -> Refusal | None:
    return Refusal(403, "AccessDenied") if request.method == "PUT" else None


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (no_bucket, "there is no bucket "),
        (read_only, "access denied (PutObject); the credentials need s3:PutObject there"),
    ],
)
def test_what_s3_refuses_ends_the_run_in_its_first_step_with_one_line(
    fault: faults.Fault, says: str, place: Place, source: str, s3_server: S3
) -> None:
    checkpoints = source.replace("interactions", "checkpoints")
    with faults.before(s3_server.endpoint) as proxy:
        proxy.fault = fault
        environment = s3_server.environment(AWS_ENDPOINT_URL=proxy.endpoint)
        run = place.call(
            "run", "--source", source, "--set", f"checkpoints={checkpoints}", state="s3-refused", **environment
        )
    assert run.returncode == 1 and run.stderr.startswith("error: preflight: s3://run-") and run.stderr.count("\n") == 1
    assert says in run.stderr
    log = (place.last("s3-refused") / "kfp.log").read_text()
    assert "Traceback" in log and SECRET not in log + run.stderr
