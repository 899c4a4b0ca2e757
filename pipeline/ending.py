"""Says how a run ends: its exit code, and what that means for the champion."""

from finest.errors import FinestError
from tracking.outcome import Outcome
from tracking.registry import serving

PASSED, BROKEN, REFUSED, CANCELLED, AWAITING = 0, 1, 3, 4, 5
"""Exit codes; a run that was skipped has passed."""


EXIT_CODES = {"pass": PASSED, "skipped": PASSED, "fail": REFUSED, "suspicious": REFUSED, "broken": BROKEN}
"""Exit code of a run by its verdict."""
NOT_PROMOTED = {"fail": "Refused", "suspicious": "Suspicious", "broken": "Broken", "skipped": "Skipped"}
"""What is said of a run that promotes nothing, by its verdict."""


class CancelledError(FinestError):
    """A run was ended from outside."""

    exit_code = CANCELLED


def unchanged(model: str) -> str:
    """Returns what serves after a run that promoted nothing."""
    return f"the champion of {model} stays as it was" if serving(model) else "there is no champion yet"


def unapproved(model: str, found: Outcome) -> tuple[str, int] | None:
    """Returns what is said of a run that passed and needs a person, and its exit code; None where it needs none."""
    if found.awaiting:
        return f"Awaiting approval: {found.awaiting.said}", AWAITING
    if found.unapproved:
        return f"Not promoted: {found.unapproved}; {unchanged(model)}", REFUSED
    return None
