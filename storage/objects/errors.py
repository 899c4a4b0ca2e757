"""Errors of object stores, in one line that holds no secret: codes are shown, the servers' own texts are not."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, assert_never, cast

import pyarrow as pa

from finest import patience
from finest.durations import duration
from finest.errors import FinestError, UnavailableError

Kind = Literal["credentials", "refused", "denied", "container", "missing", "replaced", "busy", "unreachable", "other"]
RAISED = (OSError, pa.ArrowException)
"""What pyarrow's file systems raise; which of them is no word on the cause."""


FAULT = re.compile(r"object store: (\w+) \(([^()]*)\)")


class NoContainerError(FileNotFoundError):
    """The bucket, or container, is missing."""


class Fault(NamedTuple):
    """What is wrong, as far as an error tells."""

    kind: Kind
    code: str
    """The server's or its library's word for it."""

    @property
    def text(self) -> str:
        """Returns the text of an error of our own file systems."""
        return f"object store: {self.kind} ({self.code})"


def fault_in(error: BaseException) -> Fault | None:
    """Returns the fault that an error tells of by its text, whatever has wrapped it since; None where it does not."""
    found = FAULT.search(str(error))
    return Fault(cast(Kind, found[1]), found[2]) if found else None


@dataclass(frozen=True)
class Service:
    """A kind of object store: how its errors are told apart, and what a person can do about them."""

    name: str
    container: str
    """What holds objects there: bucket, container."""
    sign_in: str
    """How credentials are given."""
    right: str
    """What the credentials need for reading and writing."""
    variable: str
    """Environment variable that the address comes from."""
    diagnose: Callable[[BaseException], Fault | None]
    """Tells what an error means; returns None for one that is not the service's."""


@contextmanager
def explained(service: Service, uri: str, container: str, endpoint: str) -> Iterator[None]:
    """Makes one line, a FinestError, of what pyarrow raises about the place `uri` on the server `endpoint`."""
    try:
        yield
    except RAISED as error:
        fault = Fault("container", "") if isinstance(error, NoContainerError) else service.diagnose(error)
        if fault is None:
            raise
        kind = UnavailableError if fault.kind in ("busy", "unreachable") else FinestError
        raise kind(f"{uri}: {_said(service, fault, container, endpoint)}") from None  # its text may hold a signature


def _said(service: Service, fault: Fault, container: str, endpoint: str) -> str:
    """Returns what a fault means, and what to do about it."""
    match fault.kind:
        case "credentials":
            return f"no credentials for {service.name} can be had ({fault.code}); {service.sign_in}"
        case "refused":
            return (
                f"{endpoint} does not accept the credentials ({fault.code}); check them, and whether they have expired"
            )
        case "denied":
            return f"access denied ({fault.code}); the credentials need {service.right}"
        case "container":
            return f"there is no {service.container} {container} on {endpoint}; check the name, and {service.variable}"
        case "missing":
            return "there is no such object or folder"
        case "replaced":
            return f"it was replaced, or removed, while it was read ({fault.code}); run again"
        case "busy":
            return f"{endpoint} is too busy ({fault.code}), and stayed so {_tried()}; run again later"
        case "unreachable":
            return f"{endpoint} cannot be reached ({fault.code}), {_tried()}; check {service.variable} and the network"
        case "other":
            return f"{service.name} failed ({fault.code}); run again"
        case _:
            assert_never(fault.kind)


def _tried() -> str:
    limit = patience.limit()
    return f"for {duration(limit)}, which is what steps.patience_minutes allows" if limit else "through all retries"


def passing(service: Service, error: BaseException | None) -> str | None:
    """Returns in words why an error, or what led to it, may be gone in a minute; None for one that will not."""
    while error is not None:
        fault = service.diagnose(error)
        if fault and fault.kind == "unreachable":
            return f"no connection ({fault.code})"
        if fault and fault.kind == "busy":
            return f"it answers {fault.code}"
        error = error.__cause__ or error.__context__
    return None
