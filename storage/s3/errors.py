"""What went wrong on S3, in one line that holds no secret: codes are shown, the servers' own texts are not."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from finest import patience
from finest.durations import duration
from finest.errors import ConfigError, FinestError, UnavailableError
from finest.secrets import masked
from storage.s3.place import parse

NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError)
UNRESOLVED = (
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.LoginError,
    boto.MetadataRetrievalError,
)
UNREACHABLE = (boto.ConnectionError, boto.HTTPClientError, boto.ResponseStreamingError, boto.IncompleteReadError)
SETTINGS = (
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InvalidConfigError,
    boto.NoRegionError,
    ValueError,
)
"""ValueError: for a region or an endpoint that is none."""

DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "ACCESS_DENIED"}
REFUSED = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "401",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "INVALID_CLIENT_TOKEN_ID",
}
NO_BUCKET = {"NoSuchBucket", "NO_SUCH_BUCKET"}
MISSING = {"NoSuchKey", "404"}
ELSEWHERE = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "TemporaryRedirect",
    "Redirect",
    "301",
    "307",
}
BUSY = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "RequestLimitExceeded",
    "429",
    "500",
    "502",
    "503",
    "504",
    "SLOW_DOWN",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_FAILURE",
    "THROTTLING",
}
CLOCK = {"RequestTimeTooSkewed", "REQUEST_TIME_TOO_SKEWED"}
CHANGED = {"PreconditionFailed", "412"}

PERMISSIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "DeleteObjects": "s3:DeleteObject",
}
ARROW = re.compile(r"AWS Error (\w+)(?: \(HTTP status ([0-9]+)\))? during (\w+) operation")


@contextmanager
def explained(uri: str, endpoint: str = "S3") -> Iterator[None]:
    """Makes one line, a FinestError, of what boto3 and pyarrow raise about the place `uri` on the server `endpoint`."""
    try:
        with _redirects_end(uri, endpoint):
            yield
    except NO_CREDENTIALS as error:
        raise FinestError(
            f"{uri}: no AWS credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or run where a role gives them"
        ) from error
    except UNRESOLVED as error:
        raise FinestError(
            f"{uri}: no AWS credentials can be had ({type(error).__name__}); sign in again or check the role"
        ) from error
    except UNREACHABLE as error:
        raise UnavailableError(unreachable(uri, endpoint, type(error).__name__)) from error
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        kind = UnavailableError if code in BUSY else FinestError
        raise kind(said(uri, endpoint, code, error.operation_name)) from error
    except SETTINGS as error:
        raise ConfigError(
            f"{uri}: the AWS settings cannot be used ({type(error).__name__}: {_host_only(error)})"
        ) from error
    except BotoCoreError as error:
        raise FinestError(f"{uri}: the transfer failed ({type(error).__name__}); run again") from error
    except OSError as error:
        found = ARROW.search(str(error))
        if found is None:
            raise
        name, status, operation = found.groups()
        code = status if name == "UNKNOWN" and status else name
        text = (
            unreachable(uri, endpoint, code) if code == "NETWORK_CONNECTION" else said(uri, endpoint, code, operation)
        )
        raise FinestError(text) from error


@contextmanager
def _redirects_end(uri: str, endpoint: str) -> Iterator[None]:
    """Explains a redirect that names no region, which boto3 follows for ever.

    Where the stack ends decides what that looks like: below boto3's own layer it becomes one of its errors.
    """
    try:
        yield
    except (RecursionError, BotoCoreError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, RecursionError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise FinestError(said(uri, endpoint, "PermanentRedirect", "HeadBucket")) from error


def said(uri: str, endpoint: str, code: str, operation: str) -> str:
    """What a server's refusal means and what to do about it."""
    if operation.startswith("AssumeRole"):
        return f"{uri}: the AWS role could not be taken on ({code}); check AWS_ROLE_ARN and whom the role trusts"
    if code in DENIED:
        return f"{uri}: access denied ({operation}); the credentials need {PERMISSIONS.get(operation, operation)} there"
    if code in REFUSED:
        wrong = f"the server does not accept the credentials ({code})"
        return f"{uri}: {wrong}; check the key, its secret, and whether they have expired"
    if code in NO_BUCKET:
        return (
            f"{uri}: there is no bucket {parse(uri).bucket} on {shown(endpoint)}; check the name, and AWS_ENDPOINT_URL"
        )
    if code in ELSEWHERE:
        return f"{uri}: wrong region ({code}); set AWS_DEFAULT_REGION to the bucket's own"
    if code in BUSY:
        return f"{uri}: {shown(endpoint)} is too busy ({code}, {operation}), and stayed so {_tried()}; run again later"
    if code in CLOCK:
        return f"{uri}: this machine's clock is off ({code}); set it right"
    if code in MISSING:
        return f"{uri}: there is no such object or folder"
    if code in CHANGED:
        return f"{uri}: it was replaced while it was read; run again once nothing writes there"
    return f"{uri}: {operation} failed ({code})"


def unreachable(uri: str, endpoint: str, why: str) -> str:
    """Where no server answers."""
    return f"{uri}: {shown(endpoint)} cannot be reached ({why}), {_tried()}; check AWS_ENDPOINT_URL and the network"


def _tried() -> str:
    limit = patience.limit()
    return f"for {duration(limit)}, which is what steps.patience_minutes allows" if limit else "through all retries"


def passing(error: BaseException | None) -> str | None:
    """Returns why what boto3 or pyarrow raised, or what led to it, may be gone in a minute; None where it will not."""
    while error is not None:
        if isinstance(error, UNREACHABLE):
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return None
            return f"no connection ({type(error).__name__})"
        if isinstance(error, ClientError):
            return busy(str(error.response.get("Error", {}).get("Code", "")))
        if found := ARROW.search(str(error)):
            name, status, _ = found.groups()
            return (
                "no connection"
                if name == "NETWORK_CONNECTION"
                else busy(status if name == "UNKNOWN" and status else name)
            )
        error = error.__cause__ or error.__context__
    return None


def busy(code: str) -> str | None:
    """The refusal in words, where the same request may be taken in a minute."""
    return f"it answers {code}" if code in BUSY else None


def shown(endpoint: str) -> str:
    """An endpoint without a user and a password that may stand in it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else endpoint


def _host_only(error: Exception) -> str:
    return masked(str(error)).partition("\n")[0]
