"""The model card says everything that somebody needs who serves the model, and takes nothing for markup."""

import re
from typing import Any

import pytest

from finest.data.schema import Manifest
from finest.gate.verdict import Segment, Verdict
from finest.models.config import SASRecConfig
from finest.models.saved import Facts
from tracking.card import model_card

HEADINGS = [
    "What it is",
    "How to use it",
    "Data",
    "How it was judged",
    "Whom it serves worse",
    "Verdict",
]
CODE = {"finest": "0.1.0", "git_commit": "c0ffee", "image_digest": "sha256:abcd"}


def segment(cut: str, value: str, mrr: float) -> Segment:
    return Segment(
        cut=cut,
        value=value,
        users=40,
        instances=90,
        mrr={"candidate": mrr, "base": 0.1},
        rls={},
        churn=None,
        ratios={},
        p=None,
        hurt=[],
    )


def card(verdict: Verdict, data: Manifest, source: str = "s3://shop/days") -> str:
    facts = Facts(
        model=SASRecConfig(hidden_size=8),
        seed=7,
        data_fingerprint="ab" * 32,
        depth=10,
        exclude_seen=True,
        stage="tuned",
    )
    named = "shop-de", "run-1", source
    return model_card(*named, facts, verdict, data, CODE)


def sections(text: str) -> dict[str, str]:
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, _, body in (part.partition("\n") for part in parts)}


def test_every_section_is_there_and_says_what_was_found(verdict: Any, manifest: Manifest) -> None:
    segments = [segment("country", name, mrr) for name, mrr in (("de", 0.2), ("fr", 0.05), ("it", 0.1))]
    segments.append(segment("everyone", "instances", 0.1))
    text = card(verdict(segments=segments), manifest)
    found = sections(text)
    assert list(found) == HEADINGS and all(found.values())
    for fact in (
        "shop-de",
        "run-1",
        "hidden_size 8",
        "seed 7",
        "tuned",
        "c0ffee",
        "sha256:abcd",
        "s3://shop/days",
        manifest.fingerprint,
        f"{manifest.train_interactions:,} of {manifest.interactions:,}",
        f"{manifest.users:,} users, {manifest.items:,} items",
        "last\\_fraction",
        "1970-01-01",
        "all rules hold",
        "anchored",
    ):
        assert fact.replace("\\_", "_") in text, fact
    assert "None" not in text and "{{" not in text and not re.search(r"\bnan\b", text)
    row = next(line for line in found["Whom it serves worse"].splitlines() if line.startswith("| country"))
    assert row == "| country | fr: 0.0500 | 40 | de: 0.2000 | 40 |"
    assert "everyone" not in found["Whom it serves worse"]


def test_what_was_not_measured_is_said(verdict: Any, manifest: Manifest) -> None:
    found = sections(card(verdict(), manifest, source=""))
    assert found["Whom it serves worse"].startswith("Not measured")
    assert "from ;" not in found["Data"] and "Served is the network alone." in found["What it is"]


@pytest.mark.parametrize("name", ["a|b", "<script>x</script>", "[x](http://evil.example)", "line\nbreak", "`code`"])
def test_names_from_outside_are_text(verdict: Any, manifest: Manifest, name: str) -> None:
    text = card(verdict(segments=[segment("shop", name, 0.1), segment("shop", "b", 0.2)]), manifest, source=name)
    row = next(line for line in text.splitlines() if line.startswith("| shop"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert not re.search(r"(?<!\\)[<`\[]", row.replace(r"\|", ""))
