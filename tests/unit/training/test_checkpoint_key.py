"""What a checkpoint's key covers, and what a served model brings: read from the source's imports."""

import importlib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from finest.imports import ROOT, closure
from finest.perturb.registry import EDITS
from finest.registry import Registry
from finest.training.checkpoint import deciding, meaning, package_code


def test_a_key_covers_all_code_that_decides_weights_and_no_other() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in deciding()}
    assert {
        "keys.py",
        "data/dataset.py",
        "data/schema.py",
        "perturb/edits.py",
        "perturb/kinds.py",
        "ranklists/match.py",
        "training/replicas/stack.py",
        *(f"models/{file.name}" for file in (ROOT / "models").glob("*.py")),
        *(f"training/{file.name}" for file in (ROOT / "training").glob("*.py")),
    } <= names
    assert not [name for name in names if name.startswith(("gate", "metrics", "report", "testing", "data/ingest"))]


def test_words_and_layout_do_not_count_but_values_do() -> None:
    one = meaning(b'"""A."""\nX = 1  # note\n"""Of X."""\ndef f(x):\n    """B."""\n    return x + X\n')
    assert (
        one
        == meaning(b"X = 1\n\n\ndef f(x):\n    return (x + X)\n")
        != meaning(b"X = 2\ndef f(x):\n    return x + X\n")
    )


def test_a_key_covers_the_code_of_another_packages_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "elsewhere_edits"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "edit.py").write_text("from elsewhere_edits.parts import number\n\nclass Edit:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = SimpleNamespace(name="swap", value="elsewhere_edits.edit:Edit")
    dist = SimpleNamespace(name="elsewhere", version="1.0")
    registry: Registry[type] = Registry("edit", "finest.of_this_test")
    monkeypatch.setattr(
        metadata,
        "entry_points",
        lambda group: [
            SimpleNamespace(**vars(found), dist=dist, load=lambda: importlib.import_module("elsewhere_edits.edit").Edit)
        ],
    )
    digests = []
    for text in ("number = 1\n", "number = 1  # one\n", "number = 2\n"):
        (package / "parts.py").write_text(text)
        digests.append(package_code(registry, "swap"))
    assert digests[0] == digests[1] != digests[2] and digests[0] is not None
    assert package_code(EDITS, "deletion") is None


def test_what_another_packages_model_imports_of_finest_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "elsewhere_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text("from . import parts\nimport scipy\n")
    (package / "parts.py").write_text("from finest.models.sasrec import Block\n")
    monkeypatch.syspath_prepend(tmp_path)
    files, outside = closure(["elsewhere_models.model"], ("finest", "elsewhere_models"))
    assert ROOT / "models" / "sasrec.py" in files and package / "parts.py" in files
    assert "torch" in outside and "scipy" not in outside


@pytest.mark.parametrize("model", ["sasrec", "gru4rec"])
def test_a_served_model_brings_no_other_model(model: str) -> None:
    files, _ = closure(["finest.models.saved", f"finest.models.{model}"])
    names = {file.stem for file in files}
    assert {"sasrec", "gru4rec"} & names == {model}
