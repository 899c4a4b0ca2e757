"""The noise of training that a line's nights pool."""

from pathlib import Path

import numpy as np
import pytest

from finest.gate.noise import pooled
from finest.gate.statistic import Error
from finest.gate.verdict import Night
from tests.unit.gate.made_up_run import CONTROLS, PROBES, failed, judged, made_up

NIGHTS = 31
"""Those that a line looks back over, and tonight."""


def known(number: int, sd: float, verdict: str = "pass") -> Night:
    return Night.model_validate({"run": str(number), "verdict": verdict, "training_noise": {"tuned/rbo": (sd, 1)}})


def of(noise: float) -> dict[str, dict[str, Error]]:
    return {"tuned": {"rbo": Error(noise, 1)}}


def test_the_nights_of_a_line_pool_their_noise_by_degrees_of_freedom() -> None:
    past = [known(0, 0.01), known(1, 0.02, "fail"), Night(run="2", verdict="fail")]
    found = pooled(of(0.001), past)["tuned"]["rbo"]
    assert found.standard == pytest.approx((0.000501 / 3) ** 0.5) and found.degrees == 3
    assert pooled(of(0.001), []) == of(0.001)
    assert found.margin(0.95) < Error(0.013, 1).margin(0.95)


def test_a_refused_night_keeps_its_noise_unless_its_controls_may_be_what_was_wrong(tmp_path: Path) -> None:
    refused, broken = made_up(), made_up()
    refused.config["min_coverage_ratio"] = 1.0
    for variant in ("clean", *PROBES, *CONTROLS):
        refused.scores[variant, "tuned"][:, -1] -= 100
    for control in CONTROLS:
        broken.scores[control, "tuned"] = broken.scores["clean", "tuned"]
    for run, rule, there in ((refused, "collapse", True), (broken, "sanity", False)):
        verdict = judged(run, tmp_path)
        assert rule in {name.partition(".")[0] for name in failed(verdict)} and verdict.night is not None
        assert verdict.night.verdict == "fail"
        assert bool(verdict.night.training_noise) == (verdict.night.noise is not None) == there


def passes(sd: float, lines: int, refused_too: bool) -> float:
    """Returns how often a model at its bound passes on a line's last night, where trainings differ by `sd`."""
    random, passed = np.random.default_rng(0), 0
    for _ in range(lines):
        past: list[Night] = []
        for number in range(NIGHTS):
            clean, again = sd * random.standard_normal(2)
            own = abs(clean - again) / np.sqrt(2)
            margin = np.hypot(pooled(of(own), past)["tuned"]["rbo"].margin(0.95), Error(0.004).margin(0.95))
            held = clean + 0.004 * random.standard_normal() >= margin
            if held or refused_too:
                past.append(known(number, own, "pass" if held else "fail"))
        passed += bool(held)
    return passed / lines


def test_a_model_at_its_bound_passes_in_5_percent_since_refused_nights_pool_their_noise_too() -> None:
    assert passes(0.0175, 1000, refused_too=True) < 0.065 < 0.07 < passes(0.0175, 1000, refused_too=False)
