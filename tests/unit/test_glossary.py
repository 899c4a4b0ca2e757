"""The glossary against the code: what it says of a word's place is so, and no word of a vocabulary is left out."""

import re
from pathlib import Path
from typing import get_args

from components.sections import keys
from finest.data import schema
from finest.data.schema import Manifest
from finest.gate.config import Gate
from finest.perturb.plan import PLAN_FILE, Variant
from finest.ranklists.schema import Description, Role, Stage
from pipeline.config import Config

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
VOCABULARIES = {
    "role": set(get_args(Role)),
    "stage": set(get_args(Stage)),
    "protocol": {"anchored", "independent"},
    "rule": {rule.name for rule in Gate().rules},
}
FILES = {schema.INTERACTIONS, schema.ITEMS, schema.QUARANTINE, PLAN_FILE, "verdict.json"}
LIST_COLUMNS = {"target"}


def places() -> list[tuple[str, str]]:
    """Every place that the last column names: the vocabulary, if any, and the word."""
    return [place for *_, last in ROWS for place in re.findall(r"(?:(\w+) )?`([^`]+)`", last)]


def test_every_place_is_there() -> None:
    known = {*keys(Config), *Manifest.model_fields, *FILES, *LIST_COLUMNS}
    wrong = [
        f"{vocabulary} {word}"
        for vocabulary, word in places()
        if word not in (VOCABULARIES[vocabulary] if vocabulary else known)
    ]
    assert len(places()) > 40 and wrong == []


def test_every_word_of_a_vocabulary_that_files_carry_is_there() -> None:
    found = set(places())
    for vocabulary in ("role", "stage", "protocol"):
        assert {word for of, word in found if of == vocabulary} == VOCABULARIES[vocabulary]
    assert set(get_args(Variant.model_fields["role"].annotation)) <= VOCABULARIES["role"]
    assert set(get_args(get_args(Description.model_fields["protocol"].annotation)[0])) == VOCABULARIES["protocol"]


def test_a_word_is_explained_once_in_one_sentence() -> None:
    words = [word for word, *_ in ROWS if word not in ("word", "---")]
    assert len(words) == len(set(words))
    many = [
        word for word, meaning, _ in ROWS if word not in ("word", "---") and not re.fullmatch(r"[A-Z].*\.", meaning)
    ]
    assert many == []
    assert [word for word, meaning, _ in ROWS if re.search(r"[a-z`]\. [A-Z]", meaning)] == []


def test_the_readme_leads_to_it() -> None:
    assert "(docs/glossary.md)" in (ROOT / "README.md").read_text()
