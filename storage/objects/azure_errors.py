"""What Azure's library raises, as errors that pyarrow, DuckDB and `storage.objects.errors` can carry."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline import PipelineResponse

from storage.objects.errors import Fault

NO_CONTAINER = {"ContainerNotFound", "FilesystemNotFound", "ContainerBeingDeleted"}
REFUSED = {"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"}
KINDS: dict[str, type[OSError]] = {"missing": FileNotFoundError, "denied": PermissionError}
"""By the kind of a fault: the built-in error that says so too."""

_last = threading.local()
"""The last answer that came in each thread: what cannot be read is an error without one."""

# What fails is raised, and said in one line.
logging.getLogger("azure").setLevel(logging.CRITICAL)


@contextmanager
def explained() -> Iterator[None]:
    """Makes an OSError of what Azure's library raises, whose own text may hold a signature."""
    _last.answer = None
    try:
        yield
    except Exception as error:
        if not isinstance(error, AzureError) and _last.answer is None:
            raise
        fault = told(error)
        raise KINDS.get(fault.kind, OSError)(fault.text) from None
    finally:
        _last.answer = None  # it may be large


def remember(answer: PipelineResponse[Any, Any]) -> None:
    """Keeps an answer, as a hook of the library's."""
    _last.answer = answer.http_response


def told(error: Exception) -> Fault:
    """Tells what an error of Azure's library means, or one of Python's over an answer that it cannot read."""
    if isinstance(error, (ServiceRequestError, ServiceResponseError, IncompleteReadError)):
        return Fault("unreachable", _why_unreachable(error))
    answer: Any = error.response if isinstance(error, HttpResponseError) else _last.answer
    if answer is not None and answer.status_code >= 400:
        return _refusal(answer)
    if isinstance(error, ClientAuthenticationError):
        return Fault("credentials", "those that are set are none, or none are set and no identity gives them")
    return Fault("other", "an answer that cannot be read")


def _refusal(answer: Any) -> Fault:
    status = answer.status_code
    code = answer.headers.get("x-ms-error-code") or ""
    code = code if re.fullmatch(r"\w{1,80}", code) else f"HTTP {status}"
    if code in NO_CONTAINER:
        return Fault("container", code)
    if status == 404:
        return Fault("missing", code)
    if status == 412:  # what is read must be what was opened
        return Fault("replaced", code)
    if status == 401 or code in REFUSED or "failed to authenticate" in str(answer.reason):
        return Fault("refused", code)
    if status == 403:
        return Fault("denied", code)
    if status in (408, 429) or status >= 500:
        return Fault("busy", code)
    return Fault("other", code)


def _why_unreachable(error: AzureError) -> str:
    if isinstance(error, (ServiceRequestTimeoutError, ServiceResponseTimeoutError)):
        return "no answer in time"
    text = str(error)
    if "CERTIFICATE" in text:
        return "the certificate is not trusted"
    return "the name does not resolve" if "resolve" in text else "no connection"
