"""Config of a whole run: what it is about, and the sections of its steps."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, field_validator

import storage
from components import lines, packages
from components.config import Sections, Steps
from components.sections import parse
from finest.section import Address, Section, Written
from finest.tuning.config import Tune
from pipeline import config_file, settings
from pipeline.keep import Retention
from pipeline.placement import Placement
from pipeline.settings import Setting

FILE = "config.yaml"
"""Name of the complete config beside what a run made of it."""
READY_MADE = Path(__file__).parent / "configs"
"""Folder of the configs that come with finest."""
QUICKSTART, NIGHTLY = READY_MADE / "quickstart.yaml", READY_MADE / "nightly.yaml"


class Run(Section):
    """Holds what a run is about: its line, its data, its moment, its seed, and where it keeps its checkpoints."""

    name: Annotated[str, Written(rf"{lines.NAME}|^$", lines.WORDS)] = Field(default="", max_length=lines.LONGEST)
    """Name of the line, one model in production: of its registered model and its experiment in MLflow, and of its
    schedule on a cluster. Empty: the source's own short name, its file's or folder's."""

    source: Address = "ml-100k"
    """A file, a folder or a prefix of interactions, or the name of a sample that is fetched (`ml-100k`)."""
    as_of: datetime | None = None
    """The moment that the run stands for (ISO 8601, UTC without a zone; a day is the midnight that it begins with):
    windows over days, a held-out day and the data's age are counted from it. Unset: the schedule's time on a cluster,
    else now."""
    seed: int = Field(default=0, ge=0)
    """Seed of initial weights, batches, dropout, and simulation."""
    rebase: bool = False
    """Start the line over, for one run: the data may be another, the candidate is judged as on a first night, and the
    champion that it takes the place of becomes `previous`."""
    checkpoints: Address = ""
    """Folder, or URI like s3://bucket/prefix (gs:// and abfs:// too), where trainings leave checkpoints to go on from,
    in a folder of the line's. Empty: a local run keeps them in its state folder."""
    packages: list[str] = Field(default=[])
    """Other packages that the config's models, rules and the like come from, as `name` or `name==version`. A run
    without them ends before anything starts. Those that the config names things of are added by themselves, with their
    versions."""
    profile: bool = False
    """Profile the training steps: traces, and a page that says where the run's time went, also in the report. Changes
    no result."""

    @field_validator("as_of", mode="before")
    @classmethod
    def _a_day_or_a_time(cls, value: object) -> object:
        if isinstance(value, date):  # YAML makes one of a day
            return value if isinstance(value, datetime) else datetime.combine(value, time())
        if value is not None and not (isinstance(value, str) and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
            raise ValueError("must be a day or a time like 2026-11-24 or 2026-11-24T02:00:00Z")
        return value


class Config(Sections, Run):
    """Holds the config of a whole run: what it is about, the sections of its steps, and how and where these run."""

    @property
    def line(self) -> str:
        """Returns the name of the line that the run belongs to."""
        return lines.named(self.name, self.source)

    steps: Steps = Steps()
    """What every step gets in its environment."""
    placement: Placement = Placement()
    """Where steps run on a cluster, and what they may use."""
    retention: Retention = Retention()
    """What a local run keeps of the runs before it."""
    tune: Tune = Tune()
    """What `finest tune` searches, and for how long."""


def find(given: str) -> Path:
    """Returns the file of a config: `given` is a ready-made one's bare name, like `nightly`, or a path."""
    return READY_MADE / f"{given}.yaml" if given in ready_made() else Path(given)


def ready_made() -> list[str]:
    """Returns the names of the configs that come with finest."""
    return sorted(file.stem for file in READY_MADE.glob("*.yaml"))


def load(path: Path | None, sets: Iterable[Setting] = ()) -> Config:
    """Returns the config in a YAML file, with settings on top.

    Args:
        path: The file; None for a config of defaults.
        sets: Settings like `gate.min_rls_rbo=0.8`, whose values are read as YAML where the key holds no text; or pairs
            of a key and a text.

    Raises:
        ConfigError: There is no such file, or it is no valid config; one line.
    """
    values = assigned(sets, read(path) if path else {})
    if isinstance(known := values.get("packages"), list):
        packages.check(known)  # first, since what they would register is unknown without them
    config = parse(Config, values)
    files = [of.file for of in config.perturb.files]
    places = storage.packages_of(config.source, config.checkpoints, config.recommend.out, files)
    needed = [*config.packages, *packages.needed(config), *places]
    return config.model_copy(update={"packages": list(dict.fromkeys(needed))})


def assigned(
    sets: Iterable[Setting], values: dict[str, Any] | None = None, section: type[BaseModel] = Config
) -> dict[str, Any]:
    """Returns the values of a config file, changed by settings.

    Raises ConfigError where one cannot be meant.
    """
    return settings.assigned(sets, {} if values is None else values, section)


def read(path: Path) -> dict[str, Any]:
    """Returns what a config file says, unchecked but for its YAML. Raises ConfigError."""
    return config_file.read(path, f"; ready-made ones are named {', '.join(ready_made())}")


def dump(config: Config) -> str:
    """Returns the complete config as YAML that `load` can read."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
