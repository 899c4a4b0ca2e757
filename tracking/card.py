"""The model card: what someone who serves a model must know, in Markdown.

Its headings follow Mitchell et al., "Model Cards for Model Reporting" (arXiv 1810.03993).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from finest.data.schema import Manifest
from finest.gate.segments import EVERYONE
from finest.gate.verdict import Segment, Verdict
from finest.report.markdown import markdown, text

if TYPE_CHECKING:
    from finest.models.saved import Facts

TEMPLATE = "model_card.md.j2"


def model_card(
    line: str, run: str, source: str, facts: "Facts", verdict: Verdict, data: Manifest, code: Mapping[str, str]
) -> str:
    """Returns the card.

    Args:
        line: Name of the line.
        run: Id of the pipeline run.
        source: Where the data came from, without credentials; empty where nobody knows.
        facts: What the model is.
        verdict: Its verdict.
        data: Manifest of its data set.
        code: `finest`, `git_commit` and `image_digest`, as the package's manifest has them.
    """
    settings = facts.model.model_dump(exclude={"name"}, exclude_none=True)
    split = data.split.get("method", "unknown")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        finalize=_finalized,
    )
    return environment.get_template(TEMPLATE).render(
        line=line,
        run=run,
        source=source,
        night=verdict.night.as_of if verdict.night else "",
        facts=facts,
        model=f"{facts.model.name} ({', '.join(f'{name} {value}' for name, value in settings.items())})",
        served=served(facts, verdict),
        code=code,
        data=data,
        first=day(data.first_timestamp),
        last=day(data.last_timestamp),
        reasons=", ".join(f"{reason}: {count:,}" for reason, count in data.quarantined_by_reason.items()),
        split=split,
        verdict=verdict,
        segments=list(extremes(verdict.segments)),
        judged=Markup(markdown(verdict)),
    )


def served(facts: "Facts", verdict: Verdict) -> str:
    """Returns the sentence on what lists are made of."""
    if verdict.served is not None:
        return verdict.served.sentence
    return "Served is the network alone." if facts.memory is None else "Served are network and counts together."


def extremes(segments: list[Segment]) -> Iterator[tuple[str, Segment, Segment]]:
    """Yields every cut with the segments that the candidate serves worst and best, of those that were measured."""
    for cut in dict.fromkeys(segment.cut for segment in segments if segment.cut != EVERYONE):
        parts = [segment for segment in segments if segment.cut == cut and "candidate" in segment.mrr]
        if len(parts) > 1:
            ordered = sorted(parts, key=lambda segment: segment.mrr["candidate"])
            yield cut, ordered[0], ordered[-1]


def _finalized(value: object) -> object:
    """Returns what stands in the card for a value: what came from outside is text."""
    return text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def day(microseconds: int) -> str:
    """Returns the day of a time in microseconds since 1970."""
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d}"
