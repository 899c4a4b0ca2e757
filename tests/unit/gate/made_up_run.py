"""A made-up run, judged."""

from pathlib import Path

from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import RuleResult, Verdict
from finest.testing.rank_lists import CONTROLS, EACH, PROBES, USERS, Run, Scores, items, made_up, mean_rank

__all__ = ["CONTROLS", "EACH", "PROBES", "USERS", "Scores", "failed", "items", "judged", "made_up", "mean_rank", "rule"]


def judged(run: Run, folder: Path) -> Verdict:
    """The verdict on the run's files, which it writes to a folder of their own below `folder`."""
    lists = folder / f"lists-{len(list(folder.iterdir()))}"
    run.write(lists)
    return judge([lists], Gate.model_validate(run.config), seed=0, data=run.data)


def failed(verdict: Verdict) -> set[str]:
    """Names of the rules that do not hold."""
    return {result.name for result in verdict.rules if result.status == "fail"}


def rule(verdict: Verdict, name: str) -> RuleResult:
    """That rule's result."""
    return next(result for result in verdict.rules if result.name == name)
