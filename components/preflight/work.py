"""What must hold before anything expensive starts."""

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import storage
from components import events, source
from components.notify.config import Notify
from components.preflight.config import Preflight
from components.promote.config import Promote
from components.sections import parse
from finest.data.config import Ingest
from finest.errors import FinestError
from finest.perturb.config import Perturb
from finest.section import Section
from finest.stability.config import Gate
from finest.training.config import Finetune, Pretrain
from tracking import registry, runs, store

SECTIONS: dict[str, type[Section]] = {
    "preflight": Preflight, "ingest": Ingest, "perturb": Perturb, "pretrain": Pretrain, "finetune": Finetune, "gate": Gate,
    "promote": Promote, "notify": Notify,
}  # fmt: skip


class Checked(NamedTuple):
    """What later steps need to know."""

    listing: str
    """Hash of the source's listing."""
    champion: str
    """The champion's version, '' where there is none."""
    items_needed: int
    """Fewest items that reference lists of this depth can be taken from."""


def check(uri: str, seed: int, checkpoints: str, values: Mapping[str, Mapping[str, Any]]) -> Checked:
    """Checks config, source, disk and MLflow, in that order; ends what dead runs left open; opens the parent run last."""
    sections = {name: parse(section, values[name], name) for name, section in SECTIONS.items()}
    preflight, finetune, promote = sections["preflight"], sections["finetune"], sections["promote"]
    assert isinstance(preflight, Preflight) and isinstance(finetune, Finetune) and isinstance(promote, Promote)
    listing = storage.listing_hash(source.resolve(uri))
    for folder in local_folders(checkpoints):
        check_space(folder, preflight.min_free_gb)
    store.check()
    here = place()
    runs.close_dead(lambda tags: bool(here) and tags.get("place") == here)
    champion = registry.champion(promote.registered_model)
    config = {name: section.model_dump(mode="json") for name, section in sections.items()}
    runs.open_parent(config, source=uri, seed=seed, tags={"place": here})
    return Checked(listing, champion.version if champion else "", 2 * finetune.top if finetune.regulariser != "none" else 0)


def place() -> str:
    """Where a local run runs: one at a time there, by the lock, so an open run of the same place is surely dead. '' on a cluster."""
    return f"{socket.gethostname()}:{store.state_folder()}" if os.environ.get(events.VARIABLE) else ""


def local_folders(checkpoints: str) -> list[Path]:
    """Folders of this machine that the run fills."""
    state = [store.state_folder()] if os.environ.get(events.VARIABLE) else []
    return state + ([] if "://" in checkpoints or not checkpoints else [Path(checkpoints)])


def check_space(folder: Path, gigabytes: float) -> None:
    """Raises FinestError where less than that is free."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < gigabytes:
        raise FinestError(f"{folder}: {free:.1f} GB free, but preflight.min_free_gb asks for {gigabytes:g}; free some or move it (--state)")
