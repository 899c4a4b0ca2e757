"""Names, paths and messages reach the terminal as the text that they are."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

from components.events import Event
from finest.gate.verdict import Accuracy, RuleResult, ScenarioResult, Verdict
from finest.report.markdown import markdown, text
from pipeline import cli, options, progress
from pipeline.plain import Table, say
from pipeline.table import show
from tests.unit.gate.made_up_run import PROBES, made_up

ODD = ["[/red]deletion", "[link=http://evil]x[/link]", "[bold]b[/]", ":smile: a", "a\x1b[2Jb", "\u202egnp.exe", "\\[x]"]


def printed(odd: str) -> str:
    return odd.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


def verdict_of(odd: str) -> Verdict:
    """Returns a verdict all of whose names and sentences are odd."""
    measured = {"rbo": {"mean": 0.9, "low": 0.8, "high": 1.0}}
    probe = {"name": odd, "role": "probe", "group": "0", "tuned": measured, "base": measured, "histogram": {}}
    rule = {"rule": "calm", "name": odd, "value": 0.9, "bound": 0.8, "status": "fail", "sentence": odd}
    model = {"name": odd, "mrr": 0.1, "recall_at_10": 0.1, "ndcg_at_10": 0.1, "coverage_at_10": 0.1, "overlap": 0.1}
    return Verdict(
        verdict="fail",
        reason=odd,
        protocol="anchored",
        given=odd,
        reference="base",
        rules=[RuleResult.model_validate(rule)],
        scenarios=[ScenarioResult.model_validate(probe)],
        accuracy=[Accuracy.model_validate({**model, "plasticity": None})],
        metrics={},
        notes=[odd],
    )


def console(**more: bool | None) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=200, **more), out  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", ODD)
def test_lines_titles_headings_and_cells_show_it(odd: str) -> None:
    one, out = console()
    say(one, odd)
    table = Table(odd, title=odd)
    table.add_row(odd)
    one.print(table)
    assert out.getvalue().count(printed(odd)) == 4


@pytest.mark.parametrize("odd", ODD)
def test_a_verdict_shows_it(odd: str) -> None:
    verdict = verdict_of(odd)
    one, out = console()
    show(one, verdict)
    assert out.getvalue().count(printed(odd)) >= 3  # scenario, note, reason


def test_gate_says_of_odd_scenarios_what_it_says_of_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd, plain = ["[/red]deletion", "[bold]x"], ["Z/red-deletion", "Zbold-x"]  # as long, and sorted alike
    said = []
    for names in (odd, plain):
        run, folder = made_up(), tmp_path / names[1]
        for probe, name in zip(PROBES, names, strict=False):
            run.described |= {(probe, stage): {"scenario": name} for stage in ("base", "tuned")}
        run.write(folder)
        command = ["gate", "--lists", str(folder), "--set", "gate.self_test=false", "--set", "gate.min_rls_rbo=1"]
        monkeypatch.setattr("sys.argv", ["finest", *command])
        code, (out, err) = cli.main(), capsys.readouterr()
        assert code == 3 and err == "" and all(name in out for name in names)
        said.append(out)
    for name, other in zip(odd, plain, strict=True):
        said[1] = said[1].replace(other, name)
    assert said[0] == said[1]


@pytest.mark.parametrize("odd", ODD)
def test_a_runs_progress_shows_it(odd: str) -> None:
    one, out = console(force_terminal=True, color_system=None)
    with progress.Live(one) as live:
        live.show(Event(kind="start", step="pretrain", time=0.0))
        live.show(Event(kind="notice", step="pretrain", time=1.0, text=odd))
        live.show(Event(kind="progress", step="pretrain", time=2.0, done=0.5, text=odd))
        live.show(Event(kind="failure", step="pretrain", time=3.0, text=odd))
    assert printed(odd) in out.getvalue() and "failed in" in out.getvalue()


def test_the_commands_console_obeys_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    options.console().print("[/red] :smile: [bold]x[/bold]")
    assert capsys.readouterr().out.strip() == "[/red] :smile: [bold]x[/bold]"


def test_tables_and_marked_up_text_are_made_in_one_module_alone() -> None:
    """A table of rich's own, or a print that does not say `Text`, reads markup."""
    root = Path(options.__file__).parent
    for file in root.rglob("*.py"):
        if file.name == "plain.py":
            continue
        tree = ast.parse(file.read_text())
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {"rich.table", "rich.markup", "rich.panel", "rich.prompt"} & modules, file
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
        for call in calls:
            if call.func.attr == "print":  # type: ignore[attr-defined]
                assert not isinstance(call.args[0], (ast.JoinedStr, ast.Constant)), f"{file}:{call.lineno}"
            assert call.func.attr != "from_markup", f"{file}:{call.lineno}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("odd", "escaped"),
    [
        ("![x](http://evil)", r"!\[x\](http://evil)"),
        ("[x](http://evil)", r"\[x\](http://evil)"),
        ("`a`", r"\`a\`"),
        ("<img src=x>", r"\<img src=x>"),
        ("a|b\nc", r"a\|b c"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
    ],
)
def test_markdown_shows_it(odd: str, escaped: str) -> None:
    assert text(odd) == escaped
    written = markdown(verdict_of(odd))
    assert written.count(escaped) >= 3 and odd not in written.replace(escaped, "")
