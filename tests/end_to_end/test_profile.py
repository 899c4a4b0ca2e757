"""`run --profile`: where the time went, and nothing else changed."""

import gzip
import json

from tests.end_to_end.conftest import Place, Ran


def test_a_profiled_run_has_traces_and_a_page_that_the_report_shows_too_and_the_same_lists_bit_for_bit(
    promoted: Ran, place: Place
) -> None:
    process = place.run("--profile", state="profiled")
    assert process.returncode == 0, process.stderr
    run = place.last("profiled")
    assert f"Profile  {run / 'profile.txt'}" in process.stdout and "Profile  " not in promoted.process.stdout
    page, report = (run / "profile.txt").read_text(), (run / "report.html").read_text()
    for part in ("pretrain, group 0", "promote", "pretraining epochs", "reference lists", "checkpoints", "aten::"):
        assert part in page, part
    assert "Where the time went" in report and "fine-tuning epochs" in report
    for stage in ("pretrain", "finetune"):
        with gzip.open(run / "profile" / "group-0" / f"{stage}-trace.json.gz") as file:
            assert any("aten::addmm" in event.get("name", "") for event in json.load(file)["traceEvents"])
    (logged,) = (place.folder / "profiled" / "mlflow").rglob("artifacts/profile.txt")
    assert logged.read_text() == page
    plain = {
        path.relative_to(promoted.folder): path.read_bytes()
        for path in (promoted.folder / "lists" / "group-0").rglob("*.parquet")
    }
    assert len(plain) == 14 and all((run / path).read_bytes() == content for path, content in plain.items())
