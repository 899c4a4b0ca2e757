"""Fails when a line's newest verdict is older than $MAX_AGE (like 26h), and tells the webhook in $FINEST_WEBHOOK.

Lines are those in $LINES, with spaces between; all that have had a run where it is empty.
"""

import os
import subprocess
import sys

from components.notify.work import post
from finest.errors import FinestError

WEBHOOK_SECONDS = 10


def main() -> int:
    """Returns the exit code: 0 where all of the newest verdicts are new enough."""
    names = os.environ.get("LINES", "").split()
    return max(watch(["--name", name]) for name in names) if names else watch([])


def watch(which: list[str]) -> int:
    """Returns the exit code of the question for a line, or for all. `which` is the options that say so."""
    command = [sys.executable, "-m", "pipeline", "status", "--max-age", os.environ["MAX_AGE"], *which]
    checked = subprocess.run(command, capture_output=True, text=True)
    print(checked.stdout, end="")
    print(checked.stderr, end="", file=sys.stderr)
    if checked.returncode and (url := os.environ.get("FINEST_WEBHOOK")):
        said = (checked.stderr.strip() or checked.stdout.strip() or f"exit code {checked.returncode}").splitlines()[-1]
        try:
            post(url, {"text": f"FINEST watch: {said}", "exit_code": checked.returncode}, WEBHOOK_SECONDS)
        except FinestError as error:
            print(f"error: the webhook was not told: {error}", file=sys.stderr)
    return checked.returncode


if __name__ == "__main__":
    sys.exit(main())
