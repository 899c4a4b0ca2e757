"""Tells whether a registry serves the image that the steps run in."""

import base64
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finest import causes
from pipeline.cluster.findings import HealthError, NotCheckedError

SECONDS = 15
DOCKER_HUB = "registry-1.docker.io"
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
PULL_FIX = (
    "give the service account an image pull secret: kubectl create secret docker-registry ..., "
    "then add it to imagePullSecrets"
)


@dataclass(frozen=True)
class Image:
    """Holds an image's name in parts."""

    registry: str
    """Host and port of the registry."""
    repository: str
    reference: str
    """Digest or tag."""

    @property
    def url(self) -> str:
        """Returns the registry's address; as for Docker, without TLS on this machine alone."""
        local = self.registry.partition(":")[0] in ("localhost", "127.0.0.1")
        host = DOCKER_HUB if self.registry in ("docker.io", "index.docker.io") else self.registry
        return f"{'http' if local else 'https'}://{host}"


def parse(name: str) -> Image | None:
    """Returns the parts of a name; None where it names no registry: it is then on the nodes already, or Docker Hub's.

    >>> parse("registry.example:5000/team/finest@sha256:0123")
    Image(registry='registry.example:5000', repository='team/finest', reference='sha256:0123')
    >>> parse("finest:0.1.0")
    """
    rest, at, digest = name.partition("@")
    first, slash, path = rest.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", first):
        return None
    repository, _, tag = path.partition(":")
    return Image(first, repository, digest if at else tag or "latest")


def check_registry(name: str) -> str:
    """Checks that the registry answers."""
    image = _known(name)
    try:
        _get(f"{image.url}/v2/", {})
    except urllib.error.HTTPError as error:
        if error.code != 401:  # who is not known is asked to sign in: that is an answer
            fix = "see that this is a registry (its /v2/ must answer 200 or 401)"
            raise HealthError(f"{image.registry} answers {error.code}", fix) from None
    return f"{image.registry} answers"


def check_manifest(name: str, logins: Mapping[str, Any]) -> str:
    """Checks that the registry serves the image. Layers are not looked at.

    Args:
        name: The image's name.
        logins: Logins to registries, as `auths` of a Docker config; empty for none.
    """
    image = _known(name)
    url, login = f"{image.url}/v2/{image.repository}/manifests/{image.reference}", _login(image.registry, logins)
    how = "with a login" if login else "without a login"
    try:
        try:
            headers = _get(url, {"Accept": MANIFESTS}, "HEAD")
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code != 401 or not (challenge.lower().startswith("bearer") or login):
                raise
            answer = (
                {"Authorization": f"Basic {login}"}
                if challenge.lower().startswith("basic")
                else _bearer(challenge, login)
            )
            headers = _get(url, {"Accept": MANIFESTS, **answer}, "HEAD")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            fix = "push it, or compile with the digest that was pushed"
            raise HealthError(f"{image.registry} has no {image.repository} {image.reference}", fix) from None
        if error.code in (401, 403):
            who = causes.host_and_port(error.url)  # the registry, or who gives tokens for it
            raise HealthError(f"{who} does not give {image.repository} {how} ({error.code})", PULL_FIX) from None
        raise HealthError(
            f"{image.registry} answers {error.code} for {image.repository}", "see the registry's own log"
        ) from None
    if image.reference.startswith("sha256:"):
        return f"served {how}"
    return (
        f"served {how}, by a tag: nothing is cached until it is compiled with "
        f"@{headers.get('Docker-Content-Digest', 'its digest')}"
    )


def docker_logins() -> dict[str, Any]:
    """Returns the logins of this machine's Docker config; helpers are not asked."""
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
    try:
        found = json.loads(file.read_text()).get("auths", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return dict(found)


def _known(name: str) -> Image:
    if (image := parse(name)) is None:
        fix = "compile with --image REGISTRY/REPOSITORY@sha256:..., or load it into every node"
        raise NotCheckedError(f"the image {name} names no registry", fix)
    return image


def _login(registry: str, logins: Mapping[str, Any]) -> str:
    """Returns user and password as Basic takes them, or nothing."""
    entries = (
        entry
        for host, entry in logins.items()
        if urllib.parse.urlsplit(host if "://" in host else f"//{host}").netloc == registry
    )
    entry: Mapping[str, Any] = next(entries, {})
    if entry.get("auth"):
        return str(entry["auth"])
    if entry.get("username"):
        return base64.b64encode(f"{entry['username']}:{entry.get('password', '')}".encode()).decode()
    return ""


def _bearer(challenge: str, login: str) -> dict[str, str]:
    """Asks for a token where the registry says that there is one."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: said[key] for key in ("service", "scope") if key in said})
    headers = {"Authorization": f"Basic {login}"} if login else {}
    with _open(urllib.request.Request(f"{said['realm']}?{query}", headers=headers)) as answer:
        given = json.loads(answer.read())
    return {"Authorization": f"Bearer {given.get('token') or given.get('access_token')}"}


def _get(url: str, headers: dict[str, str], method: str = "GET") -> Any:
    with _open(urllib.request.Request(url, headers=headers, method=method)) as answer:
        return answer.headers


def _open(request: urllib.request.Request) -> Any:
    """Returns the answer; a refusal is raised as it is. Raises HealthError where there is none."""
    try:
        return urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        fix = "see the image's name and the network; nodes need the registry too"
        raise HealthError(causes.find(error, request.full_url).words, fix) from None
