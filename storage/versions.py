"""What stores share where nothing can be locked: every writer writes versions of its own."""

import secrets
import socket
from functools import cache

READS = 5
"""Number of times that a read begins anew because a writer has replaced what was listed."""


@cache
def writer(process: int) -> str:
    """Returns the name of this process among all writers, on all machines."""
    return f"{socket.gethostname()}-{process}-{secrets.token_hex(4)}"
