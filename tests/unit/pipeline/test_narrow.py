"""What commands print fits a narrow terminal without losing a number, a name or an id."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from finest.gate.verdict import Accuracy, Power, RuleResult, ScenarioResult
from pipeline import options
from pipeline.cluster import doctor
from pipeline.cluster.findings import Row
from pipeline.plain import Table
from pipeline.table import show
from tests.unit.pipeline.test_plain import verdict_of

RUN = "189b4424-0e4c-4eea-8118-016307abd7f4"
WIDTHS = [20, 40, 60, 80, 100, 140]


def printed(width: int, *tables: Table) -> str:
    out = io.StringIO()
    for table in tables:
        table.show(Console(file=out, width=width, markup=False, highlight=False))
    return out.getvalue()


def words(text: str) -> set[str]:
    """Every word, numbers and ids whole; headings in capitals or not are the same."""
    return {word.strip(",.;:()") for word in re.sub(r"[│┃┏┓┗┛┡┩└┘━─┳╇┴┬╋]", " ", text).split()} - {""}


def too_long(text: str, width: int) -> list[str]:
    """Lines that are longer than that although they could be broken."""
    return [line for line in text.splitlines() if cell_len(line.rstrip()) > width and len(line.split()) > 1]


def nights() -> Table:
    """The rows of `finest status`, of two lines."""
    columns = ("line", "night", "started (UTC)", "took", "verdict", "RLS", "churn", "MRR", "coverage", "run")
    table = Table(*columns, title="Last runs in MLflow at sqlite:////data/state/mlflow/mlflow.db")
    more = "2026-11-24", "2026-11-24 23:10", "12 min 4 s", Text("fail, awaiting", style="red"), "0.898", "0.704"
    table.add_row("a-line-whose-name-is-as-long-as-it-may-be", *more, "0.0503", "0.440", RUN)
    table.add_row("shop", *more[:4], "", "", "", "", "20261124-231045-9f3a")
    return table


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_shows_every_word_at_any_width(width: int) -> None:
    narrow = printed(width, nights())
    assert words(printed(400, nights())) <= words(narrow)
    assert too_long(narrow, max(width, 60)) == []
    assert RUN in narrow and "…" not in narrow


def test_a_table_that_fits_is_one_and_an_id_is_broken_by_none() -> None:
    table = Table("run", "why")
    table.add_row(RUN, "a sentence of many words that may be broken at its blanks, since room is scarce here")
    rows = printed(80, table).splitlines()
    assert rows[0].startswith("┏") and all(cell_len(row) <= 80 for row in rows)
    assert [row for row in rows if RUN in row] and len(rows) > 5
    assert printed(60, table).splitlines()[0] == f"run {RUN}"


def test_what_does_not_fit_beside_each_other_is_a_paragraph_a_row_and_no_number_leaves_its_name() -> None:
    table = Table("model", title="Accuracy")
    for name in ("MRR", "Recall@10", "coverage@10", "overlap between users"):
        table.add_column(name, justify="right")
    table.add_row("candidate", "0.0503", "0.100", "", "0.0400")
    table.add_row(
        "a text that is no single word", "0.0493", "0.100", "0.440", "a reason that is longer than the others, 7"
    )
    assert printed(40, table) == (
        "Accuracy\n"
        "model candidate\n"
        "  MRR 0.0503, Recall@10 0.100,\n"
        "  overlap between users 0.0400\n"
        "model a text that is no single word\n"
        "  MRR 0.0493, Recall@10 0.100,\n"
        "  coverage@10 0.440\n"
        "  overlap between users a reason that is\n"
        "    longer than the others, 7\n"
    )


def test_wide_characters_take_the_room_that_they_take() -> None:
    table = Table("user", "item")
    table.add_row("利用者" * 5, "商品" * 8)
    for width in (40, 70, 72, 80):
        narrow = printed(width, table)
        assert "利用者" * 5 in narrow and "商品" * 8 in narrow, width


@pytest.mark.parametrize("width", [60, 80])
def test_a_verdict_shows_all_its_numbers(width: int) -> None:
    def measured(mean: float) -> dict[str, dict[str, float]]:
        return {name: {"mean": mean, "low": mean, "high": mean} for name in ("rbo", "jaccard_at_10")}

    scenarios = [
        ScenarioResult.model_validate(
            {
                "name": name,
                "role": "control" if name in ("seed", "rounding") else "probe",
                "group": "0",
                "tuned": measured(0.5111 + place / 1000),
                "base": measured(0.4111 + place / 1000),
                "network": measured(0.3111 + place / 1000),
                "histogram": {},
            }
        )
        for place, name in enumerate(("seed", "rounding", "casper-insertion-0.001-s0", "random-deletion-0.001-s0"))
    ]
    models = [
        Accuracy.model_validate(
            {
                "name": name,
                "mrr": 0.0511 + place / 1000,
                "recall_at_10": 0.61 + place / 1000,
                "ndcg_at_10": 0.71 + place / 1000,
                "coverage_at_10": 0.81 + place / 1000,
                "overlap": 0.91 + place / 1000,
                "plasticity": 0.21 + place / 1000,
            }
        )
        for place, name in enumerate(("candidate", "base", "champion", "repeat_last", "item_knn"))
    ]
    power = Power(equal_passes=0.9, detects=0.25, of="equal", fails_by="interval")
    rules = [
        RuleResult(
            rule="collapse",
            name=f"collapse.{name}",
            option="gate.x",
            value=0.31 + place / 100,
            bound=0.41 + place / 100,
            status="fail" if place else "pass",
            sentence=f"MRR is 0.05{place}1 against 0.06{place}1.",
            todo="See ingest.evaluation.exclude_seen.",
            power=power,
        )
        for place, name in enumerate(("popularity", "baselines"))
    ]
    metrics = {"churn/rbo": 0.7042, "churn_reseeded/rbo": 0.641, "rls/rbo": 0.8981, "rls_unstabilised/rbo": 0.8561}
    judged = verdict_of("odd").model_copy(
        update={"scenarios": scenarios, "accuracy": models, "rules": rules, "metrics": metrics}
    )
    wide, narrow = (io.StringIO(), io.StringIO())
    for out, columns in ((wide, 400), (narrow, width)):
        show(Console(file=out, width=columns, markup=False, highlight=False), judged)
    numbers = {word for word in words(wide.getvalue()) if re.search(r"\d", word)}
    assert {"0.704", "0.898", "0.511", "0.814", "0.0551", "0.420"} <= numbers
    assert numbers <= words(narrow.getvalue())
    assert too_long(narrow.getvalue(), width) == []


def test_the_summary_says_churn_and_beside_it_the_rls() -> None:
    metrics = {"churn/rbo": 0.7042, "rls/rbo": 0.8981, "rls_unstabilised/rbo": 0.8561}
    out = io.StringIO()
    show(Console(file=out, width=200), verdict_of("odd").model_copy(update={"metrics": metrics}))
    assert out.getvalue().splitlines()[:2] == [
        "Users keep 0.704 of what they see (mean rbo with the champion).",
        "Under small edits of the data users keep 0.898 of their lists (RLS, mean rbo); 0.856 without FINEST.",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_doctor_cuts_no_image(width: int) -> None:
    image = "registry.example.com/team/finest@sha256:" + "0123456789abcdef" * 4
    out = io.StringIO()
    rows = [Row("image", "failed", f"{image} is not there", "push it"), Row("fits", "ok", "every step fits", "")]
    doctor.show(Console(file=out, width=width), rows)
    assert image in out.getvalue() and "push it" in out.getvalue() and "every step fits" in out.getvalue()


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("80", 80), ("", options.WIDTH), ("wide", options.WIDTH)])
def test_a_log_file_has_lines_as_long_as_columns_says(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert options.console().width == width
