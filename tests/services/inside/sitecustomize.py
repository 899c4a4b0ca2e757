"""Gives a name that only processes with this folder on PYTHONPATH can resolve, as in a cluster.

Python runs this at its start.
"""

import os
import socket
from typing import Any

if inside := os.environ.get("FINEST_TESTS_INSIDE"):
    outside = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        """Addresses of the host; of the name inside, this machine's."""
        return outside("127.0.0.1" if host == inside else host, *arguments, **more)

    socket.getaddrinfo = getaddrinfo
