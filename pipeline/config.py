"""The config of a whole run: the sections of its parts, a source and a seed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from components.notify.config import Notify
from components.preflight.config import Preflight
from components.promote.config import Promote
from components.sections import parse
from finest.data.config import Ingest
from finest.errors import ConfigError
from finest.perturb.config import Perturb
from finest.section import Section
from finest.stability.config import Gate
from finest.training.config import Finetune, Pretrain

FILE = "config.yaml"
"""Name of the complete config beside what a run made of it."""
QUICKSTART = Path(__file__).parent.parent / "quickstart.yaml"


class Config(Section):
    """Sections are named after the steps that get them."""

    source: str = "ml-100k"
    """A file, a folder or a prefix of interactions, or the name of a sample that is fetched (`ml-100k`)."""
    seed: int = Field(default=0, ge=0)
    """Keys initial weights, batches, dropout, simulation and the gate's bootstrap."""
    preflight: Preflight = Preflight()
    ingest: Ingest = Ingest()
    perturb: Perturb = Perturb()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    gate: Gate = Gate()
    promote: Promote = Promote()
    notify: Notify = Notify()


def load(path: Path | None, sets: Iterable[str] = ()) -> Config:
    """The config in a YAML file (defaults where there is none), with `key=value` settings on top. Raises ConfigError."""
    values = _read(path) if path else {}
    for setting in sets:
        _set(values, setting)
    return parse(Config, values)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: there is no such config file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}{f':{mark.line + 1}' if mark else ''}: not valid YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(values or {}, dict):
        raise ConfigError(f"{path}: a config is sections and keys, this is a {type(values).__name__}")
    return values or {}


def _set(values: dict[str, Any], setting: str) -> None:
    """Puts `a.b.0.c=value` into nested dicts and lists; the value is read as YAML."""
    key, equals, text = setting.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {setting}: write it as key=value, like gate.min_rls_rbo=0.8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting}: the value is not valid YAML") from error
    here: Any = values
    for number, name in enumerate(path):
        last = number == len(path) - 1
        if isinstance(here, list):
            if not name.isdigit() or int(name) >= len(here):
                raise ConfigError(f"--set {setting}: {'.'.join(path[:number])} is a list of {len(here)}, number its entries from 0")
            place: Any = int(name)
        elif isinstance(here, dict):
            place = name
        else:
            raise ConfigError(f"--set {setting}: {'.'.join(path[:number])} is a single value and has no keys")
        if last:
            here[place] = value
        else:
            if isinstance(here, dict) and not isinstance(here.get(place), (dict, list)):
                here[place] = {}
            here = here[place]


def dump(config: Config) -> str:
    """The complete config as YAML, readable by `load`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
