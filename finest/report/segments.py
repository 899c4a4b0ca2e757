"""The report's table of segments."""

from typing import Any

from finest.gate.verdict import Segment

SHOWN = 30
"""Number of rows; what is hurt is shown in any case."""
RATIOS = {"base": "MRR<br>against base", "champion": "MRR against<br>the champion"}
STAGES = {"base": "without FINEST", "tuned": "with FINEST"}


def table(segments: list[Segment]) -> dict[str, Any] | None:
    """Returns rows and columns of the table, of what there is; None without segments."""
    if not segments:
        return None
    shown = [segment for number, segment in enumerate(segments) if number < SHOWN or segment.hurt]
    return {
        "rows": shown,
        "left": len(segments) - len(shown),
        "models": [name for name in ("candidate", "base", "champion") if any(name in each.mrr for each in segments)],
        "ratios": {name: words for name, words in RATIOS.items() if any(name in each.ratios for each in segments)},
        "stages": {name: words for name, words in STAGES.items() if any(name in each.rls for each in segments)},
        "churn": any(each.churn is not None for each in segments),
    }
