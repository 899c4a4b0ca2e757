"""What of a run's KFP folder outlives the run."""

from pathlib import Path

from finest import documents, sealed
from finest.profiling.summary import FOLDER, NUMBERS


def keep(folder: Path) -> None:
    """Moves what is worth keeping out of KFP's folder: verdict, report, tables, and rank lists for `gate --lists`."""
    kfp = folder / "kfp"
    for facts in kfp.rglob("tuned/group.json"):
        group = f"group-{documents.read_facts(facts, 'run again')['group']}"
        _move(facts.parent / "lists", folder / "lists" / group)
        for trace in facts.parent.glob(f"{FOLDER}/*-trace.json.gz"):
            _move(trace, folder / FOLDER / group / trace.name)
    for task, name, kept in (
        ("champion", "lists", "lists/baselines"),
        ("perturb", "edits", "edits"),
        ("gate", "verdict/verdict.json", "verdict.json"),
        ("gate", "verdict/report.html", "report.html"),
        ("skip", "verdict/verdict.json", "verdict.json"),
        ("skip", "verdict/report.html", "report.html"),
        ("ingest", "interactions/manifest.json", "data/manifest.json"),
        ("ingest", "interactions/users.parquet", "data/users.parquet"),
        ("ingest", "interactions/items.parquet", "data/items.parquet"),
        ("ingest", "interactions/segments.parquet", "data/segments.parquet"),
        ("ingest", f"interactions/{sealed.NAME}", f"data/{sealed.NAME}"),
        ("gate", f"verdict/{NUMBERS}", f"{FOLDER}/{NUMBERS}"),
        ("ingest", "interactions/quarantine.parquet", "data/quarantine.parquet"),
        ("tune", "found", "tune"),
    ):
        for path in kfp.glob(f"*/{task}/{name}"):
            _move(path, folder / kept)
    if sealed.sealed(folder / "data"):
        sealed.forget_missing(folder / "data")


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    path.rename(to)
