"""No secret in git: Secrets are made by hand or by an operator, and manifests name them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
REFERENCE = re.compile(r'"?\$\(|/|$')
"""Another variable's value, a path, or nothing."""
SECRET_NAME = re.compile(r"password|secret|token|access_?key|credential|webhook", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    """Files that git has or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert listed.returncode == 0, listed.stderr
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def findings(document: Any) -> Iterator[str]:
    """What must not be in a manifest: a Secret's values, a password as an environment variable's value."""
    if isinstance(document, dict):
        if document.get("kind") == "Secret" and (document.get("data") or document.get("stringData")):
            yield f"Secret {document.get('metadata', {}).get('name')} has values"
        name, value = document.get("name"), document.get("value")
        if isinstance(name, str) and isinstance(value, str) and SECRET_NAME.search(name) and not REFERENCE.match(value):
            yield f"{name} has a value"
        if document.get("secretGenerator"):
            yield "a secretGenerator"
        for part in document.values():
            yield from findings(part)
    elif isinstance(document, list):
        for part in document:
            yield from findings(part)


def test_no_yaml_in_git_holds_a_secret() -> None:
    files = [path for path in tracked("*.yaml", "*.yml") if path.name != "pipeline.yaml"]
    assert len(files) > 15
    found = {str(path.relative_to(ROOT)): said for path in files if (said := [*in_file(path)])}
    assert found == {}


def in_file(path: Path) -> Iterator[str]:
    for document in yaml.safe_load_all(path.read_text()):
        yield from findings(document)


def test_no_setting_of_an_overlay_is_a_secret() -> None:
    files = tracked("k8s/**/*.env")
    assert len(files) == 4
    for path in files:
        settings = [line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert all(mark == "=" for _, mark, _ in settings)
        assert [name for name, _, value in settings if SECRET_NAME.search(name) or re.search(r"://[^/]*@", value)] == []


@pytest.mark.parametrize(
    "text",
    [
        "{kind: Secret, metadata: {name: x}, stringData: {password: hunter2}}",
        "{kind: List, items: [{kind: Secret, metadata: {name: x}, data: {password: aHVudGVyMg==}}]}",
        "{kind: Pod, spec: {containers: [{env: [{name: PGPASSWORD, value: hunter2}]}]}}",
        "{kind: Kustomization, secretGenerator: [{name: x, literals: [a=b]}]}",
    ],
)
def test_a_secret_would_be_found(text: str) -> None:
    assert [*findings(yaml.safe_load(text))]
