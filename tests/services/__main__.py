"""Starts and stops the services: `python -m tests.services start DIR` and `stop DIR`.

`eval "$(python -m tests.services start DIR)"` sets the environment.
"""

import shlex
import sys
from pathlib import Path

from tests.services import stack
from tests.services.process import UnavailableError


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    match arguments:
        case ["start", folder]:
            try:
                environment = stack.up(Path(folder).absolute())
            except (UnavailableError, RuntimeError) as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            for name, value in environment.items():
                print(f"export {name}={shlex.quote(value)}")
            return 0
        case ["stop", folder]:
            stack.down(Path(folder).absolute())
            return 0
    print("usage: python -m tests.services start|stop DIR", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
