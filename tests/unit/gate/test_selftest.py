"""The gate's test of itself: what it tries, what must refuse it, and what makes the verdict `broken`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finest.errors import DataError, FinestError
from finest.gate.checks import needs
from finest.gate.config import Gate
from finest.gate.evidence import read_evidence
from finest.gate.judge import judge
from finest.gate.measure import measure
from finest.gate.outcome import decide
from finest.gate.registry import RULES
from finest.gate.selftest import BAD, OFF_BY_ONE, sample
from finest.gate.tampered import Tonight, places
from finest.gate.twin import twins
from finest.gate.verdict import Trial, Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from finest.ranklists import agreement
from finest.report.markdown import markdown
from finest.report.report import render
from finest.testing.rank_lists import ITEMS
from pipeline import cli
from pipeline.ending import EXIT_CODES
from pipeline.table import STATUS_STYLES
from tests.canaries import in_process
from tests.unit.gate.made_up_run import PROBES, Run, judged, made_up, noise
from tracking import promotion
from tracking.runs import ENDINGS

NAMES = [*(bad.name for bad in BAD), "off by one", "twin"]


def precise(champion: bool = True) -> Run:
    """A run of models so near to each other that 100 users tell 5% of MRR from chance."""
    run = made_up(champion)
    base = run.scores["clean", "base"]
    for variant, own in {"clean": 0.03, "rounding": 0.04, "seed": 0.4, **dict.fromkeys(PROBES, 0.1)}.items():
        run.scores[variant, "tuned"] = base + noise(0.03, 1) + (noise(own, len(variant)) if variant != "clean" else 0)
    for number, probe in enumerate(PROBES):
        run.scores[probe, "tuned"] = base + noise(0.03, 1) + noise(0.1, 50 + number)
    run.scores["identity", "tuned"] = run.scores["clean", "tuned"]
    run.config |= {"self_test": True, "max_accuracy_drop_base": 0.02}
    return run


def tried(verdict: Verdict) -> dict[str, Trial]:
    return {trial.name: trial for trial in verdict.selftest}


def test_every_bad_candidate_is_refused_by_its_rule_and_the_good_one_passes(tmp_path: Path) -> None:
    verdict = judged(precise(), tmp_path)
    trials = tried(verdict)
    assert list(trials) == NAMES
    statuses = {name: trial.status for name, trial in trials.items()}
    # All of the made-up histories are as long, so no cut has the users with the shortest ones.
    assert statuses == dict.fromkeys(NAMES, "ok") | {"segment": "cannot be told"}
    for name, check in {
        "popularity": "collapse.popularity",
        "shuffled": "stability.rbo",
        "champion": "sanity.copies",
        "reference": "sanity.copies",
        "worse": "accuracy.base",
        "stale": "segments.odd",
        "segment": "accuracy.base",
        "probes": "sanity.copies",
        "seed": "sanity.yardsticks",
        "rounding": "sanity.copies",
        "off by one": "reading",
    }.items():
        assert check in trials[name].refused_by, name
    assert verdict.metrics["selftest/trials"] == verdict.metrics["selftest/refused"] >= 10
    assert any(note.startswith("The gate refused ") and "passed a good one." in note for note in verdict.notes)


def test_equal_lists_give_equal_trials(tmp_path: Path) -> None:
    one, other = (judged(precise(), tmp_path) for _ in range(2))
    assert one.selftest == other.selftest


def test_without_a_champion_its_copy_is_not_applicable_and_counts_for_nothing(tmp_path: Path) -> None:
    verdict = judged(precise(champion=False), tmp_path)
    trial = tried(verdict)["champion"]
    assert (trial.status, trial.sentence) == ("not applicable", "There is no champion.")
    counted = [each for each in verdict.selftest if not each.good and each.status == "ok"]
    assert verdict.metrics["selftest/trials"] == len(counted)


def test_where_the_rule_for_segments_is_not_configured_others_are_meant(tmp_path: Path) -> None:
    run = precise()
    run.config["rules"] = ["accuracy", "frozen"]
    trials = tried(judged(run, tmp_path))
    assert (trials["segment"].status, trials["segment"].meant) == ("ok", ["accuracy"])
    assert trials["stale"].meant == ["accuracy", "frozen.plasticity"]


def test_a_rule_that_is_not_configured_is_said_and_not_dropped(tmp_path: Path) -> None:
    run = precise()
    run.config["rules"] = ["stability", "sanity"]
    verdict = judged(run, tmp_path)
    assert verdict.verdict == "pass"
    assert tried(verdict)["popularity"].status == tried(verdict)["worse"].status == "not configured"
    assert any("Weakness of this night, popularity" in note and "collapse" in note for note in verdict.notes)


def test_what_few_users_cannot_tell_is_a_weakness_with_its_number_however_the_trial_ends(tmp_path: Path) -> None:
    run = made_up()
    run.config["self_test"] = True
    verdict = judged(run, tmp_path)
    trial = tried(verdict)["worse"]
    assert (verdict.verdict, trial.status, trial.refused_by) == ("pass", "cannot be told", ["accuracy.base"])
    assert "(standard error " in trial.sentence and "where a drop of 3% is accepted" in trial.sentence
    assert any(note.startswith("Weakness of this night, worse:") for note in verdict.notes)


@pytest.mark.parametrize(
    ("name", "trials"),
    [("collapse", ["popularity"]), ("accuracy", ["worse"]), ("segments", ["stale"]), ("stability", ["shuffled"])],
)
def test_a_rule_that_always_passes_breaks_the_gate(
    name: str, trials: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = replace(RULES[name], decide=lambda *_: [decide(name, True, "All is well.")])
    monkeypatch.setattr(type(RULES), "__getitem__", lambda rules, key: asleep if key == name else found(rules, key))
    verdict = judged(precise(), tmp_path)
    assert verdict.verdict == "broken" and verdict.metrics["gate/passed"] == 0
    assert [trial.name for trial in verdict.selftest if trial.status == "broken"] == trials
    assert verdict.reason.startswith(
        f"The gate is at fault, not the model: a bad candidate of its own making, {trials[0]}, is not refused by {name}"
    )
    assert "\n" not in verdict.reason


found: Callable[..., object] = type(RULES).__getitem__


@pytest.mark.parametrize("check", ["_pairs", "_broken"])
def test_a_check_of_the_evidence_that_sees_nothing_breaks_the_gate(
    check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"finest.gate.controlled.{check}", lambda *_: iter(()))
    verdict = judged(precise(), tmp_path)
    broken = {trial.name for trial in verdict.selftest if trial.status == "broken"}
    assert verdict.verdict == "broken"
    assert broken == ({"champion", "reference", "probes", "rounding"} if check == "_pairs" else {"seed"})


def test_a_reader_that_believes_any_rank_breaks_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "check", lambda *_: None)
    verdict = judged(precise(), tmp_path)
    assert verdict.verdict == "broken" and OFF_BY_ONE in verdict.reason


@pytest.mark.parametrize(
    ("bounds", "check"),
    [
        ({"min_rls_above_floor": 2.9}, "stability.rbo [gate.min_rls_above_floor]"),
        ({"min_rls_rbo": 1.0}, "stability.rbo_absolute [gate.min_rls_rbo]"),
    ],
)
def test_bounds_under_which_nothing_can_pass_break_the_gate(
    bounds: dict[str, object], check: str, tmp_path: Path
) -> None:
    run = precise()
    run.config |= bounds
    verdict = judged(run, tmp_path)
    assert verdict.verdict == "broken"
    assert f"under the configured bounds nothing can pass. {tried(verdict)['twin'].did} {check}: " in verdict.reason


def nothing_learned(run: Run) -> None:
    run.scores["clean", "tuned"] = run.scores["identity", "tuned"] = noise(1)


def collapsed(run: Run) -> None:
    for variant in ("clean", "identity", "rounding", "seed", *PROBES):
        own = 0 if variant in ("clean", "identity") else noise(0.01, len(variant))
        run.scores[variant, "tuned"] = run.scores["popularity", "tuned"] + 0.05 * run.scores["clean", "base"] + own


def restless(run: Run) -> None:
    for number, probe in enumerate(PROBES):
        run.scores[probe, "tuned"] = run.scores[probe, "tuned"] + noise(0.8, number)


def no_training(run: Run) -> None:
    run.scores["seed", "base"] = noise(1)


def filtered(run: Run) -> None:
    """Leaves a sixth of the catalogue out of all that the candidate is judged by."""
    for variant in ("clean", "identity", "rounding", "seed", *PROBES):
        run.scores[variant, "tuned"] = run.scores[variant, "tuned"] - 100.0 * (np.arange(ITEMS) % 6 == 1)
    # Trainings that are near to the champion, so that only lists of which half are the champion's are near enough.
    run.scores["seed", "base"] = (run.scores["seed", "base"] + run.scores["champion", "tuned"]) / 2


@pytest.mark.parametrize("harm", [nothing_learned, collapsed, restless, no_training, filtered])
def test_a_bad_night_is_the_models_fault_and_not_the_gates(harm: Callable[[Run], None], tmp_path: Path) -> None:
    run = precise()
    harm(run)
    verdict = judged(run, tmp_path)
    assert verdict.verdict == "fail", verdict.reason
    assert not [trial for trial in verdict.selftest if trial.status == "broken"]


def test_age_and_news_of_the_data_are_no_trials_fault(tmp_path: Path) -> None:
    run = precise()
    run.config |= {"max_age_hours": 1, "require_new_data": True}
    verdict = judged(run, tmp_path)
    assert verdict.verdict == "fail" and tried(verdict)["twin"].status == "ok"


def night(run: Run, folder: Path) -> Tonight:
    run.write(folder)
    config = Gate.model_validate(run.config)
    evidence = read_evidence([folder], needs(config))
    codes = {item: code for code, item in enumerate(dict.fromkeys([*evidence.vocabulary, *evidence.target]))}
    evidence = replace(evidence, vocabulary=codes)
    return Tonight(evidence, measure(evidence, config.min_segment_users), config)


def test_lists_and_ranks_of_made_candidates_agree_and_hold_no_item_twice(tmp_path: Path) -> None:
    one = night(precise(), tmp_path)
    made = {bad.name: bad.make(one) for bad in BAD} | {f"twin {n}": files for n, files in enumerate(twins(one))}
    for name, files in made.items():
        assert isinstance(files, dict), name
        for slot, listed in files.items():
            assert all(len(set(row)) == len(row) for row in listed.items.tolist()), f"{name}, {slot}"
            place = places(listed.items, one.target)
            tied = name in ("popularity",)
            inside = place >= 0
            assert tied or np.array_equal(listed.target_rank[inside], place[inside] + 1.0), f"{name}, {slot}"
            assert (listed.target_rank[~inside] > listed.items.shape[1]).all(), f"{name}, {slot}"
            assert (listed.target_rank <= listed.description.catalogue.items).all(), f"{name}, {slot}"


def test_many_instances_are_those_of_whole_users_drawn_alike_every_time(tmp_path: Path) -> None:
    one = night(precise(), tmp_path).evidence
    some, again = sample(one, most=100), sample(one, most=100)
    assert len(some.user) == 99 and np.array_equal(some.user, again.user)
    assert all(np.count_nonzero(one.user == user) == 3 for user in some.user)
    assert sample(one, most=300) is one


def test_what_is_known_of_unchanged_lists_is_what_would_be_measured(tmp_path: Path) -> None:
    one = night(precise(), tmp_path)
    files = next(twins(one))
    changed = replace(one.evidence, files=one.evidence.files | files)
    fresh, kept = (measure(changed, one.config.min_segment_users, known=known) for known in (None, one.measured))
    for a, b in zip((*fresh.probes, *fresh.controls), (*kept.probes, *kept.controls), strict=True):
        for stage in a.means:
            assert np.allclose(a.means[stage]["rbo"].parts, b.means[stage]["rbo"].parts, atol=1e-12, rtol=0)
    assert fresh.plasticity.keys() == kept.plasticity.keys()
    assert all(np.isclose(fresh.plasticity[name].low, kept.plasticity[name].low) for name in fresh.plasticity)


def test_a_broken_verdict_is_decided_again_when_it_is_read(tmp_path: Path) -> None:
    run = precise()
    run.config["min_rls_rbo"] = 1.0
    verdict, file = judged(run, tmp_path), tmp_path / "verdict.json"
    write_verdict(verdict, file)
    assert read_verdict(file) == verdict
    for word in ("pass", "fail"):
        write_verdict(verdict.model_copy(update={"verdict": word}), file)
        with pytest.raises(DataError, match=r"by its \d+ rules it is broken"):
            read_verdict(file)


def test_report_and_markdown_have_a_line_for_every_trial_and_one_for_all(tmp_path: Path) -> None:
    run = precise()
    run.config["min_rls_rbo"] = 1.0
    verdict = judged(run, tmp_path)
    render(verdict, {}, tmp_path / "report.html", "a run")
    html = (tmp_path / "report.html").read_text()
    assert "BROKEN" in html and "Can the gate tell good from bad tonight?" in html
    assert all(f'<td class="what">{name}<br>' in html for name in NAMES)
    assert "**Verdict: broken.**" in markdown(verdict) and "bad candidates of its own making" in markdown(verdict)


def test_the_command_ends_with_code_1_and_one_line_that_names_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    precise().write(tmp_path / "lists")
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    config = tmp_path / "config.yaml"
    config.write_text("source: nowhere\n")
    for bound, code in {"gate.min_rls_rbo=1.0": 1, "gate.min_rls_rbo=0.95": 3, "gate.min_rls_rbo=0.8": 0}.items():
        output = tmp_path / f"{code}.json"
        command = ["gate", "--lists", str(tmp_path / "lists"), "--config", str(config), "--set", bound]
        monkeypatch.setattr("sys.argv", ["finest", *command, "--output", str(output)])
        assert cli.main() == code, capsys.readouterr().out
        said = capsys.readouterr()
        assert read_verdict(output).verdict == {0: "pass", 1: "broken", 3: "fail"}[code]
        lines = said.err.splitlines()
        assert len(lines) == (code == 1)
        assert not lines or lines[0].startswith("error: The gate is at fault, not the model: under the configured")


def test_a_broken_gate_promotes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = precise()
    run.config["min_rls_rbo"] = 1.0
    verdict = judged(run, tmp_path)
    with pytest.raises(FinestError, match="only a candidate that passed is promoted; the verdict is broken"):
        found = promotion.Judged(tmp_path, verdict, None, None)  # type: ignore[arg-type]
        promotion.promote(None, "finest", found, promotion.Before("", 0), in_process)  # type: ignore[arg-type]
    assert EXIT_CODES[verdict.verdict] == 1 and verdict.verdict in ENDINGS and verdict.verdict in STATUS_STYLES


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    made_up().write(tmp_path)
    verdict = judge([tmp_path], Gate(self_test=False))
    assert verdict.selftest == [] and "selftest/trials" not in verdict.metrics


def test_a_night_without_enough_to_judge_is_no_fault_of_the_gate(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    nothing_new = precise()
    assert nothing_new.after_cut is not None
    nothing_new.after_cut[:] = False
    two_scenarios = precise(champion=False)
    for stage in ("base", "tuned"):
        del two_scenarios.scores[PROBES[0], stage]
    for run, folder in ((nothing_new, tmp_path), (two_scenarios, tmp_path / "few")):
        verdict = judged(run, folder)
        assert verdict.verdict == "fail" and tried(verdict)["twin"].status == "cannot be told"
        assert all(trial.sentence.endswith(".") and ".." not in trial.sentence for trial in verdict.selftest)
