"""Makes a model folder an MLflow model that loads anywhere.

The package holds weights without pickle, the code that it needs, its requirements and its card.
"""

import importlib.metadata
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finest.data.schema import Manifest
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import digest_of, write_verdict
from finest.imports import ROOT, closure
from finest.memory.registry import FEATURES
from finest.models.manifest import CARD, JUDGED, MODEL, VERDICT, PackageManifest, digests, write
from finest.models.registry import MODELS
from finest.models.signature import sign
from tracking.card import model_card
from tracking.describe import code_tags
from tracking.records import DIGEST_LENGTH, note
from tracking.runs import Run, kfp_run_id
from tracking.sample import Sample
from tracking.store import waiting

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import LoggedModel

    from finest.models.saved import Facts

ENTRIES = "finest.models.saved", "finest.models.manifest", "finest.models.signature"
"""Modules that check, load and rank; the package carries them, the model, and all of finest that these import."""

SERVED = Path(__file__).with_name("served_model.py")


@dataclass(frozen=True)
class Packaged:
    """Names a package that the store has."""

    model_id: str
    """Id of the logged model."""
    manifest: str
    """Digest of its manifest."""
    signed: bool
    card: str
    """The model card, in Markdown."""


def log_package(
    run: Run, line: str, model_folder: Path, verdict: Verdict, manifest: Manifest, sample: Sample
) -> Packaged:
    """Logs the model as a logged model of the parent run, with the verdict's metrics.

    Args:
        run: The step's run.
        line: Name of the line.
        model_folder: The model.
        verdict: Its verdict, which goes into the package.
        manifest: Manifest of its data set.
        sample: Lists that were judged, which the package must serve wherever it is loaded.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    from finest.models.saved import read_facts

    client, parent = run.client, run.client.get_run(run.parent)
    code = {name: code_tags()[name] for name in ("git_commit", "image_digest")}
    code["finest"] = importlib.metadata.version("finest")
    source = parent.data.tags.get("source", "")
    card = model_card(line, kfp_run_id(), source, read_facts(model_folder), verdict, manifest, code)
    model = client.create_logged_model(
        parent.info.experiment_id,
        name="recommender",
        source_run_id=run.parent,
        model_type="sequential recommender",
        params=parent.data.params,
        tags={
            "verdict": verdict.verdict,
            "data_fingerprint": manifest.fingerprint,
            "protocol": verdict.protocol,
            "mlflow.note.content": note(card),
        },
    )
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary, "package")
        parts = Path(temporary, "parts")
        _write_parts(parts, model_folder, card, verdict, sample)
        _save(package, parts, model, run.parent)
        packed = PackageManifest(
            files=digests(package),
            line=line,
            run=kfp_run_id(),
            verdict=digest_of(verdict),
            data_fingerprint=manifest.fingerprint,
            **code,
        )
        written = write(package, packed)
        signed = sign(package)
        waiting(lambda: client.log_model_artifacts(model.model_id, str(package)))
        client.log_artifact(run.parent, str(parts / CARD))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run.parent, [LoggedModelOutput(model.model_id, step=0)])
    _log_metrics(run, model.model_id, verdict, manifest)
    return Packaged(str(model.model_id), written, signed, card)


def _write_parts(parts: Path, model_folder: Path, card: str, verdict: Verdict, sample: Sample) -> None:
    """Writes what becomes a package's artifacts."""
    shutil.copytree(model_folder, parts / MODEL)
    (parts / CARD).write_text(card, encoding="utf-8")
    (parts / JUDGED).write_text(sample.as_json(), encoding="utf-8")
    write_verdict(verdict, parts / VERDICT)


def _save(package: Path, parts: Path, model: "LoggedModel", parent: str) -> None:
    """Makes the MLflow model of a folder of parts, with the code that it needs."""
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    from finest.models.saved import read_facts

    text, number = Array(DataType.string), Array(DataType.double)
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(text, "history"),
                ColSpec(DataType.long, "k", required=False),
                ColSpec(Array(DataType.long), "timestamps", required=False),
            ]
        ),
        outputs=Schema([ColSpec(text, "items"), ColSpec(number, "scores")]),
    )
    modules, requirements = needed(read_facts(parts / MODEL))
    for module in modules:
        place = parts / "code" / module.relative_to(ROOT.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, place)
    described = Model(
        artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=parent, model_id=model.model_id
    )
    with _no_bytecode():
        mlflow.pyfunc.save_model(
            package,
            mlflow_model=described,
            python_model=str(SERVED),
            artifacts={Path(name).stem: str(parts / name) for name in (MODEL, CARD, JUDGED, VERDICT)},
            code_paths=[str(parts / "code" / "finest")],
            signature=signature,
            input_example=_example(parts / MODEL),
            pip_requirements=requirements,
        )


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keeps what Python compiles out of the package: MLflow loads it once as it saves it."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def needed(facts: "Facts") -> tuple[list[Path], list[str]]:
    """Returns the files of finest that serving a model takes, and pip requirements of everything else.

    Requirements are of MLflow, of all that those files import, and of other packages that the model or features of its
    memory come from; in exact versions as installed, without local labels such as +cpu, which an index elsewhere does
    not have.

    Args:
        facts: What the model is.
    """
    model, features = facts.model.name, [name for name in facts.memory or {} if name in FEATURES]
    module = MODELS[model].__module__
    others = {MODELS.package_of(model), *map(FEATURES.package_of, features)} - {None}
    files, imported = closure([*ENTRIES, module], ("finest", module.partition(".")[0]))
    outside = {"mlflow", "pandas", *imported} - set(sys.stdlib_module_names)
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(outside)}
    requirements = [f"{name}=={version}" for name, version in versions.items()]
    return [file for file in files if file.is_relative_to(ROOT)], requirements + sorted(map(str, others))


def _example(model_folder: Path) -> "pd.DataFrame":
    import pandas as pd

    from finest.models.folder import ITEMS
    from finest.models.saved import read_facts

    items = json.loads((model_folder / ITEMS).read_text(encoding="utf-8"))
    histories = [items[:3], items[1:2]]
    example = pd.DataFrame({"history": histories, "k": [10, 5]})
    if MODELS[read_facts(model_folder).model.name].timed:
        example["timestamps"] = [[1_700_000_000 + 60 * place for place in range(len(one))] for one in histories]
    return example


def _log_metrics(run: Run, model_id: str, verdict: Verdict, manifest: Manifest) -> None:
    """Logs the parent's metrics once more, bound to the model and its data set, so that the model's page shows them.

    They go to the step's run: a second point would turn the parent's bars into curves.
    """
    from mlflow.entities import Metric

    inputs = run.client.get_run(run.parent).inputs
    names = [one.dataset.name for one in inputs.dataset_inputs] if inputs else []
    data = {
        "dataset_name": names[0] if names else "interactions",
        "dataset_digest": manifest.fingerprint[:DIGEST_LENGTH],
    }
    now = int(time.time() * 1000)
    there = {key: value for key, value in verdict.metrics.items() if math.isfinite(value)}
    metrics = [Metric(key, value, now, 0, model_id=model_id, run_id=run.id, **data) for key, value in there.items()]
    run.client.log_batch(run.id, metrics=metrics)
