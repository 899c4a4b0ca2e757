"""A way to a server that is there while it is open: what a network policy or a slow start does to a client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

Address = tuple[str, int]


class Relay(ThreadingTCPServer):
    """Takes connections, and hands their bytes on."""

    allow_reuse_address = daemon_threads = True


@contextmanager
def opened(address: Address, server: Address) -> Iterator[None]:
    """Connections to the address reach the server for the length of a block; before and after it they are refused."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(server) as behind:
                back = threading.Thread(target=pass_on, args=(behind, self.request))
                back.start()
                pass_on(self.request, behind)
                back.join()

    with Relay(address, Handler) as relay:
        threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            relay.shutdown()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """All that comes from one side, to the other, up to its end."""
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
