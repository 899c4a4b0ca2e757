"""Which files importing a module runs, read from the source: what a served model brings and what changes weights."""

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

# Not from `finest.__file__`: a process that has loaded a served model may have that one's copy under the name.
ROOT = Path(__file__).parent
"""Folder of the package finest."""


def closure(
    entries: Iterable[str], inside: tuple[str, ...] = ("finest",), registered: bool = False
) -> tuple[list[Path], set[str]]:
    """Returns the files that importing some modules runs, sorted, and the other packages that finest's of them import.

    What a function imports does not count: its caller brings what it needs.

    Args:
        entries: Full names of the modules.
        inside: Packages whose imports are followed, these modules' own among them.
        registered: Whether a registry counts as importing all modules of its package, as it does by name.
    """
    files: dict[Path, None] = {}
    outside: set[str] = set()
    names = list(entries)
    while names:
        name = names.pop()
        file = _file_of(name)
        if file in files or not file.exists():  # a name that is no module: imported from one
            continue
        files[file] = None
        if registered and file.name == "registry.py" and file.parent != ROOT:
            names.extend(modules_of(".".join(file.parent.relative_to(ROOT.parent).parts)))
        names.extend(name.rsplit(".", levels)[0] for levels in range(1, name.count(".") + 1))
        for module in _imports(file, name if file.name == "__init__.py" else name.rpartition(".")[0]):
            package = module.partition(".")[0]
            if package in inside:
                names.append(module)
            elif file.is_relative_to(ROOT):
                outside.add(package)
    return sorted(files), outside


def modules_of(package: str) -> list[str]:
    """Returns the full names of the modules in a package of finest, such as `finest.models`."""
    folder = ROOT.parent.joinpath(*package.split("."))
    return [f"{package}.{file.stem}" for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]


def _file_of(name: str) -> Path:
    package, *rest = name.split(".")
    root = ROOT.parent
    if package != "finest":
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            return Path(f"{name} has no source")
        origin = Path(spec.origin)
        root = origin.parents[1] if origin.name == "__init__.py" else origin.parent
    path = root.joinpath(package, *rest)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(file: Path, package: str) -> Iterator[str]:
    """Yields the names that the top of a file imports; `package` is what its relative imports begin at."""
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
