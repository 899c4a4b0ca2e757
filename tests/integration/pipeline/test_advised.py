"""What pages, configs and messages tell people to `--set` is taken, with either ready-made config."""

import re
import subprocess
from pathlib import Path

import pytest

from finest.errors import ConfigError
from pipeline.config import NIGHTLY, QUICKSTART, load

ROOT = Path(__file__).parents[3]
SET = re.compile(r"--set[ =]['\"]?([a-z_][\w.]*=(?:\[.*?\](?=['\"`\s])|\{.*?\}(?=['\"`\s])|[^\s`'\"),;]+))")
ADVISED = re.compile(
    r"\b((?:ingest|perturb|pretrain|finetune|gate|promote|steps|retention|recommend|notify|preflight)"
    r"(?:\.[a-z_]+)+): (auto|off|true|false|[0-9.]*[0-9])\b"
)
"""A key of a section with its value, as messages write it."""
ANY = {"key=value", "a.b.c=value"}
"""Words that stand for a setting."""


def advised() -> dict[str, list[str]]:
    """The settings of each line that has some, by where it is; those of one line go together."""
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    pages = [name for name in listed if name.endswith((".py", ".md", ".yaml", ".j2"))]
    found = {}
    for name in pages:
        if name.startswith(("tests/", "benchmarks/")) or name == "CONTRIBUTING.md":  # recipes register what they name
            continue
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            said = [*SET.findall(line), *(f"{key}={value}" for key, value in ADVISED.findall(line))]
            if settings := [one.rstrip(".") for one in said if one not in ANY and "..." not in one]:
                found[f"{name}:{number}"] = settings
    return found


@pytest.mark.parametrize("config", [QUICKSTART, NIGHTLY], ids=lambda path: path.stem)
def test_what_is_advised_is_taken(config: Path) -> None:
    told = advised()
    assert len(told) > 40 and any("pretrain.steps=auto" in settings for settings in told.values())
    refused = []
    for place, settings in told.items():
        try:
            load(config, settings)
        except ConfigError as error:
            refused.append(f"{place}: {settings}: {error}")
    assert refused == []
