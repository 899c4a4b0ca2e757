"""The wheel: it holds everything that the command needs, and says what a reader of a package index must know."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.packages import ROOT, build_wheel, checked_in

PACKAGES = ("finest", "components", "pipeline", "storage", "tracking")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout."""
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """What the wheel says of itself."""
    (file,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(wheel.read(file))


def test_it_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in checked_in(*PACKAGES) if not name.endswith(".md")}
    assert {"pipeline/configs/quickstart.yaml", "finest/report/report.html.j2", "finest/py.typed"} <= held


def test_it_carries_its_licence(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE"
    (file,) = [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    assert wheel.read(file) == (ROOT / "LICENSE").read_bytes() and b"Version 2.0, January 2004" in wheel.read(file)


@pytest.mark.parametrize("field", ["Summary", "Author", "Keywords", "Classifier", "Project-URL", "Requires-Python"])
def test_it_says_what_an_index_shows(metadata: Message, field: str) -> None:
    assert metadata[field]


def test_its_command_is_finest(wheel: zipfile.ZipFile) -> None:
    (file,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    assert "finest = pipeline.entry:main" in wheel.read(file).decode().splitlines()


def test_the_command_starts_from_the_wheel_alone_and_knows_its_version(
    wheel: zipfile.ZipFile, metadata: Message, tmp_path: Path
) -> None:
    """In a folder of someone who has a `pipeline` and a `storage` of their own."""
    wheel.extractall(tmp_path / "site")
    for name in ("pipeline", "storage"):
        (tmp_path / "work" / name).mkdir(parents=True)
        (tmp_path / "work" / name / "__init__.py").write_text("raise ImportError('not ours')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from pipeline.entry import main; sys.exit(main())"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", program, "--version"], cwd=tmp_path / "work", capture_output=True, text=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, f"finest {metadata['Version']}\n", "")


def test_where_the_library_alone_is_installed_the_command_says_which_extra_it_needs() -> None:
    program = "import sys; sys.modules['typer'] = None; from pipeline.entry import main; sys.exit(main())"
    said = subprocess.run([sys.executable, "-c", program, "run"], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == (
        "error: the command finest needs typer, which its extra brings: pip install 'finest[pipeline]'\n"
    )
