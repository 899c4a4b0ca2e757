"""The guides' commands are copied and pasted: they parse, and their files, commands and options exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
GUIDES = [ROOT / "docs" / name for name in ("cluster.md", "operations.md", "troubleshooting.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:^(?:\$ )?|`)finest ([^\n`;|&)#]*)", re.MULTILINE)


def blocks(guide: Path) -> list[str]:
    """The shell commands of a guide, a block each."""
    return [text for language, text in FENCE.findall(guide.read_text()) if not language]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_block_of_commands_is_a_shell_script(guide: Path) -> None:
    for text in blocks(guide):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, (text, done.stderr)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_file_that_a_guide_names_exists_and_every_heading_that_it_links_to(guide: Path) -> None:
    text = guide.read_text()
    for path in re.findall(r"(?<!examples/)\bk8s/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        file = (guide.parent / target) if target else guide
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), (target, anchor)


def test_every_alert_of_the_examples_has_its_page_in_the_guide() -> None:
    rules = yaml.safe_load((ROOT / "docs" / "examples" / "k8s" / "alerts.yaml").read_text())["spec"]["groups"][0][
        "rules"
    ]
    pages = [rule["annotations"]["runbook"].partition("#") for rule in rules]
    assert len(pages) >= 5 and {file for file, _, _ in pages} == {"docs/operations.md"}
    assert {anchor for *_, anchor in pages} <= anchors(ROOT / "docs" / "operations.md")


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_command_of_the_guides_is_one_that_there_is() -> None:
    from typer.main import get_command

    from pipeline.cli import app

    known: dict[str, set[str]] = {}
    group: Any = get_command(app)
    for name, command in group.commands.items():
        known |= {f"{name} {sub}": options(one) for sub, one in getattr(command, "commands", {}).items()} or {
            name: options(command)
        }
    said = [call for guide in GUIDES for call in COMMAND.findall(guide.read_text())]
    assert len(said) > 10
    for call in said:
        words = call.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
        assert name, call
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known[name], call


def options(command: Any) -> set[str]:
    return {name for one in command.params for name in one.opts}


def test_the_config_of_the_guide_is_one(tmp_path: Path) -> None:
    from pipeline import config

    text = (ROOT / "docs" / "cluster.md").read_text()
    appended = re.search(r"cat >> mine.yaml <<'EOF'\n(.*?)^EOF", text, re.DOTALL | re.MULTILINE)
    assert appended
    mine = tmp_path / "mine.yaml"
    mine.write_text(config.NIGHTLY.read_text() + appended[1])
    loaded = config.load(mine)
    assert loaded.checkpoints.startswith("s3://") and loaded.placement.node_selector
    without = re.search(r"`(placement: \{.*?\})`", text)
    assert without
    mine.write_text(without[1])
    assert config.load(mine).placement.accelerator == ""
