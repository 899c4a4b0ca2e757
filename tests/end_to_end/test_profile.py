"""`run --profile`: where the time went. That it changes nothing else is seen by runs without it (test_resume)."""

import gzip
import json

from tests.end_to_end.conftest import Place, Ran


def test_a_profiled_run_has_traces_and_a_page_that_the_report_shows_too(promoted: Ran, place: Place) -> None:
    run = promoted.folder
    assert f"Profile  {run / 'profile.txt'}" in promoted.process.stdout
    page, report = (run / "profile.txt").read_text(), (run / "report.html").read_text()
    for part in ("pretrain, group 0", "promote", "pretraining epochs", "reference lists", "checkpoints", "aten::"):
        assert part in page, part
    assert "Where the time went" in report and "fine-tuning epochs" in report
    for stage in ("pretrain", "finetune"):
        with gzip.open(run / "profile" / "group-0" / f"{stage}-trace.json.gz") as file:
            assert any("aten::addmm" in event.get("name", "") for event in json.load(file)["traceEvents"])
    (logged,) = (place.folder / "state" / "mlflow").rglob("artifacts/profile.txt")
    assert logged.read_text() == page
