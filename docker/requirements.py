"""Prints what an image installs: groups of pyproject.toml, one requirement a line.

The group `finest` is the library's own.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: str, groups: list[str]) -> list[str]:
    """Requirements of the groups in the text of a pyproject.toml. Raises KeyError for a group that is not there."""
    project = tomllib.loads(pyproject)["project"]
    known = {"finest": project["dependencies"], **project["optional-dependencies"]}
    return [requirement for group in groups for requirement in known[group]]


if __name__ == "__main__":
    print("\n".join(requirements(Path("pyproject.toml").read_text(), sys.argv[1:])))
