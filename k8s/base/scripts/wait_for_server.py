"""Waits for a server: a pod's network policies may open only seconds after it has started."""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

PATIENCE = "FINEST_PATIENCE_SECONDS"
ATTEMPT_SECONDS = 5
PAUSE_SECONDS = 1
STARTING = (502, 503, 504)
"""What a proxy or a mesh answers while the server behind it is away."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, and may lead to where policies let nobody go."""

    def redirect_request(self, *_: object) -> None:
        """Follows no redirect."""
        return None


def wait_for_server(url: str) -> None:
    """Returns once the server answers, be it with a refusal. It must at once if FINEST_PATIENCE_SECONDS is unset.

    Raises SystemExit with one line when that time is over.
    """
    patience = seconds()
    until, waiting = time.monotonic() + patience, False
    try:
        address = server_address(url)
        while cause := silence(address):
            if time.monotonic() >= until:
                said = f"{address} has not answered within {patience} s: {cause}"
                raise SystemExit(f"error: {said}; does it run, and do network policies let this pod reach it?")
            if not waiting:
                print(f"waiting up to {patience} s for {address}: {cause}", flush=True)
            waiting = True
            time.sleep(PAUSE_SECONDS)
    except ValueError:
        shown = url.rpartition("@")[2]
        raise SystemExit(
            f"error: '{shown}' is no address of a server; write one like http://mlflow.finest.svc:5000"
        ) from None


def server_address(url: str) -> str:
    """Scheme, host and port, without a password that the URL may hold. Raises ValueError where it has none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def seconds() -> int:
    """How long to wait."""
    text = os.environ.get(PATIENCE) or "0"
    if not text.isascii() or not text.isdigit():
        raise SystemExit(f"error: {PATIENCE} is '{text}'; write whole seconds, like 120")
    return int(text)


def silence(address: str) -> str:
    """Why there is no answer; empty where there is one."""
    try:
        urllib.request.build_opener(NoRedirect).open(address, timeout=ATTEMPT_SECONDS).close()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.reason}" if error.code in STARTING else ""
    except OSError as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        return "" if is_answer(why) else getattr(why, "strerror", None) or str(why)
    except http.client.HTTPException:
        return ""
    return ""


def is_answer(why: object) -> bool:
    """Tells whether somebody is there; a refused certificate or a proxy's refusal counts."""
    nobody = isinstance(why, ConnectionError | TimeoutError) or getattr(why, "errno", None) is not None
    return isinstance(why, ssl.SSLError) or not nobody
