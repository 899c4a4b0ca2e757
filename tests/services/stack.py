"""S3, PostgreSQL and MLflow's server together, outliving the process that starts them.

This is what a shared installation looks like to a run.
"""

import json
from pathlib import Path

import psutil

from tests.services import mlflow_server, postgres
from tests.services.process import HOST, answers, free_port, start, stop
from tests.services.s3 import S3, command

BUCKET = "finest"
"""For sources and checkpoints."""
RECORD = "services.json"


def up(folder: Path) -> dict[str, str]:
    """Starts the services on what lies in `folder`, or finds them running there. The environment that uses them."""
    record = folder / RECORD
    if record.exists():
        saved = json.loads(record.read_text())
        if all(_alive(pid, created) for pid, created in saved["processes"]):
            return dict(saved["environment"])
        down(folder)
    folder.mkdir(parents=True, exist_ok=True)
    processes: list[int] = []
    try:
        port = free_port()
        s3 = S3(f"http://{HOST}:{port}", folder / "s3")
        s3.bucket(BUCKET)
        processes.append(start(command(s3.root, port), folder / "s3.log", answers(s3.endpoint)).pid)
        pid, database = postgres.launch(folder / "postgres", folder / "postgres.log")
        processes.append(pid)
        port = free_port()
        arguments, environment = mlflow_server.command(database, s3, port)
        tracking = f"http://{HOST}:{port}"
        processes.append(start(arguments, folder / "mlflow.log", answers(f"{tracking}/health"), environment).pid)
    except BaseException:
        for pid in reversed(processes):
            stop(pid)
        raise
    exports = {**s3.environment(), "MLFLOW_TRACKING_URI": tracking, "FINEST_BUCKET": BUCKET}
    record.write_text(
        json.dumps(
            {"processes": [[pid, psutil.Process(pid).create_time()] for pid in processes], "environment": exports}
        )
    )
    return exports


def down(folder: Path) -> None:
    """Ends the services that `up` started there, the newest first. Their files stay."""
    record = folder / RECORD
    if record.exists():
        for pid, created in reversed(json.loads(record.read_text())["processes"]):
            if _alive(pid, created):
                stop(pid)
        record.unlink()


def _alive(pid: int, created: float) -> bool:
    """Whether it is still that process: ids are used again."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
