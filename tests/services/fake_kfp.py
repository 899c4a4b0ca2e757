"""Kubeflow Pipelines' API, of which there is no real one on one machine.

What it is sent and says are kfp_server_api's own models.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import kfp_server_api as kfp

from tests.services.fake_http import Answer, Request, Server, serving
from tests.services.recorded import Recorded

V2 = "/apis/v2beta1"
CODEC = kfp.ApiClient()


class Moment(NamedTuple):
    """A run as one poll sees it."""

    state: str
    tasks: dict[str, str] = {}  # noqa: RUF012
    """State by the name that KFP shows, which tasks of a loop share: what follows a # tells them apart here."""
    error: str = ""


@dataclass
class FakeKfp:
    """The server's content, and how it behaves."""

    version: str = "2.17.0"
    multi_user: bool = False
    token: str = ""
    """What clients must bring; empty for an installation without sign-in."""
    life: list[Moment | Recorded] = field(default_factory=lambda: [Moment("SUCCEEDED")])
    """What polls of a run see, one after the other; the last one stays."""
    on_run: Callable[[str], object] = lambda run_id: None
    """Told of every new run."""
    on_poll: Callable[[datetime], None] = lambda at: None
    """Told the time of what a poll of a recorded run is about to see."""
    away: list[int] = field(default_factory=list)
    """Statuses that the next requests for a run get instead of an answer."""
    page: int = 2
    """Most entries of one page."""
    pipelines: dict[str, kfp.V2beta1Pipeline] = field(default_factory=dict)
    versions: dict[str, kfp.V2beta1PipelineVersion] = field(default_factory=dict)
    experiments: dict[str, kfp.V2beta1Experiment] = field(default_factory=dict)
    runs: dict[str, kfp.V2beta1Run] = field(default_factory=dict)
    recurring: dict[str, kfp.V2beta1RecurringRun] = field(default_factory=dict)
    uploads: int = 0
    http: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        self.polls: dict[str, int] = {}
        lists = {
            "pipelines": (kfp.V2beta1ListPipelinesResponse, self.pipelines),
            "pipelines/[^/]+/versions": (kfp.V2beta1ListPipelineVersionsResponse, self.versions),
            "experiments": (kfp.V2beta1ListExperimentsResponse, self.experiments),
            "recurringruns": (kfp.V2beta1ListRecurringRunsResponse, self.recurring),
        }
        made = {
            "pipelines": (kfp.V2beta1Pipeline, self.pipelines, "pipeline_id"),
            "experiments": (kfp.V2beta1Experiment, self.experiments, "experiment_id"),
            "recurringruns": (kfp.V2beta1RecurringRun, self.recurring, "recurring_run_id"),
        }
        self.http.before = self._sign_in
        self.http.routes = [
            ("GET", f"{V2}/healthz", self._health),
            *(("GET", f"{V2}/{path}", partial(self._list, *of)) for path, of in lists.items()),
            *(("POST", f"{V2}/{path}", partial(self._create, *of)) for path, of in made.items()),
            ("POST", f"{V2}/pipelines/upload_version", self._upload),
            ("POST", f"{V2}/runs", self._start),
            ("GET", f"{V2}/runs/([^/:]+)", self._poll),
            ("POST", f"{V2}/recurringruns/([^/:]+):(enable|disable)", self._turn),
            ("DELETE", f"{V2}/recurringruns/([^/:]+)", self._delete),
        ]

    def replay(self, life: list[Recorded]) -> str:
        """Makes a recorded run the only one, also that of who starts one, with such a life; returns its id."""
        self.life = list(life)
        run = str(life[0].answer["run_id"])
        self.runs = {run: kfp.V2beta1Run(run_id=run)}
        return run

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.http.url

    @staticmethod
    def _number() -> str:
        return uuid.uuid4().hex[:12]

    def _sign_in(self, request: Request) -> Answer | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401, {"code": 16, "message": "Request header error: there is no user identity header."})
        return None

    def _health(self, request: Request) -> Answer:
        return Answer(
            200,
            {
                "commit_sha": "unknown",
                "tag_name": self.version,
                "multi_user": self.multi_user,
                "pipeline_store": "database",
            },
        )

    def _list(self, kind: Any, content: dict[str, Any], request: Request) -> Answer:
        first = int(request.query.get("page_token") or 0)
        after = first + min(int(request.query.get("page_size") or self.page), self.page)
        entries = next(name for name, type in kind.openapi_types.items() if type.startswith("list["))
        more = {"next_page_token": str(after)} if after < len(content) else {}
        return _say(kind(**{entries: list(content.values())[first:after] or None}, **more))

    def _create(self, kind: Any, content: dict[str, Any], id: str, request: Request) -> Answer:
        made = _read(request.body, kind)
        setattr(made, id, f"{id}-{self._number()}")
        made.created_at = datetime.now(UTC)
        content[getattr(made, id)] = made
        return _say(made)

    def _upload(self, request: Request) -> Answer:
        if any(version.name == request.query["name"] for version in self.versions.values()):
            return Answer(409, {"message": "Already exist error: The name already exist"})
        self.uploads += 1
        id = f"version-{self._number()}"
        self.versions[id] = kfp.V2beta1PipelineVersion(
            pipeline_id=request.query["pipelineid"],
            pipeline_version_id=id,
            name=request.query["name"],
            display_name=request.query["name"],
            description=request.query.get("description"),
            created_at=datetime.now(UTC),
        )
        return _say(self.versions[id])

    def _start(self, request: Request) -> Answer:
        run = _read(request.body, kfp.V2beta1Run)
        if len(json.dumps(run.runtime_config.parameters)) >= 10_000:
            return Answer(
                400, {"message": "Invalid input error: The input parameter length exceed maximum size of 10000."}
            )
        first = self.life[0] if self.life else None
        run.run_id = str(first.answer["run_id"]) if isinstance(first, Recorded) else f"run-{self._number()}"
        run.state = "PENDING"
        self.runs[run.run_id] = run
        self.on_run(run.run_id)
        return _say(run)

    def _poll(self, request: Request, id: str) -> Answer:
        if self.away:
            return Answer(self.away.pop(0), {"message": "upstream connect error"})
        if id not in self.runs:
            return Answer(404, {"message": f"ResourceNotFoundError: Run {id} not found."})
        moment = self.life[min(self.polls.get(id, 0), len(self.life) - 1)]
        self.polls[id] = self.polls.get(id, 0) + 1
        if isinstance(moment, Recorded):
            self.on_poll(moment.at)
            return Answer(200, moment.answer)
        run = self.runs[id]
        run.state = moment.state
        run.state_history = [
            *(run.state_history or []),
            kfp.V2beta1RuntimeStatus(update_time=datetime.now(UTC), state=moment.state),
        ]
        run.error = kfp.GoogleRpcStatus(message=moment.error) if moment.error else None
        run.run_details = kfp.V2beta1RunDetails(
            task_details=[
                kfp.V2beta1PipelineTaskDetail(
                    task_id=f"task-{number}", display_name=name.partition("#")[0], state=state
                )
                for number, (name, state) in enumerate(moment.tasks.items())
            ]
        )
        return _say(run)

    def _turn(self, request: Request, id: str, action: str) -> Answer:
        self.recurring[id].mode = action.upper()
        return Answer(200, {})

    def _delete(self, request: Request, id: str) -> Answer:
        return Answer(200, {}) if self.recurring.pop(id, None) else Answer(404, {"message": f"{id} not found"})


class _Body(NamedTuple):
    data: bytes


def model(content: Any, kind: type) -> Any:
    """A recorded answer as the client's own model."""
    return _read(json.dumps(content).encode(), kind)


def _read(body: bytes, kind: type) -> Any:
    return CODEC.deserialize(_Body(body), kind)


def _say(model: Any) -> Answer:
    return Answer(200, CODEC.sanitize_for_serialization(model))


@contextmanager
def serve() -> Iterator[FakeKfp]:
    """A server without content."""
    fake = FakeKfp()
    with serving(fake.http):
        yield fake
