"""A verdict as a file: how it is decided by its rules, written, and read by whoever acts on it."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finest import atomic
from finest.errors import DataError
from finest.gate.verdict import JUMP, SCHEMA_VERSION, RuleResult, Trial, Verdict, Word

TRIALS = ("selftest/trials", "selftest/refused")
"""Metrics of the self-test: bad candidates that count, and those that the gate refused."""


def decision(rules: list[RuleResult], selftest: Sequence[Trial] = ()) -> tuple[Word, str]:
    """Returns the verdict by what rules and self-test found, and the reason in one line.

    Where nothing but `jump` fails, the candidate is too good rather than bad, and a person decides.
    """
    broken = [trial for trial in selftest if trial.status == "broken"]
    if broken:
        rest = f" ({len(broken) - 1} more trials went wrong)" if len(broken) > 1 else ""
        return "broken", f"The gate is at fault, not the model: {broken[0].sentence}{rest}"
    failed = [result for result in rules if result.status == "fail"]
    held = [result for result in rules if result.status == "pass"]
    if failed:
        rest = f" ({len(failed) - 1} more did not hold)" if len(failed) > 1 else ""
        option = f" [{failed[0].option}]" if failed[0].option else ""
        word: Word = "suspicious" if all(result.rule == JUMP for result in failed) else "fail"
        return word, f"{failed[0].name}{option}: {failed[0].sentence}{rest}"
    if not held:
        return "fail", "No rule is configured, and nothing passes without one: set gate.rules."
    absent = len(rules) - len(held)
    return "pass", f"All {len(held)} checks hold" + (f"; {absent} do not apply." if absent else ".")


def counts(trials: Sequence[Trial]) -> dict[str, float]:
    """Returns how many trials counted, the good one among them, and in how many the gate did what it must."""
    bad = [trial for trial in trials if not trial.good and not trial.untold]
    if not trials:
        return {}
    return dict(zip(TRIALS, (float(len(bad)), float(sum(trial.held for trial in bad))), strict=True))


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Writes JSON with sorted keys: equal verdicts are equal bytes. A number that is not finite becomes null."""
    with atomic.file(path) as partial:
        partial.write_text(as_json(verdict) + "\n", encoding="utf-8")


def as_json(verdict: Verdict) -> str:
    """Returns the verdict as JSON, laid out as in its file."""
    content = finite(verdict.model_dump(mode="json"))
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)


def digest_of(verdict: Verdict) -> str:
    """Returns the verdict's digest: the sha256 of its file."""
    return hashlib.sha256((as_json(verdict) + "\n").encode()).hexdigest()


def read_verdict(path: Path) -> Verdict:
    """Reads what `write_verdict` wrote, and decides again by its rules: nobody acts on a word alone.

    Raises:
        DataError: There is no verdict, or one of a newer version, or it says otherwise than its rules.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise DataError(
                f"{path}: a verdict of schema version {version}, and this version of finest reads up to "
                f"{SCHEMA_VERSION}; upgrade it, or run the gate again"
            )
        verdict = Verdict.model_validate(content)
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: no verdict that this version of finest can read; run the gate again") from error
    if verdict.verdict != "skipped":
        word, reason = decision(verdict.rules, verdict.selftest)
        if verdict.verdict != word:
            raise DataError(
                f"{path}: it says {verdict.verdict}, but by its {len(verdict.rules)} rules it is {word} ({reason}); "
                "it was changed since it was written: run the gate again"
            )
        if counts(verdict.selftest) != {name: verdict.metrics[name] for name in TRIALS if name in verdict.metrics}:
            raise DataError(
                f"{path}: the gate's trials of itself are not those that its metrics count; it was changed since it "
                "was written: run the gate again"
            )
    return verdict


def finite(value: Any) -> Any:
    """Returns plain data with None for every number that is not finite."""
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
