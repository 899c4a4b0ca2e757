"""Configs: YAML changed in bytes, characters and values, and `--set` with any key and value."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from components.sections import keys
from pipeline import config as configs
from pipeline.config import READY_MADE, Config
from tests.fuzz import mutate
from tests.fuzz.kind import Good, Kind, WrongError

WORDS = """
1  -1  0  null  ~  on  no  yes  2024-01-01  2026-11-31  007  0x1f  1e999  .nan  -.inf  !!bool yess  !!timestamp x
!!int x  !!python/object:os.system x  *x  &a [*a]  &a {b: *a}  {a: 1, a: 2}  {[a]: 1}  [  ]  {  '  "  a: b.csv  #c
x #c  !!set {a}  !!omap [a]  !!omap [{a: 1}]  !!pairs [a: 1]  !!binary x  ? a  <<: 1  {<<: 1}  {<<: [1]}
{<<: {a: 1}}  !!float x  !!null x  1:2:3  190:20:30  [1,2  [{name: gru4rec}]  {name: gru4rec}  {name: 1}
{name: [a]}  gru4rec  s3a://K:S@b  !!str  !!map x  !!seq x  =  - a  %YAML 9.9  @x  `x`  |  1_000  0b1  0o7  12e03
!x y  {? : 1}  {null: 1}  {1: 2}  {on: 1}  true  [null]  [[1]]  111111111111111111111111111111  1e400  -0
9223372036854775808  !!timestamp 2026-02-30  2026-11-24T25:61:00Z  0001-01-01T00:00:00+14:00
9999-12-31T23:59:59-14:00  {kind: {name: insertion, new_item: 1}}  [{kind: deletion, share: .inf}]
[{kind: deletion}, {kind: deletion}]  [a, a]  {user: 0}  {user: true}  {key: day, format: '%Y%m%d'}
file:///etc/passwd  ../x  ~  ~user/x  a/../../b  $HOME  1s  1 GiB  [1, 2, 3]  {}  []  ''  ' '
"""
"""Values in YAML, two blanks or a line apart."""
VALUES = (
    *re.split(r"  |\n", WORDS.strip()),
    '"\\x00"',
    '"\\ud800"',
    " lead",
    "9" * 5000,
    "[" * 1000,
    "[" * 300 + "]" * 300,
    "{a: " * 950,
    "\xb2",
    "\u202e",
    "\x00",
    "\ud800",
    "\x85",
    "|\n a",
    ">-\n b",
    "'\\'",
)
"""Values that a key may get: many are none of YAML's, or mean something else than they look like."""
CONFIG, SETTINGS = "config.yaml", "settings.json"


def make_text(draw: Random, folder: Path, prepared: Path) -> None:
    text = draw.choice([path.read_text() for path in sorted(READY_MADE.glob("*.yaml"))])
    if draw.random() < 0.4:
        text = _dumped(draw)
    if draw.random() < 0.5:
        content = mutate.of_bytes(draw, text.encode())
    else:
        content = mutate.of_text(draw, text, VALUES).encode("utf-8", "surrogatepass")
    (folder / CONFIG).write_bytes(content)


def _dumped(draw: Random) -> str:
    return configs.dump(configs.load(draw.choice(sorted(READY_MADE.glob("*.yaml")))))


def make_values(draw: Random, folder: Path, prepared: Path) -> None:
    """A file of one to three keys that there are, with any values."""
    tree: dict[str, Any] = {}
    for key in draw.sample(list(keys(Config)), draw.choice((1, 1, 2, 3))):
        parts = key.split(".")
        if draw.random() < 0.05:
            parts[draw.randrange(len(parts))] = draw.choice(("x", "", "0", "'", "\u00e9"))
        section = tree
        for part in parts[:-1]:
            section = section.setdefault(part, {})
            if isinstance(section, str):
                break
        else:
            section[parts[-1]] = draw.choice((*VALUES, *mutate.ODD_TEXTS))
    (folder / CONFIG).write_bytes("\n".join(_lines(tree)).encode("utf-8", "surrogatepass"))


def _lines(tree: dict[str, Any], depth: int = 0) -> Iterator[str]:
    for key, value in tree.items():
        yield "  " * depth + f"{key}: {value if isinstance(value, str) else ''}"
        if not isinstance(value, str):
            yield from _lines(value, depth + 1)


def make_settings(draw: Random, folder: Path, prepared: Path) -> None:
    known, settings = list(keys(Config)), []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        key = draw.choice(known)
        if draw.random() < 0.3:
            key += draw.choice(
                (".0", ".x", ".0.name", ".", "..", "[0]", ".\u00b2", ".-1", ".999999999", "." + "9" * 20, " ", "\n")
            )
        setting = f"{key}={draw.choice((*VALUES, *mutate.ODD_TEXTS))}"
        settings.append(mutate.of_text(draw, setting, VALUES) if draw.random() < 0.3 else setting)
    (folder / SETTINGS).write_text(json.dumps(settings))


def read(folder: Path, prepared: Path) -> Good:
    """Loads the config; one that is taken says the same once it was written and read again."""
    file, sets = folder / CONFIG, folder / SETTINGS
    settings = json.loads(sets.read_text()) if sets.exists() else []
    loaded = configs.load(file if file.exists() else None, settings)
    again = folder / "again.yaml"
    again.write_text(configs.dump(loaded), encoding="utf-8")
    read_again = configs.load(again)
    if configs.dump(read_again) != configs.dump(loaded):
        raise WrongError("what was loaded, written and loaded again is another config")
    _ = loaded.line
    return "equal" if loaded == configs.load(None) else "other input"


KINDS = (
    Kind("config-text", 900, make_text, read),
    Kind("config-values", 900, make_values, read),
    Kind("settings", 900, make_settings, read),
)
