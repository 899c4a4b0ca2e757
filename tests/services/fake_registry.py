"""As much of an image registry as decides whether an image can be pulled: sign-in by token, and manifests."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.services.fake_http import Answer, Request, Server, serving


@dataclass
class FakeRegistry:
    """The registry's content."""

    manifests: set[tuple[str, str]] = field(default_factory=set)
    """Repository and digest or tag."""
    login: str = ""
    """`user:password` that tokens are given for; empty where anybody gets one."""
    http: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        self.http.routes = [
            ("GET", "/v2/", lambda request: self._challenge()),
            ("GET", "/token", self._token),
            ("HEAD", "/v2/(.+)/manifests/(.+)", self._manifest),
        ]

    @property
    def host(self) -> str:
        """As it stands in an image's name."""
        return self.http.url.removeprefix("http://")

    def _challenge(self) -> Answer:
        return Answer(
            401, headers={"WWW-Authenticate": f'Bearer realm="{self.http.url}/token",service="registry",scope="pull"'}
        )

    def _token(self, request: Request) -> Answer:
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        return (
            Answer(401)
            if self.login and request.headers.get("authorization") != wanted
            else Answer(200, {"token": "for-a-while"})
        )

    def _manifest(self, request: Request, repository: str, reference: str) -> Answer:
        if request.headers.get("authorization") != "Bearer for-a-while":
            return self._challenge()
        there = (repository, reference) in self.manifests
        return Answer(200 if there else 404, headers={"Docker-Content-Digest": "sha256:0123"})


@contextmanager
def serve() -> Iterator[FakeRegistry]:
    """An empty registry."""
    fake = FakeRegistry()
    with serving(fake.http):
        yield fake
