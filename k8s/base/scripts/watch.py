"""Fails when the newest verdict is older than $MAX_AGE (like 26h), and tells the webhook in $FINEST_WEBHOOK, if any."""

import os
import subprocess
import sys

from components.notify.work import post
from finest.errors import FinestError

WEBHOOK_SECONDS = 10


def main() -> int:
    """Returns the exit code: 0 where the newest verdict is new enough."""
    command = [sys.executable, "-m", "pipeline", "status", "--max-age", os.environ["MAX_AGE"]]
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
