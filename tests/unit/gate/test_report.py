"""The report says what the verdict says, to people and without asking anybody else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from finest.gate.verdict import Accuracy, Estimate, Example, Power, RuleResult, ScenarioResult, Served, Verdict
from finest.report.form import number
from finest.report.moved import SHOWN_FOR, marks
from finest.report.report import render
from finest.training.history import table

PROBE = "random-deletion-0.001-s0"


def estimates(rbo: float) -> dict[str, Estimate]:
    return {
        name: Estimate(mean=rbo, low=rbo - 0.01, high=rbo + 0.01)
        for name in ("rbo", "frbo", "jaccard_at_10", "top1_agreement")
    }


def scenario(name: str, without: float, tuned: float, role: str = "control", **more: object) -> ScenarioResult:
    histogram = {"base": [0.0] * 10 + [0.1] * 10, "tuned": [0.0] * 15 + [0.2] * 5}
    fields = {
        "name": name,
        "role": role,
        "group": "0",
        "tuned": estimates(tuned),
        "base": estimates(without),
        "histogram": histogram,
    }
    return ScenarioResult.model_validate({**fields, **more})


def rule(name: str, status: str, **more: object) -> RuleResult:
    fields = {
        "rule": name.split(".")[0],
        "name": name,
        "value": 0.9,
        "bound": 0.8,
        "status": status,
        "sentence": f"Sentence about {name}.",
    }
    return RuleResult.model_validate({**fields, **more})


def model(name: str, mrr: float, plasticity: float | None = 0.4) -> Accuracy:
    return Accuracy(
        name=name, mrr=mrr, recall_at_10=0.1, ndcg_at_10=0.05, coverage_at_10=0.44, overlap=0.04, plasticity=plasticity
    )


def verdict(**changes: object) -> Verdict:
    """A passed candidate with one probe, the controls, no champion."""
    return Verdict(
        verdict="pass",
        reason="All rules held.",
        protocol="anchored",
        given="given shared references",
        reference="base",
        rules=[
            rule("stability.rbo", "pass", option="gate.min_rls_above_floor", interval=(0.87, None)),
            rule("accuracy.champion", "not applicable", value=None, bound=None),
        ],
        scenarios=[
            scenario(PROBE, 0.856, 0.898, role="probe", kind="deletion", edits=90),
            scenario("identity", 1.0, 1.0),
            scenario("rounding", 0.93, 0.945),
            scenario("seed", 0.681, 0.777),
        ],
        accuracy=[
            model("candidate", 0.0503),
            model("base", 0.0493),
            model("popularity", 0.0149),
            model("repeat_last", 0.0012, None),
        ],
        metrics={
            "rls/rbo": 0.898,
            "rls_unstabilised/rbo": 0.856,
            "noise_floor/rbo": 0.681,
            "ceiling/rbo": 0.93,
            "rls_reseeded/rbo": 0.777,
        },
        moved=[
            Example(
                user="405",
                position=12,
                target="302",
                scenario=PROBE,
                rbo=0.41,
                rbo_base=0.33,
                before=["a", "b", "c"],
                after=["b", "a", "d"],
                before_base=["a", "b", "c"],
                after_base=["e", "f", "c"],
            )
        ],
        notes=["A note to read."],
        data={"instances": 10439, "exclude_seen": True},
        cost={
            "variants": {
                "clean": {
                    "pretrain_cpu_seconds": 30.0,
                    "pretrain_seconds": 33.0,
                    "finetune_cpu_seconds": 20.0,
                    "lists_cpu_seconds": 5.0,
                },
                PROBE: {
                    "pretrain_cpu_seconds": 31.0,
                    "pretrain_seconds": 34.0,
                    "finetune_cpu_seconds": 21.0,
                    "lists_cpu_seconds": 5.0,
                },
            },
            "steps": {"ingest": 2.0},
        },
        ids={"run": "run-of-tonight"},
    ).model_copy(update=changes)


def history() -> pa.Table:
    pretrain = [{"stage": "pretrain", "epoch": epoch, "loss": 6.0 - epoch / 10} for epoch in (1, 2, 3)]
    finetune = [{"stage": "finetune", "epoch": epoch, "loss": 5.5, "near": 0.05, "far": 0.02} for epoch in (1, 2)]
    return table(pretrain + finetune, {"near": "train/near", "far": "train/far"})


HISTORIES = {"clean": history(), PROBE: history()}


def page(folder: Path, verdict: Verdict, histories: dict[str, pa.Table] | None = None) -> str:
    out = folder / "report.html"
    render(verdict, HISTORIES if histories is None else histories, out, "ml-100k, quickstart")
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a verdict with all that a run usually has."""
    return page(tmp_path_factory.mktemp("usual"), verdict())


def test_the_page_of_a_profiled_run_is_a_section_and_of_any_other_there_is_none(tmp_path: Path, usual: str) -> None:
    render(verdict(), {}, tmp_path / "report.html", "profiled", "Steps   wall s\n  pretrain <0>   2.0\n")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Where the time went" in headings(html) and "Steps   wall s\n  pretrain &lt;0&gt;   2.0\n" in html
    assert "Where the time went" not in headings(usual)


def headings(html: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html)


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]*>", "", html, flags=re.DOTALL))


class Nesting(HTMLParser):
    """Every element that is opened is closed, inside out."""

    VOID = ("meta", "br", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_pass_says_so_and_why_and_what_finest_bought(usual: str) -> None:
    text = plain(usual)
    assert "PASS All rules held." in text
    assert "1 check held, 0 failed, 1 did not apply" in text
    assert "List stability (RLS)0.8980.856 without FINEST" in text
    assert "Way from floor to ceiling87%70% without FINEST" in text
    assert "Accuracy (MRR) against base+2.0%0.0503 against 0.0493" in text
    assert "given shared references" in text


SERVED = Served(
    chosen="stack",
    weights={"network": 0.7, "popularity": 0.2},
    mrr={"stack": 0.0996, "memory": 0.0927, "network": 0.0853},
    network_gain=0.0069,
    counts_gain=0.0143,
    sentence="Served are both, for a reason.",
)


def test_what_counts_and_the_network_bring_is_the_first_thing_below_the_tiles(tmp_path: Path, usual: str) -> None:
    html = page(tmp_path, verdict(served=SERVED))
    assert headings(html)[0] == "What counts and the network bring" and headings(html)[1:] == headings(usual)
    text = plain(html)
    assert f"What counts and the network bring {SERVED.sentence}" in text
    for row in (
        "the network alone0.0853\N{EN DASH}",
        "counts alone0.0927+8.7%",
        "network and counts together0.0996+16.8% \N{CHECK MARK} served",
    ):
        assert row.replace("\N{CHECK MARK}", "&#10003;") in text, row
    assert text.count("&#10003; served") == 1
    Nesting().feed(html)


def test_a_failure_names_its_reason_and_marks_the_rule_in_words(tmp_path: Path) -> None:
    failed = rule("stability.rbo", "fail", bound=0.999)
    html = page(tmp_path, verdict(verdict="fail", reason=failed.sentence, rules=[failed]), {})
    assert "FAIL Sentence about stability.rbo. This candidate must not be promoted." in plain(html)
    assert re.search(r'<span class="mark fail"><span aria-hidden="true">&#10007;</span>\s*failed</span>', html)


def test_a_skipped_night_has_its_reason_and_ids_and_nothing_else(tmp_path: Path) -> None:
    ids = {"run": "tonight"}
    skipped = Verdict(
        verdict="skipped", reason="No new data.", protocol="anchored", given="", reference="champion/6", ids=ids
    )
    html = page(tmp_path, skipped, {})
    assert "SKIPPED No new data." in plain(html)
    assert "tonight" in html
    assert headings(html) == ["Details"]
    assert "<svg" not in html


def test_every_rule_is_there_with_its_sentence_value_bound_interval_and_odds_and_what_failed_comes_first(
    tmp_path: Path,
) -> None:
    rules = [
        rule(f"rule{index}.x", status, value=index + 0.25, bound=index + 0.5, interval=(None, index + 0.75))
        for index, status in enumerate(("pass", "fail", "not applicable"))
    ]
    power = Power(equal_passes=0.9, detects=0.25, of="equal", fails_by="interval")
    rules[1] = rules[1].model_copy(update={"todo": "Hold out more.", "power": power})
    text = plain(page(tmp_path, verdict(rules=rules), {}))
    for index, result in enumerate(rules):
        odds = "90% 0.250" if index == 1 else "\N{EN DASH} \N{EN DASH}"
        assert f"{result.name} {index}.250 {index}.500 up to {index}.750 {odds} {result.sentence}" in text
    assert text.index(f"{rules[1].sentence} Next: Hold out more.") < text.index(rules[0].sentence)


@pytest.mark.parametrize(
    ("interval", "confidence", "shown"),
    [
        ((0.87, 0.93), 0.95, "0.870 to 0.930each 95%"),
        ((0.87, None), 0.95, "from 0.87095%"),
        ((None, 0.93), 0.9875, "up to 0.93098.8%"),
        ((0.87, 0.93), None, "0.870 to 0.930"),
        ((None, None), 0.95, "\N{EN DASH}"),
    ],
)
def test_bounds_are_named_by_what_they_are_and_by_their_own_confidence(
    tmp_path: Path, interval: object, confidence: float | None, shown: str
) -> None:
    one = rule("churn.rbo", "pass", interval=interval, confidence=confidence)
    text = plain(page(tmp_path, verdict(rules=[one]), {}))
    assert f"churn.rbo 0.900 0.800 {shown.replace(chr(0x2013), '&#8211;')} " in text
    assert "One-sided bounds" in text and "95% interval" not in text and "resampled" not in text
    assert "two-sided 90% intervals over the choice of users" in text


def test_lists_are_shown_under_the_words_that_say_why(tmp_path: Path) -> None:
    one = verdict().moved[0]
    champion = one.model_copy(
        update={"why": "champion", "scenario": "", "user": "77", "before_base": [], "after_base": [], "rbo_base": None}
    )
    shown = [one, one.model_copy(update={"why": "without"}), one.model_copy(update={"why": "typical"}), champion]
    html = page(tmp_path, verdict(moved=shown), {})
    text = plain(html)
    places = [text.index(words) for words in list(SHOWN_FOR.values())[:4]]
    assert places == sorted(places) and SHOWN_FOR["typical champion"] not in text
    assert html.count("<caption>") == 2 * 3 + 1
    assert "User 77 After 12 interactions; chose 302 next. rbo 0.410." in text
    assert "On promotion #ChampionCandidate" in text
    Nesting().feed(html)


def test_sections_without_anything_to_show_are_left_out(tmp_path: Path, usual: str) -> None:
    full = headings(usual)
    judged_elsewhere = headings(page(tmp_path, verdict(cost={}, moved=[]), {}))
    assert [heading for heading in full if heading not in judged_elsewhere] == [
        "Training",
        "What it cost",
        "The lists that moved most",
    ]


def test_lists_without_a_base_or_controls_still_make_a_report(tmp_path: Path) -> None:
    probe = scenario(PROBE, 0.8, 0.9, role="probe", base={}, histogram={"tuned": [0.05] * 20})
    moved = verdict().moved[0].model_copy(update={"before_base": [], "after_base": []})
    html = page(
        tmp_path,
        verdict(scenarios=[probe], accuracy=[model("candidate", 0.05)], metrics={"rls/rbo": 0.9}, moved=[moved]),
        {},
    )
    assert f"{PROBE}: 0.900 with it." in html
    assert "Accuracy (MRR)0.0500" in plain(html)
    assert "Noise floor: data" not in html
    assert html.count("<caption>") == 1


def test_a_champion_is_compared_and_churn_reported(tmp_path: Path) -> None:
    judged = verdict()
    judged = verdict(
        accuracy=[*judged.accuracy, model("champion", 0.0498)], metrics={**judged.metrics, "churn/rbo": 0.741}
    )
    text = plain(page(tmp_path, judged, {}))
    assert "Similarity to the champion0.741" in text
    assert "champion0.0498+1.0%" in text


def test_both_protocols_are_shown_side_by_side_where_both_ran(tmp_path: Path) -> None:
    both = {**verdict().metrics, f"rls_independent/rbo/{PROBE}": 0.8594}
    text = plain(page(tmp_path, verdict(metrics=both), {}))
    assert "rbo, independentprotocol" in text
    assert "0.859" in text


def test_floor_and_ceiling_are_drawn_with_every_probe(usual: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", usual, flags=re.DOTALL)
    for drawing in drawings[:2]:
        for words in ("noise floor 0.681", "ceiling 0.930", PROBE, "0.856 \N{RIGHTWARDS ARROW} 0.898"):
            assert words in drawing


def test_the_network_alone_is_drawn_where_counts_stand_beside_it(tmp_path: Path) -> None:
    beside = verdict(
        scenarios=[
            scenario(PROBE, 0.956, 0.973, "probe", network=estimates(0.86)),
            scenario("seed", 0.9, 0.94, network=estimates(0.7)),
            scenario("rounding", 0.98, 0.985, network=estimates(0.945)),
        ]
    )
    shown = page(tmp_path, beside, {})
    drawing = re.findall(r"<svg.*?</svg>", shown, flags=re.DOTALL)[0]
    arrow = "\N{RIGHTWARDS ARROW}"
    for words in ("noise floor 0.700", "ceiling 0.945", f"0.860 {arrow} 0.956 {arrow} 0.973"):
        assert words in drawing
    assert "0.860 of the network alone, 0.956 without FINEST, 0.973 with it" in drawing
    headings = re.findall(r"<th class=\"n\">rbo<br>(.*?)</th>", shown)
    assert headings == ["network alone", "without FINEST", "with FINEST"]


def test_what_the_proof_cost_is_said_relative_to_the_candidate(usual: str) -> None:
    text = plain(usual)
    assert "Training the candidate alone took 55 CPU seconds. The 1 further training that proves its stability" in text
    assert "took 57, 1.0 times as much; all together 112." in text


def test_epochs_before_a_resume_count_in_the_cost(tmp_path: Path) -> None:
    resumed = {"clean": {"pretrain_cpu_seconds": 1.0, "pretrain_epochs_cpu_seconds": 30.0}}
    assert "Training the candidate alone took 30 CPU seconds." in plain(
        page(tmp_path, verdict(cost={"variants": resumed, "steps": {}}), {})
    )


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{$ & ]]> -->"]
)
def test_ids_from_the_data_are_text_and_never_markup(tmp_path: Path, hostile: str) -> None:
    moved = Example(
        user=hostile,
        position=1,
        target=hostile,
        scenario=hostile,
        rbo=0.1,
        rbo_base=0.1,
        before=[hostile, "a"],
        after=["b", hostile],
        before_base=[hostile],
        after_base=["c"],
    )
    named = scenario(hostile, 0.8, 0.9, role="probe")
    judged = verdict(
        moved=[moved],
        scenarios=[named],
        reason=hostile,
        notes=[hostile],
        ids={hostile: hostile},
        data={hostile: [hostile]},
        rules=[rule("x", "pass", sentence=hostile)],
        cost={"variants": {hostile: {"pretrain_cpu_seconds": 1.0}}, "steps": {hostile: 1.0}},
    )
    out = tmp_path / "report.html"
    render(judged, {hostile: history()}, out, hostile)
    html = out.read_text()
    for markup in ("<script", "<img", "]]>", "-->"):
        assert markup not in html
    Nesting().feed(html)


def test_the_page_asks_nobody_else_for_anything(usual: str) -> None:
    assert not re.search(r"https?:|//\w|@import|<script|<link|<iframe", usual)
    assert all(target.startswith("#") for target in re.findall(r'(?:src|href)="([^"]*)"', usual))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", usual))


def test_charts_share_no_ids_and_find_their_own(usual: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', usual)
    used = set(re.findall(r'href="#([^"]*)"', usual)) | set(re.findall(r"url\(#([^)]*)\)", usual))
    assert len(ids) == len(set(ids))
    assert used and used <= set(ids)


def test_charts_follow_the_page_s_colours_and_have_words_for_those_who_cannot_see(usual: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", usual, flags=re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'(?:id|href)="[^"]*"|url\([^)]*\)', "", drawing))
        assert re.match(r'<svg [^>]*role="img" aria-label="\w[^"]{20,}"', drawing)


def test_elements_are_closed_in_order(usual: str) -> None:
    nesting = Nesting()
    nesting.feed(usual)
    assert nesting.open == []


def test_equal_input_gives_equal_bytes_and_leaves_nothing_half_written(tmp_path: Path, usual: str) -> None:
    assert page(tmp_path, verdict()) == usual
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_marks_tell_new_dropped_and_moved_items_apart() -> None:
    assert marks(["a", "b", "c"], ["b", "d", "c"]) == [
        {"before": "a", "gone": True, "after": "b", "moved": 1},
        {"before": "b", "gone": False, "after": "d", "moved": None},
        {"before": "c", "gone": False, "after": "c", "moved": 0},
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0.0, "0.000"),
        (0.05034, "0.0503"),
        (-0.25, "\N{MINUS SIGN}0.250"),
        (0.98765, "0.988"),
        (1.0, "1.000"),
        (3.0, "3"),
        (3.3712, "3.371"),
        (36.21, "36.2"),
        (10439.4, "10,439"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float | None, shown: str) -> None:
    assert number(value) == shown
