"""Runs steps in containers on this machine: with this user's rights, the state folder, and the host's network.

Containers outlive a runner that is killed; labels tell which run of which state they belong to.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import DeviceRequest, Mount
from kubernetes.utils.quantity import parse_quantity
from pydantic import TypeAdapter, ValidationError

from components import events, orphan
from components.image import GPU_IMAGE, IMAGE
from finest import documents
from finest.errors import ConfigError, FinestError, first_line
from finest.models.signature import PEM, PRIVATE, PUBLIC
from finest.perturb.config import EditFile
from pipeline.config import Config
from pipeline.placement import Memory
from pipeline.state import State
from storage import demo_data
from tracking.describe import code_tags

STATE_LABEL, RUN_LABEL = "finest.state", "finest.run"
DEMO_DATA_FOLDER = "/mnt/demo_data"
"""Folder of a demo data set's file in the containers."""
SHARED_MEMORY = "1g"
"""Size of /dev/shm, where processes of one step hand each other data."""
PASSED_ON = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "FINEST_", "OMP_")
"""Prefixes of variables that steps get from the environment."""
KEY_FILES, KEY_FOLDER = ("GOOGLE_APPLICATION_CREDENTIALS", PRIVATE, PUBLIC), "/mnt/keys"
"""Variables that name a file with a key, and the folder that steps find those files in."""
PROXIES = {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
LEFT_OUT = re.compile(rf"{orphan.VARIABLE}|FINEST_CACHE|(AWS|AZURE)_.*(_FILE|_PATH|PROFILE)")
"""Variables with these prefixes that steps do not get: process ids and files mean nothing inside a container."""
GONE = (404, 409)
"""HTTP statuses of an engine that has removed the container already, or is about to."""


@dataclass(frozen=True)
class Image:
    """Holds the image that the steps of a run run in."""

    name: str
    digest: str
    """Digest by which a registry knows it; its id where it came from none."""
    commit: str
    """Commit of the code in it; empty where it does not say."""
    user: str
    """`uid:gid` of the steps."""
    gpu: bool
    """Whether the engine can hand in GPUs."""
    memory: str = ""
    """Most memory that a step's container may have, like 3Gi; empty for all that the machine has."""


def connect() -> docker.DockerClient:
    """Returns the engine that DOCKER_HOST or the default says. Raises FinestError where none answers."""
    try:
        return docker.from_env()
    except DockerException as error:
        raise FinestError(
            f"no Docker engine answers ({first_line(error) or type(error).__name__}); "
            "start one or set DOCKER_HOST, or leave out --runner docker"
        ) from error


def find(name: str | None, memory: str = "") -> Image:
    """Finds the image of a run.

    Args:
        name: The image's name. None: ours for the GPU where the engine has GPUs and that image, else ours for the CPU.
        memory: Most memory that a step's container may have, like 3Gi; empty for all that the machine has.

    Raises:
        FinestError: No engine answers.
        ConfigError: The engine lacks the image, the image names its user by a word, or `memory` is no amount.
    """
    if memory:
        try:
            TypeAdapter(Memory).validate_python(memory)
        except ValidationError as error:
            raise ConfigError(f"--memory {memory}: {documents.fault(error)}") from error
    with contextlib.closing(connect()) as engine:
        gpu = "nvidia" in engine.info().get("Runtimes", {})
        for wanted in [name] if name else [GPU_IMAGE, IMAGE] if gpu else [IMAGE]:
            with contextlib.suppress(ImageNotFound):
                found = engine.images.get(wanted)
                break
        else:
            raise ConfigError(
                f"the Docker engine has no image {wanted}; build it with `make images`, or name another with --image"
            )
    config = found.attrs["Config"]
    commit = dict(entry.split("=", 1) for entry in config["Env"] or []).get("GIT_COMMIT", "")
    digest = (found.attrs["RepoDigests"] or [found.id])[0].rpartition("@")[2]
    return Image(wanted, digest, commit, _user(wanted, config["User"]), gpu, memory)


def _user(image: str, user: str) -> str:
    """Returns this user, so that what steps write is theirs; where this is root, the image's own user."""
    if os.getuid():
        return f"{os.getuid()}:{os.getgid()}"
    if not (match := re.fullmatch(r"([1-9]\d*)(?::(\d+))?", user)):
        raise ConfigError(
            f"image {image} runs as user '{user or 'root'}'; it needs a number other than 0: USER 10001:10001"
        )
    return f"{match[1]}:{match[2] or match[1]}"


def note(image: Image) -> str:
    """Returns a note where the image may hold other code than the pipeline's graph is made from; else an empty text."""
    here = code_tags()["git_commit"]
    if image.commit == here and not here.endswith("+changes"):
        return ""
    built, checkout = (_short(commit) or "an unknown commit" for commit in (image.commit, here))
    return f"built from {built}, this checkout is {checkout}: `make images` brings it up to date"


def _short(commit: str) -> str:
    sha, plus, changes = commit.partition("+")
    return sha[:10] + plus + changes


def prepare(config: Config, state: State, folder: Path, user: str) -> Config:
    """Makes the run's folders the steps' own, and fetches a demo data set.

    Returns the config with the full paths of the source, of edit files and of the lists.
    """
    uid, gid = map(int, user.split(":"))
    for made in (folder / "kfp", folder / "tmp", state.checkpoints, state.root / "mlflow"):
        made.mkdir(exist_ok=True)
    if uid != os.getuid():
        for path in [state.root, folder.parent, folder, *folder.iterdir()]:
            os.chown(path, uid, gid)
        for tree in (state.checkpoints, state.root / "mlflow"):
            for path in [tree, *tree.rglob("*")]:
                os.chown(path, uid, gid, follow_symlinks=False)
    if lists := local_path(config.recommend.out):
        lists.mkdir(parents=True, exist_ok=True)
        if uid != os.getuid():
            os.chown(lists, uid, gid)
        config = config.model_copy(update={"recommend": config.recommend.model_copy(update={"out": str(lists)})})
    scenarios = [
        of.model_copy(update={"file": str(edits)})
        if isinstance(of, EditFile) and (edits := local_path(of.file))
        else of
        for of in config.perturb.scenarios
    ]
    config = config.model_copy(update={"perturb": config.perturb.model_copy(update={"scenarios": scenarios})})
    if config.source in demo_data.DEMO_DATA:
        demo_data.fetch(config.source).chmod(0o644)
        return config
    place = local_path(config.source)
    return config.model_copy(update={"source": str(place)}) if place else config


def local_path(source: str) -> Path | None:
    """Returns the full path of a source of this machine; None for one that is elsewhere and for none at all."""
    if not source or ("://" in source and not source.startswith("file://")):
        return None
    return Path(unquote(urlsplit(source).path) if "://" in source else source).expanduser().absolute()


def arguments(config: Config, state: Path, folder: Path, image: Image) -> dict[str, Any]:
    """Returns the arguments of kfp.local.DockerRunner for a run whose `prepare` is done."""
    mounts = [Mount(str(state), str(state), "bind"), Mount("/tmp", str(folder / "tmp"), "bind")]
    ours = {name for name in os.environ if name.startswith(PASSED_ON) and not LEFT_OUT.fullmatch(name)}
    environment = {name: value for name, value in os.environ.items() if name in ours | PROXIES}
    webhook = config.notify.webhook_variable
    environment |= {webhook: os.environ[webhook]} if webhook in os.environ else {}
    if config.source in demo_data.DEMO_DATA:
        file = demo_data.fetch(config.source)
        mounts.append(Mount(f"{DEMO_DATA_FOLDER}/{file.name}", str(file), "bind", read_only=True))
        environment["FINEST_CACHE"] = DEMO_DATA_FOLDER
    elif (path := local_path(config.source)) and path.exists():
        mounts.append(Mount(str(path), str(path), "bind", read_only=True))
    for edits in {local_path(of.file) for of in config.perturb.files}:
        if edits and edits.exists():
            mounts.append(Mount(str(edits), str(edits), "bind", read_only=True))
    if lists := local_path(config.recommend.out):
        mounts.append(Mount(str(lists), str(lists), "bind"))
    for name in KEY_FILES:
        if PEM not in (value := os.environ.get(name, "")) and (key := Path(value)).is_file():
            environment[name] = f"{KEY_FOLDER}/{name.lower()}/{key.name}"
            mounts.append(Mount(environment[name], str(key.absolute()), "bind", read_only=True))
    memory = int(parse_quantity(image.memory)) if image.memory else None
    return {
        "mounts": mounts,
        "environment": environment
        | {
            "FINEST_STATE": str(state),
            "KFP_RUN_ID": folder.name,
            events.VARIABLE: str(folder / "events.jsonl"),
            "IMAGE_DIGEST": image.digest,
            # kfp decodes the log in pieces that may end inside a character.
            "PYTHONIOENCODING": "ascii:backslashreplace",
        },
        "labels": {STATE_LABEL: str(state), RUN_LABEL: folder.name},
        "user": image.user,
        "network_mode": "host",
        "shm_size": SHARED_MEMORY,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])] if image.gpu else [],
    }


def remove(state: Path, run: str = "") -> None:
    """Ends the containers of a state, or of one of its runs alone. Raises FinestError where no engine answers."""
    labels = [f"{STATE_LABEL}={state}"] + ([f"{RUN_LABEL}={run}"] if run else [])
    with contextlib.closing(connect()) as engine:
        for container in engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True):
            try:
                container.remove(force=True)
            except docker.errors.APIError as error:
                if error.status_code not in GONE:
                    why = first_line(error) or type(error).__name__
                    raise FinestError(f"cannot end container {container.short_id} of a run ({why})") from error
