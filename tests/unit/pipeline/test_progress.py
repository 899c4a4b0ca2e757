import io
import re
from typing import Any

import pytest
from rich.console import Console

from components.events import Event, Kind
from components.pace import Pace
from pipeline.progress import Live, Plain, said, title


def event(kind: Kind, time: float, **values: Any) -> Event:
    return Event(kind=kind, step="pretrain", group="0", time=time, **values)


def lines(*events: Event) -> list[str]:
    written: list[str] = []
    plain = Plain(written.append)
    for each in events:
        plain.show(each)
    return written


def test_a_step_has_a_line_when_it_starts_and_one_when_it_ends() -> None:
    assert lines(event("start", 100), event("finish", 161.5, cpu=118.25, peak_bytes=3 << 29)) == [
        "Train, group 0: started",
        "Train, group 0: done in 1 min 1 s (118.2 CPU s, 1.50 GiB)",
    ]


def test_progress_has_a_line_every_twenty_seconds_at_most() -> None:
    reports = [event("progress", 100 + second, done=second / 100, text="clean 3/12") for second in range(1, 60)]
    shown = lines(event("start", 100), *reports)[1:]
    assert shown == [
        "Train, group 0: 20%, clean 3/12, about 1 min 20 s left",
        "Train, group 0: 40%, clean 3/12, about 1 min left",
    ]


def test_what_is_waited_for_is_a_line_at_once_on_a_terminal_too() -> None:
    waits = event(
        "notice", 1, text="waiting for MLflow at http://here: refused; asked again in 0.5 s, given up in 10 min"
    )
    assert lines(event("start", 0), waits)[1:] == [f"Train, group 0: {waits.text}"]
    out = io.StringIO()
    with Live(Console(file=out, force_terminal=True, width=120)) as live:
        for each in (event("start", 0), waits):
            live.show(each)
    assert "waiting for MLflow at http://here: refused" in out.getvalue()


def test_a_failure_is_not_called_done() -> None:
    assert (
        lines(event("start", 0), event("failure", 2, cpu=1.0, peak_bytes=1 << 28, text="no memory"))[-1]
        == "Train, group 0: failed in 2.0 s (1.0 CPU s, 0.25 GiB)"
    )


def told(*reports: Event) -> list[str]:
    pace = Pace()
    return [said(each, pace) for each in reports]


def test_nothing_is_promised_before_something_was_measured() -> None:
    """A step that is slow to begin, whose first report comes after 90 s, and then takes 1 s for a hundredth."""
    first = [event("progress", 90 + second, done=second / 100) for second in (0, 1, 4, 5, 25)]
    assert told(*first) == ["0%", "1%", "4%", "5%, about 1 min 35 s left", "25%, about 1 min 15 s left"]


def test_what_an_earlier_process_has_done_is_no_pace() -> None:
    """Two of four trainings are taken over at once and a third in between; the rest takes 10 s for a tenth."""
    begins = event("progress", 5, done=0.25, resumed=True)
    again = event("progress", 5, done=0.5, resumed=True)
    assert told(begins, again, event("progress", 15, done=0.6), event("progress", 15, done=0.8, resumed=True)) == [
        "25%",
        "50%",
        "60%, about 40.0 s left",
        "80%, about 20.0 s left",
    ]


def test_a_restart_that_falls_back_takes_longer_and_never_less_than_nothing() -> None:
    reports = [event("progress", 10 * number, done=done) for number, done in enumerate((0.0, 0.2, 0.1, 0.3))]
    assert told(*reports)[1:] == [
        "20%, about 40.0 s left",
        "10%, about 1 min 30 s left",
        "30%, about 52.5 s left",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_terminal_of_any_usual_width_shows_the_whole_of_it(width: int) -> None:
    out = io.StringIO()
    with Live(Console(file=out, force_terminal=True, width=width)) as live:
        live.show(event("start", 0))
        live.show(event("progress", 0, done=0.0))
        live.show(event("progress", 60, done=0.5, text="rounding 12/120, 1031k targets/s"))
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).split("\r")[-1]
    words = ["Train,", "group", "0", "50%,", "rounding", "12/120,", "1031k", "targets/s,", "about", "1", "min", "left"]
    assert [word for word in words if word not in last.split()] == []
    assert all(len(line.rstrip()) <= width for line in last.splitlines())


def test_a_step_without_a_group_is_called_by_its_title_alone() -> None:
    assert title(Event(kind="start", step="gate", time=0)) == "Judge stability"


def test_a_terminal_shows_a_line_a_step_with_what_it_took() -> None:
    out = io.StringIO()
    with Live(Console(file=out, force_terminal=True, width=120)) as live:
        for each in (
            event("start", 0),
            event("progress", 5, done=0.5, text="clean 6/12"),
            event("finish", 10, cpu=19.0, peak_bytes=1 << 30),
        ):
            live.show(each)
    assert "Train, group 0" in out.getvalue() and "done in 10.0 s (19.0 CPU s, 1.00 GiB)" in out.getvalue()
