from benchmarks.bench import regressions
from benchmarks.row import Row, Spent, row


def made_up(name: str = "sorting : bubble sort", ratio: float = 100.0, target: str = ">= 50", met: bool = True) -> Row:
    return Row(row=name, ours=1.0, peer=ratio, ratio=ratio, target=target, met=met)


def test_a_ratio_within_the_tolerance_is_no_regression_in_either_direction() -> None:
    before = [made_up(), made_up("memory", 0.5, "<= 0.6")]
    found = [made_up(ratio=81.0), made_up("memory", 0.59, "<= 0.6")]
    assert regressions(found, before, tolerance=0.25) == []


def test_a_ratio_worse_by_more_than_the_tolerance_is_one_whichever_way_is_better() -> None:
    assert regressions([made_up(ratio=79.0)], [made_up()], tolerance=0.25) == [
        "sorting : bubble sort: 79, was 100, allowed 80"
    ]
    found, before = made_up("memory", 0.51, "<= 0.6"), made_up("memory", 0.4, "<= 0.6")
    assert regressions([found], [before], tolerance=0.25) == ["memory: 0.51, was 0.4, allowed 0.5"]


def test_times_do_not_count() -> None:
    slower_machine = made_up().model_copy(update={"ours": 10.0, "peer": 1000.0})
    assert regressions([slower_machine], [made_up()], tolerance=0.0) == []


def test_a_target_that_was_met_must_stay_met_within_any_tolerance() -> None:
    said = regressions([made_up(ratio=49.0, met=False)], [made_up(ratio=51.0)], tolerance=0.25)
    assert said == ["sorting : bubble sort: 49 misses its target, >= 50, which was met"]
    assert regressions([made_up(ratio=40.0, met=False)], [made_up(ratio=41.0, met=False)], tolerance=0.25) == []


def test_a_row_that_is_gone_is_told_and_a_new_one_is_not() -> None:
    assert regressions([made_up("new")], [made_up()], tolerance=0.25) == [
        "sorting : bubble sort: not measured, was 100"
    ]


def test_a_row_is_of_medians_and_met_only_if_every_condition_holds() -> None:
    ours, peer = [Spent(cpu_s, 0.0) for cpu_s in (1.0, 9.0, 2.0)], [Spent(100.0, 0.0)]
    faster = row("sorting", ours, peer, ">= 50, under 1 GB")
    assert (faster.ours, faster.peer, faster.ratio, faster.met) == (2.0, 100.0, 50.0, True)
    assert not row("sorting", ours, peer, ">= 50, under 1 GB", met=False).met
    assert row("sorting", ours, peer, "<= 0.02").ratio == 0.02
