"""The command `finest`, where only the library is installed too: there it says what it lacks."""

import sys


def main() -> int:
    """Runs the command line and returns the exit code."""
    try:
        from pipeline.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("finest", "pipeline", "components", "tracking", "storage"):
            raise
        print(
            f"error: the command finest needs {error.name}, which its extra brings: pip install 'finest[pipeline]'",
            file=sys.stderr,
        )
        return 1
    return run()
