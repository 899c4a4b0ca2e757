"""What the kernel says, in the files of both versions of cgroups as they were seen."""

import logging
from pathlib import Path

import psutil
import pytest

from components.memory import Memory, go_first, killed_here, look, mebibytes


def files(root: Path, folder: str, **values: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (root / folder / name.replace("__", ".")).write_text(value)


def own(folder: Path, *lines: str) -> Path:
    file = folder / "cgroup"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


KILLED = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"


def test_a_container_under_the_second_version_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    files(tmp_path / "fs", "", memory__max="629145600\n", memory__peak="629145600\n", memory__events=KILLED)
    assert look(tmp_path / "fs", own(tmp_path, "0::/")) == Memory(629145600, True, 629145600, 2)


def test_on_a_machine_the_smallest_limit_of_the_groups_around_counts(tmp_path: Path) -> None:
    files(tmp_path / "fs", "user/session", memory__max="max\n", memory__peak="5\n", memory__events=KILLED)
    files(tmp_path / "fs", "user", memory__max="1073741824\n")
    assert look(tmp_path / "fs", own(tmp_path, "0::/user/session")) == Memory(1073741824, True, 5, 2)


def test_a_container_under_the_first_version_is_named_by_a_path_that_it_does_not_have(tmp_path: Path) -> None:
    control = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
    values = {
        "memory__limit_in_bytes": "104857600\n",
        "memory__max_usage_in_bytes": "104857600\n",
        "memory__oom_control": control,
    }
    files(tmp_path / "fs", "memory", **values)
    names = own(tmp_path, "5:devices:/docker/ab", "4:memory:/docker/ab", "1:name=systemd:/docker/ab", "0::/docker/ab")
    assert look(tmp_path / "fs", names) == Memory(104857600, True, 104857600, 1)


def test_without_a_limit_there_is_what_the_machine_has(tmp_path: Path) -> None:
    files(tmp_path / "fs", "memory/all", memory__limit_in_bytes="9223372036854771712\n")
    found = look(tmp_path / "fs", own(tmp_path, "4:memory:/all"))
    assert found == Memory(psutil.virtual_memory().total, False, 0, 0)


def test_a_machine_without_any_of_it_is_no_error(tmp_path: Path) -> None:
    assert look(tmp_path / "nothing", tmp_path / "nowhere") == Memory(psutil.virtual_memory().total, False, 0, 0)
    assert look().limit > 0


@pytest.mark.parametrize(
    ("count", "text"), [(629145600, "600Mi"), (2**30, "1Gi"), (3 * 2**29, "1536Mi"), (17179869184, "16Gi")]
)
def test_bytes_are_written_as_kubernetes_takes_them(count: int, text: str) -> None:
    assert mebibytes(count) == text


def test_a_kernel_that_is_not_told_who_goes_first_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        go_first(tmp_path / "nowhere" / "oom_score_adj")
    assert "is the kernel's choice" in caplog.text


def test_what_the_kernel_has_killed_on_all_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 3\n")
    assert killed_here(tmp_path / "vmstat") == 3
    (tmp_path / "vmstat").write_text("nr_free_pages 12\n")
    assert killed_here(tmp_path / "vmstat") is killed_here(tmp_path / "nowhere") is None
