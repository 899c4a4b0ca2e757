"""Asks the API of Kubeflow Pipelines: where it is, who asks, and what its errors mean in one line."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import kfp_server_api as kfp
import urllib3
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import HTTPError

from components.backend import IN_CLUSTER_HOST, SERVICE_ACCOUNT_TOKEN
from finest import causes
from finest.errors import ConfigError, FinestError
from finest.secrets import hide, masked

T = TypeVar("T")

SECONDS = 5, 30
"""Longest times that a connection, and an answer, may take."""
PAGE = 100
ADVICE: dict[causes.Kind, str] = {
    "name": "outside of the cluster run `kubectl -n kubeflow port-forward svc/ml-pipeline 8888` and give --host http://localhost:8888",
    "certificate": "give the file of its authority with --ca or KFP_CA",
    "tls": "give --host with http://",
    "time": "see what stands between (a network policy, a proxy)",
}
"""Advice by the cause of there being no answer."""

for _name in ("urllib3.connectionpool", "kfp_server_api.rest"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # a retry is no news, and the second logs bodies


@dataclass(frozen=True)
class Access:
    """Says where the API is and how to ask it. Empty fields are looked up in the environment."""

    host: str = ""
    """Address of the API; else KFP_HOST, else the service inside the cluster. A port-forward is
    http://localhost:PORT."""
    namespace: str = ""
    """Namespace of the profile on an installation for many users; else KFP_NAMESPACE, else none."""
    token_file: str = ""
    """File of a bearer token, read anew for every request; else KFP_TOKEN_FILE, else the token in KFP_TOKEN, else the
    pod's own."""
    ca: str = ""
    """File of the certificates that the host's is signed with; else KFP_CA, else the usual ones."""


class ApiError(FinestError):
    """The API said no, or nothing."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status
        """HTTP status; 0 where there was no answer."""

    @property
    def passing(self) -> bool:
        """Tells whether the same request may well succeed in a minute."""
        return self.status in (0, 408, 429) or self.status >= 500


@dataclass(frozen=True)
class Client:
    """Holds the API's services that we use; `ask` asks them."""

    host: str
    namespace: str
    api: kfp.ApiClient = field(repr=False)

    def ask(self, call: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
        """Returns the call's answer; empty texts are not sent. Raises ApiError."""
        with self._explained():
            return call(
                *arguments, _request_timeout=SECONDS, **{name: value for name, value in keywords.items() if value != ""}
            )

    def pages(self, call: Callable[..., Any], entries: str, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        """Yields all entries of a list, which comes in pages."""
        token = ""
        while True:
            page = self.ask(call, *arguments, page_token=token, page_size=PAGE, **keywords)
            yield from getattr(page, entries) or []
            token = page.next_page_token
            if not token:
                return

    def get(self, path: str) -> Any:
        """Returns the answer to a GET as it came, for what the API's models leave out. Raises ApiError."""
        headers: dict[str, str] = {"Accept": "application/json"}
        with self._explained():
            self.api.update_params_for_auth(headers, [], ["Bearer"])
            return self.api.rest_client.GET(self.host + path, headers=headers, _request_timeout=SECONDS)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            text = _refusal(error) if error.status else _no_answer(error, self.host)
            raise ApiError(f"Kubeflow Pipelines at {masked(self.host)}: {text}", error.status or 0) from None
        except (HTTPError, OSError) as error:
            raise ApiError(f"Kubeflow Pipelines at {masked(self.host)}: {_no_answer(error, self.host)}", 0) from None

    @property
    def runs(self) -> kfp.RunServiceApi:
        """Returns the service of runs."""
        return kfp.RunServiceApi(self.api)

    @property
    def recurring(self) -> kfp.RecurringRunServiceApi:
        """Returns the service of recurring runs."""
        return kfp.RecurringRunServiceApi(self.api)

    @property
    def pipelines(self) -> kfp.PipelineServiceApi:
        """Returns the service of pipelines and their versions."""
        return kfp.PipelineServiceApi(self.api)

    @property
    def uploads(self) -> kfp.PipelineUploadServiceApi:
        """Returns the service of uploads of pipelines."""
        return kfp.PipelineUploadServiceApi(self.api)

    @property
    def experiments(self) -> kfp.ExperimentServiceApi:
        """Returns the service of experiments."""
        return kfp.ExperimentServiceApi(self.api)


def connect(access: Access) -> Client:
    """Returns a client; nothing is asked yet. Raises ConfigError where a file that was named cannot be read."""
    configuration = kfp.Configuration()
    configuration.host = (access.host or os.environ.get("KFP_HOST") or IN_CLUSTER_HOST).rstrip("/")
    if not configuration.host.startswith(("http://", "https://")):
        raise ConfigError(
            f"KFP host {masked(configuration.host)}: write it with http:// or https://, like http://localhost:8888"
        )
    # Reads are repeated when the connection breaks; a request that creates something never is.
    configuration.retries = urllib3.Retry(
        3, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False
    )
    ca = access.ca or os.environ.get("KFP_CA", "")
    if ca:
        _read(ca, "certificates")
        configuration.ssl_ca_cert = ca
    token = _token(access)
    if token():
        configuration.api_key_prefix["authorization"] = "Bearer"

        def refresh(of: kfp.Configuration) -> None:
            of.api_key["authorization"] = token()

        refresh(configuration)
        configuration.refresh_api_key_hook = refresh
    return Client(
        configuration.host, access.namespace or os.environ.get("KFP_NAMESPACE", ""), kfp.ApiClient(configuration)
    )


def _token(access: Access) -> Callable[[], str]:
    """Returns what reads the token; a pod's is replaced every hour."""
    file = access.token_file or os.environ.get("KFP_TOKEN_FILE", "")
    if file:
        return lambda: _hidden(_read(file, "token"))
    if given := os.environ.get("KFP_TOKEN", ""):
        return lambda: given.strip()
    own = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH") or SERVICE_ACCOUNT_TOKEN
    return (lambda: _hidden(_read(own, "token"))) if Path(own).exists() else lambda: ""


def _hidden(token: str) -> str:
    hide(token)
    return token


def _read(file: str, what: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the {what} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _refusal(error: ApiException) -> str:
    advice = {
        401: "; the token is missing or has expired: give one with --token-file, KFP_TOKEN_FILE or KFP_TOKEN",
        403: (
            "; the token may not do this: bind its account to the role that edits pipelines in this namespace, "
            "or give --namespace"
        ),
    }.get(error.status, "")
    return f"{error.status} {_message(error) or error.reason or ''}".strip() + advice


def _message(error: ApiException) -> str:
    """Returns the server's own words, in one line; grpc repeats itself after a colon."""
    try:
        body = json.loads(error.body or "")
    except ValueError:
        return ""
    said = body.get("message") or body.get("error_message") or body.get("error") or "" if isinstance(body, dict) else ""
    text = " ".join(str(said).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _no_answer(error: Exception, host: str) -> str:
    found = causes.find(error, host)
    return f"{found.words}; {ADVICE.get(found.kind, 'see that the host is right and the port-forward still up')}"
