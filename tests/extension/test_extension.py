"""A package of somebody else's adds a thing of each kind; a run has them all, no file of finest knows the package."""

import html
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.builders import write_walks
from tests.services.images import docker

pytestmark = pytest.mark.timeout(1200)

EXAMPLE = Path(__file__).parent / "example"
PACKAGE = "finest-example==1.0"
CONFIG = """
ingest: {evaluation: {depth: 20, exclude_seen: false}}
perturb: {scenarios: [{kind: deletion, family: {name: longest, users: 20}, share: 0.01}]}
pretrain: {model: {name: fading, hidden_size: 16, max_length: 20, fading: 0.6}, epochs: 2,
  processes: 1, memory: {serve: stack}}
finetune: {regulariser: {name: soft_order, temperature: 0.5}, epochs: 2, top_k: 20}
gate: {rules: [sanity, {name: answers, min_items: 5}]}
preflight: {min_free_gb: 0}
"""


@dataclass(frozen=True)
class Desk:
    """A folder with data and a config, and an environment with wheels of finest and of the example."""

    folder: Path
    python: Path
    example: Path

    def finest(self, state: str, *arguments: str, config: str = "mine.yaml") -> subprocess.CompletedProcess[str]:
        """Runs the pipeline in the folder."""
        command = [
            str(self.python.with_name("finest")),
            "run",
            "--source",
            "data.csv",
            "--config",
            config,
            "--state",
            state,
        ]
        plain = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "DOCKER_HOST")}
        return subprocess.run([*command, *arguments], cwd=self.folder, env=plain, capture_output=True, text=True)

    def run(self, state: str) -> Path:
        """Returns the folder of the state's one run."""
        (folder,) = (self.folder / state / "runs").iterdir()
        return folder


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    built = tmp_path_factory.mktemp("wheels")
    example = packages.build(packages.copied(EXAMPLE, built / "example"), built)
    folder = tmp_path_factory.mktemp("desk")
    packages.put_others(folder)
    write_walks(folder / "data.csv")
    (folder / "mine.yaml").write_text(CONFIG)
    python = packages.environment(tmp_path_factory.mktemp("environment"), packages.build_wheel(built), example)
    return Desk(folder, python, example)


@pytest.fixture(scope="module")
def ran(desk: Desk) -> Path:
    done = desk.finest("state")
    assert done.returncode == 0, done.stderr
    return desk.run("state")


def test_it_is_small_and_finest_does_not_know_it() -> None:
    lines = [
        line for file in packages.checked_in(str(EXAMPLE)) for line in (packages.ROOT / file).read_text().splitlines()
    ]
    assert len(lines) < 200
    known = subprocess.run(
        ["git", "grep", "-l", "finest.example", "--", "finest", "components", "pipeline", "storage", "tracking"],
        cwd=packages.ROOT,
        capture_output=True,
        text=True,
    )
    assert known.stdout == ""


def test_each_thing_does_what_every_such_thing_must(desk: Desk) -> None:
    program = """
from finest.testing import check_family, check_metric, check_model, check_regulariser, check_rule
from finest_example.family import Longest
check_model("fading")
check_regulariser("soft_order")
check_rule("answers", {"min_items": 3})
check_metric("hit_at_3")
check_family(Longest, users=3)
"""
    checked = subprocess.run([desk.python, "-c", program], cwd=desk.folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_all_that_it_adds_is_in_the_verdict_and_in_the_report(ran: Path) -> None:
    assert_all_there(ran)


def assert_all_there(run: Path) -> None:
    verdict: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    report = html.unescape((run / "report.html").read_text())
    assert verdict["verdict"] == "pass"
    assert "longest-deletion-0.01-s0-users20" in [scenario["name"] for scenario in verdict["scenarios"]]
    (rule,) = [rule for rule in verdict["rules"] if rule["rule"] == "answers"]
    assert (rule["status"], rule["bound"], rule["option"]) == ("pass", 5, "gate.rules.answers.min_items")
    assert 0 <= verdict["metrics"]["accuracy/hit_at_3"] <= 1
    for word in ("longest-deletion-0.01-s0-users20", "fading", "soft_order", rule["sentence"], "Hit@3"):
        assert word in report, word


def test_the_recorded_config_says_which_package_it_needs(ran: Path) -> None:
    assert f"packages:\n- {PACKAGE}\n" in (ran / "config.yaml").read_text()


@pytest.fixture
def without_the_package(desk: Desk, ran: Path) -> Iterator[None]:
    """The environment after `pip uninstall`."""
    packages.uninstall(desk.python, "finest-example")
    yield
    packages.install(desk.python, desk.example)


def test_without_the_package_a_config_that_needs_it_ends_in_one_line(
    desk: Desk, ran: Path, without_the_package: None
) -> None:
    again = desk.finest("another", config=str(ran / "config.yaml"))
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
    assert again.stderr.startswith(f"error: packages: {PACKAGE}, which this config needs, is not installed here")
    unknown = desk.finest("another")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "there is no model called fading" in unknown.stderr or "there is no perturbation family" in unknown.stderr


@pytest.fixture
def image(desk: Desk, steps_image: str, tmp_path: Path) -> Iterator[str]:
    """An image made as docs/extending.md says."""
    name = "finest-example:test"
    guide = (packages.ROOT / "docs" / "extending.md").read_text()
    file = guide.partition("```dockerfile\n")[2].partition("```")[0]
    (tmp_path / "Dockerfile").write_text(file.replace("example-1.0", "finest_example-1.0"))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / desk.example.name).write_bytes(desk.example.read_bytes())
    built = docker("build", "--network", "host", "-t", name, str(tmp_path))
    assert built.returncode == 0, built.stderr
    yield name
    docker("image", "rm", name)


@pytest.mark.docker
def test_in_an_image_with_the_package_all_is_there_too(desk: Desk, image: str) -> None:
    done = desk.finest("in-image", "--runner", "docker", "--image", image)
    assert done.returncode == 0, done.stderr
    assert_all_there(desk.run("in-image"))


@pytest.mark.docker
def test_in_an_image_without_it_preflight_ends_in_one_line(desk: Desk, steps_image: str) -> None:
    done = desk.finest("in-plain-image", "--runner", "docker", "--image", steps_image)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(
        f"error: preflight: packages: {PACKAGE}, which this config needs, is not installed here"
    )
