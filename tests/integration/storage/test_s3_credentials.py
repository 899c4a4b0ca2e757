"""Who we are on S3: a service account's role, credentials that are renewed, policies that allow a part.

STS and IAM are moto's.
"""

import json
import secrets
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow.fs as pafs
import pytest
from botocore.credentials import RefreshableCredentials

from finest.errors import FinestError
from storage import checkpoint_store, resolve
from storage.s3.connection import Renewed
from tests.services import faults
from tests.services.faults import Faulty, Refusal

ROLE = "arn:aws:iam::123456789012:role/finest"


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """AWS through a proxy that shows what was asked; the process has no credentials of its own."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    with faults.before(aws_server) as proxy:
        settings = {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nowhere",
        }
        settings |= {
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "2",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield proxy


def administrator(service: str, endpoint: str) -> Any:
    return boto3.client(
        service, endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )


@pytest.fixture
def bucket_with_a_file(aws_server: str) -> str:
    name = f"test-{secrets.token_hex(4)}"
    client = administrator("s3", aws_server)
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="data/a.csv", Body=b"hello")
    return name


def test_a_service_accounts_role_lists_reads_and_writes(
    aws: Faulty, bucket_with_a_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("a.web.token")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    source = resolve(f"s3://{bucket_with_a_file}/data")
    with source.filesystem.open_input_file(source.files[0].path) as file:
        assert file.read() == b"hello"
    store = checkpoint_store(f"s3://{bucket_with_a_file}/checkpoints")
    store.put("clean", token)
    assert store.get("clean", tmp_path / "back") and (tmp_path / "back").read_text() == "a.web.token"
    on_s3 = [request for request in aws.seen if bucket_with_a_file in request.path]
    assert len(on_s3) > 6 and all("x-amz-security-token" in request.headers for request in on_s3)


def test_a_role_that_may_not_be_taken_on_is_one_line(
    aws: Faulty, bucket_with_a_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("a.web.token")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    aws.fault = lambda request: Refusal(403, "AccessDenied") if request.path == "/" else None
    with pytest.raises(FinestError, match=r"the AWS role could not be taken on .* AWS_ROLE_ARN"):
        resolve(f"s3://{bucket_with_a_file}/data")


def test_credentials_that_end_are_renewed_between_files(aws: Faulty, bucket_with_a_file: str) -> None:
    def keys(name: str, minutes: int) -> dict[str, str]:
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        return {"access_key": name, "secret_key": "secret", "token": "token", "expiry_time": end.isoformat()}

    def connect(frozen: Any) -> pafs.S3FileSystem:
        return pafs.S3FileSystem(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            session_token=frozen.token,
            scheme="http",
            endpoint_override=aws.endpoint.partition("://")[2],
            region="us-east-1",
        )

    ends_soon = RefreshableCredentials.create_from_metadata(keys("FIRST", 1), lambda: keys("SECOND", 60), "test")
    lasts = RefreshableCredentials.create_from_metadata(keys("ONLY", 60), lambda: keys("NEVER", 60), "test")
    for credentials, used in ((ends_soon, "SECOND"), (lasts, "ONLY")):
        aws.seen.clear()
        filesystem = pafs.PyFileSystem(pafs.FSSpecHandler(Renewed(connect, credentials)))
        for _ in range(2):
            assert filesystem.open_input_file(f"{bucket_with_a_file}/data/a.csv").read() == b"hello"
        assert aws.seen and all(f"Credential={used}/" in request.headers["authorization"] for request in aws.seen)


def test_a_policy_that_allows_to_list_but_not_to_read_is_one_line_before_anything_is_read(
    aws: Faulty, aws_server: str, bucket_with_a_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = administrator("iam", aws_server)
    iam.create_user(UserName="nightly")
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="nightly", PolicyName="list", PolicyDocument=policy)
    key = iam.create_access_key(UserName="nightly")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    policies_hold(aws_server, after=0)
    try:
        with pytest.raises(FinestError, match=r"access denied \(HeadObject\); the credentials need s3:GetObject there"):
            resolve(f"s3://{bucket_with_a_file}/data")
    finally:
        policies_hold(aws_server, after=1_000_000)


def policies_hold(endpoint: str, after: int) -> None:
    """From then on moto asks for valid credentials and heeds policies."""
    request = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"}, method="POST"
    )
    with urllib.request.urlopen(request):
        pass
