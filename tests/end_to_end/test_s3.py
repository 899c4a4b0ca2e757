"""A run on an S3 that refuses. One on a busy S3 is in test_outages."""

from tests.end_to_end.conftest import Place
from tests.services import faults
from tests.services.faults import Refusal, Request
from tests.services.s3 import S3, SECRET


def read_only(request: Request) -> Refusal | None:
    return Refusal(403, "AccessDenied") if request.method == "PUT" else None


def test_what_s3_refuses_ends_the_run_in_its_first_step_with_one_line(place: Place, s3_server: S3) -> None:
    bucket = s3_server.bucket("read-only")
    s3_server.client().upload_file(str(place.source), bucket, "data.csv")
    source, checkpoints = f"s3://{bucket}/data.csv", f"checkpoints=s3://{bucket}/checkpoints"
    with faults.before(s3_server.endpoint) as proxy:
        proxy.fault = read_only
        environment = s3_server.environment(AWS_ENDPOINT_URL=proxy.endpoint)
        run = place.call("run", "--source", source, "--set", checkpoints, state="s3-refused", **environment)
    assert run.returncode == 1 and run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"error: preflight: s3://{bucket}/checkpoints")
    assert "access denied (PutObject); the credentials need s3:PutObject there" in run.stderr
    log = (place.last("s3-refused") / "kfp.log").read_text()
    assert "Traceback" in log and SECRET not in log + run.stderr
