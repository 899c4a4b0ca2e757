"""Imports point one way: pipeline -> components -> (tracking, storage, finest)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("finest", "tracking", "storage", "components", "pipeline")
MAY_IMPORT = {
    "finest": {"finest"},
    "tracking": {"tracking", "finest"},
    "storage": {"storage", "finest"},
    "components": {"components", "tracking", "storage", "finest"},
    "pipeline": set(OURS),
}
ONLY_IN = {"mlflow": {"tracking"}, "kfp": {"components", "pipeline"}, "boto3": {"storage"}}


def imported(source: str) -> Iterator[str]:
    """Top-level names of everything that the source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def violations(package: str, source: str) -> list[str]:
    """Names that a file of `package` may not import."""
    names = set(imported(source))
    wrong = {name for name in names & set(OURS) if name not in MAY_IMPORT[package]}
    return sorted(wrong | {name for name in names & set(ONLY_IN) if package not in ONLY_IN[name]})


@pytest.mark.parametrize("package", OURS)
def test_no_file_imports_against_the_direction(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {str(file.relative_to(ROOT)): wrong for file in files if (wrong := violations(package, file.read_text()))}
    assert found == {}


def test_an_import_inside_a_function_counts() -> None:
    assert violations("finest", "def f():\n    import mlflow.pyfunc\n    from components.step import running") == [
        "components",
        "mlflow",
    ]


def test_a_component_may_use_what_is_below_it() -> None:
    assert violations("components", "import kfp\nfrom tracking.runs import step_run\nfrom finest import keys") == []
