"""The step of the cluster's guide that builds and pushes images runs as it stands, for every choice that it names."""

import os
import re
import subprocess
from pathlib import Path
from shutil import copy, copytree

import pytest
import yaml

ROOT = Path(__file__).parents[3]
STEP = re.search(r"^## 2\. Images\n(.*?)^## ", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL | re.MULTILINE)
assert STEP
COMMANDS = STEP[1].split("```")[1]
CHOICE = r'TARGETS=(?:"[a-z ]*"|\w+) WATCH=\S+ STEPS=[^\s`]+'
CHOICES = re.findall(CHOICE, STEP[1])
ENGINE = """#!/bin/sh
known() { grep -qxF "$2" "$1" || { echo "no $2 among $1" >&2; exit 1; }; }
for last; do :; done
case $1 in
  build) while [ "$1" != -t ]; do shift; done; echo "$2" >>images ;;
  tag) known images "$2"; echo "$3" >>images ;;
  push) known images "$2"; echo "$2" >>pushed ;;
  inspect) known pushed "$last"; echo "${last%:*}@sha256:${last##*:}" ;;
esac
"""
"""Knows the names of images and which of them a registry has. A digest is the tag, so that it tells whose it is."""


def followed(choice: str, folder: Path) -> tuple[list[str], str]:
    """Names that are in the registry afterwards, and what the step prints last."""
    copytree(ROOT / "k8s", folder / "k8s")
    for file in ("Makefile", "pyproject.toml"):
        copy(ROOT / file, folder)
    (folder / "docker").write_text(ENGINE)
    (folder / "docker").chmod(0o755)
    commands = re.sub(CHOICE, choice, COMMANDS)
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "pushed").read_text().split(), done.stdout.splitlines()[-1]


def deployed(folder: Path, overlay: str) -> set[str]:
    """Names of our images that an overlay puts into the cluster."""
    images = yaml.safe_load((folder / "k8s" / "overlays" / overlay / "kustomization.yaml").read_text())["images"]
    return {f"{image['newName']}:{image['newTag']}" for image in images if image["name"].startswith("finest")}


def test_the_guide_has_both_images_and_each_alone() -> None:
    assert sorted(choice.partition(" WATCH")[0] for choice in CHOICES) == [
        'TARGETS="cpu gpu"',
        "TARGETS=cpu",
        "TARGETS=gpu",
    ]


@pytest.mark.parametrize("choice", CHOICES)
def test_what_the_cluster_pulls_was_built_and_pushed(choice: str, tmp_path: Path) -> None:
    pushed, steps = followed(choice, tmp_path)
    gpu = "gpu" in choice
    for overlay in ("dev", "prod", "gpu") if gpu else ("dev", "prod"):
        assert deployed(tmp_path, overlay) <= set(pushed), overlay
    assert steps.replace("@sha256:", ":") in pushed and steps.endswith("-gpu") is gpu
