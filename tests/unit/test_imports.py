"""Imports point one way, pipeline -> components -> (tracking, storage, finest), and never in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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


def sources(root: Path = ROOT) -> dict[str, str]:
    """Returns the text of every module of the product by the module's name."""
    files = [file for package in OURS for file in (root / package).rglob("*.py")]
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file.read_text()
        for file in files
    }


def at_runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Yields everything below `node`, bodies of functions too, but not what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from at_runtime(other)
        else:
            yield child
            yield from at_runtime(child)


def imported(source: str) -> set[str]:
    """Returns the dotted names that the source imports: `from a import b` is `a.b`, which may be a module or in one."""
    names = set()
    for node in at_runtime(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def violations(package: str, source: str) -> list[str]:
    """Returns the top-level names that a file of `package` imports and may not."""
    names = {name.partition(".")[0] for name in imported(source)}
    wrong = {name for name in names & set(OURS) if name not in MAY_IMPORT[package]}
    return sorted(wrong | {name for name in names & set(ONLY_IN) if package not in ONLY_IN[name]})


def circle(modules: dict[str, str]) -> list[str]:
    """Returns modules that import each other in a circle, the first one again at the end; none where there is none."""
    uses = {}
    for module, source in modules.items():
        found = {name if name in modules else name.rpartition(".")[0] for name in imported(source)}
        uses[module] = sorted(found & set(modules))
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


@pytest.mark.parametrize("package", OURS)
def test_no_file_imports_against_the_direction(package: str) -> None:
    files = {name: text for name, text in sources().items() if name.partition(".")[0] == package}
    assert files
    assert {name: wrong for name, text in files.items() if (wrong := violations(package, text))} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(sources()) == []


def test_an_import_inside_a_function_counts() -> None:
    source = "def f():\n    import mlflow.pyfunc\n    from components.step import running"
    assert violations("finest", source) == ["components", "mlflow"]


def test_a_component_may_use_what_is_below_it() -> None:
    assert violations("components", "import kfp\nfrom tracking.runs import step_run\nfrom finest import keys") == []


def test_a_circle_is_found_through_packages_and_functions_and_named_in_the_order_of_the_imports() -> None:
    modules = {
        "finest": "",
        "finest.a": "from finest import b",
        "finest.b": "def f():\n    from finest.c import thing",
        "finest.c": "import finest.a",
    }
    found = circle(modules)
    assert set(found) == {"finest.a", "finest.b", "finest.c"}
    assert "finest.a finest.b finest.c" in " ".join(found + found[1:])


def test_what_only_a_type_checker_imports_makes_no_circle() -> None:
    only_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from finest import a"
    assert circle({"finest.a": "from finest import b", "finest.b": only_types}) == []
    assert circle({"finest.a": "from finest import b", "finest.b": f"{only_types}\nelse:\n    import finest.a"})
