"""What steps in containers see of this machine, and what they do not; no engine is asked."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.events import Event, Kind
from components.orphan import VARIABLE
from finest.errors import ConfigError, FinestError
from pipeline import containers
from pipeline.config import Config
from pipeline.local import _silent, without_a_word
from pipeline.state import State

IMAGE = containers.Image("finest:1", "sha256:0123", "", "10001:10001", gpu=False)


def arguments(source: str, folder: Path, image: containers.Image = IMAGE) -> dict[str, Any]:
    return containers.arguments(Config(source=source), folder, folder / "runs" / "run-1", image)


@pytest.mark.parametrize("source", ["data.csv", "~/data", "/data/it's here.csv"])
def test_a_source_of_this_machine_keeps_its_full_path(source: str) -> None:
    assert containers.local_path(source) == Path(source).expanduser().absolute()


@pytest.mark.parametrize(
    ("source", "path"), [("file:///data/a%20b.csv", Path("/data/a b.csv")), ("s3://bucket/data", None), ("", None)]
)
def test_a_uri_is_of_this_machine_only_where_it_names_a_file(source: str, path: Path | None) -> None:
    assert containers.local_path(source) == path


def test_only_what_steps_need_of_the_environment_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MLFLOW_TRACKING_URI",
        "AWS_ACCESS_KEY_ID",
        "AWS_ENDPOINT_URL",
        "AZURE_STORAGE_CONNECTION_STRING",
        "STORAGE_EMULATOR_HOST",
        "GOOGLE_CLOUD_PROJECT",
        "OMP_NUM_THREADS",
        "https_proxy",
        "FINEST_WEBHOOK",
    ):
        monkeypatch.setenv(name, f"value of {name}")
    for name in ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AZURE_FEDERATED_TOKEN_FILE", "FINEST_CACHE", VARIABLE):
        monkeypatch.setenv(name, "of this side of the wall")
    for name in ("GITHUB_TOKEN", "PYTHONPATH"):
        monkeypatch.setenv(name, "of this side of the wall")
    passed = arguments("s3://bucket/data", tmp_path)["environment"]
    assert passed["AWS_ENDPOINT_URL"] == "value of AWS_ENDPOINT_URL" and passed["https_proxy"] == "value of https_proxy"
    assert {"MLFLOW_TRACKING_URI", "AWS_ACCESS_KEY_ID", "OMP_NUM_THREADS", "FINEST_WEBHOOK"} <= passed.keys()
    assert {"AZURE_STORAGE_CONNECTION_STRING", "STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"} <= passed.keys()
    assert "of this side of the wall" not in passed.values()


def test_the_file_of_googles_credentials_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    (tmp_path / "key.json").write_text("{}")
    given = arguments("gs://bucket/data", tmp_path)
    inside = given["environment"]["GOOGLE_APPLICATION_CREDENTIALS"]
    assert {"Source": str(tmp_path / "key.json"), "Target": inside}.items() <= given["mounts"][-1].items()


def test_a_webhook_is_passed_on_under_whatever_name_the_config_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_URL", "https://chat/x")
    config = Config(source="s3://bucket/data", notify={"webhook_variable": "CHAT_URL"})
    passed = containers.arguments(config, tmp_path, tmp_path / "runs" / "run-1", IMAGE)["environment"]
    assert passed["CHAT_URL"] == "https://chat/x"


def test_steps_know_their_run_their_state_and_their_image(tmp_path: Path) -> None:
    passed = arguments("s3://bucket/data", tmp_path)
    assert (
        passed["environment"].items()
        >= {"KFP_RUN_ID": "run-1", "FINEST_STATE": str(tmp_path), "IMAGE_DIGEST": "sha256:0123"}.items()
    )
    assert passed["labels"] == {"finest.state": str(tmp_path), "finest.run": "run-1"}


@pytest.mark.parametrize(("memory", "size"), [("600Mi", 629145600), ("3Gi", 3 * 2**30), ("2G", 2 * 10**9), ("", None)])
def test_a_containers_memory_is_what_was_asked_for_and_no_swap_beside_it(
    tmp_path: Path, memory: str, size: int | None
) -> None:
    passed = arguments("s3://bucket/data", tmp_path, replace(IMAGE, memory=memory))
    assert (passed["mem_limit"], passed["memswap_limit"]) == (size, size)


def test_memory_that_is_no_quantity_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="--memory 3GB: must be bytes as Kubernetes writes them, like 600Mi or 10Gi"):
        containers.find(None, "3GB")


def test_steps_may_write_to_the_state_and_not_to_the_source_nor_anywhere_else(tmp_path: Path) -> None:
    (data := tmp_path / "data.csv").write_text("")
    passed = arguments(str(data), tmp_path / "state")
    state = str(tmp_path / "state")
    assert {mount["Target"]: (mount["Source"], mount["ReadOnly"]) for mount in passed["mounts"]} == {
        state: (state, False),
        "/tmp": (f"{state}/runs/run-1/tmp", False),
        str(data): (str(data), True),
    }
    assert passed["read_only"] and passed["cap_drop"] == ["ALL"] and passed["security_opt"] == ["no-new-privileges"]


def test_a_gpu_is_asked_for_where_the_engine_has_one(tmp_path: Path) -> None:
    gpu = containers.Image("finest:1-gpu", "", "", "10001:10001", gpu=True)
    assert arguments("s3://bucket/data", tmp_path)["device_requests"] == []
    asked = arguments("s3://bucket/data", tmp_path, gpu)["device_requests"]
    assert [(request["Count"], request["Capabilities"]) for request in asked] == [(-1, [["gpu"]])]


def test_root_lends_steps_the_images_user_and_anybody_else_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert (
        containers._user("finest:1", "10001") == "10001:10001" and containers._user("finest:1", "10001:5") == "10001:5"
    )
    for root in ("", "root", "0", "0:0", "worker"):
        with pytest.raises(ConfigError, match="USER 10001:10001"):
            containers._user("finest:1", root)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 100)
    assert containers._user("finest:1", "") == "1000:100"


def test_a_relative_source_is_written_down_with_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = State(tmp_path / "state")
    prepared = containers.prepare(Config(source="data.csv"), state, state.new_run(), f"{os.getuid()}:{os.getgid()}")
    assert prepared.source == str(tmp_path / "data.csv")


def test_without_an_engine_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(FinestError, match="no Docker engine answers") as error:
        containers.find(None)
    assert "\n" not in str(error.value) and "DOCKER_HOST" in str(error.value)


def event(kind: Kind, step: str, time: float, text: str = "") -> Event:
    return Event(kind=kind, step=step, time=time, text=text)


HOW = without_a_word(None, None)


@pytest.mark.parametrize(
    ("killed", "since", "said"),
    [(None, 3, "most often"), (3, None, "most often"), (3, 3, "nothing for want of memory"), (3, 4, "most likely")],
)
def test_how_a_step_ended_that_says_nothing_is_what_the_kernel_counts(
    killed: int | None, since: int | None, said: str
) -> None:
    assert said in without_a_word(killed, since)


def test_a_step_that_was_killed_is_named_and_not_the_one_that_missed_its_outputs() -> None:
    said = [
        event("finish", "ingest", 1),
        event("progress", "pretrain", 5),
        event("failure", "finetune", 9, "no such file"),
    ]
    found = _silent(said, said[-1], broke_off=True, how=HOW)
    assert found is not None and found.step == "pretrain" and found.text == HOW


def test_a_step_that_said_why_it_failed_is_named_though_another_was_cut_off_later() -> None:
    failure = event("failure", "pretrain", 5, "the disk is full")
    assert _silent([failure, event("progress", "finetune", 9)], failure, broke_off=True, how=HOW) is None


def test_a_run_that_broke_off_between_steps_is_nobodys_failure() -> None:
    found = _silent([event("finish", "ingest", 1)], None, broke_off=True, how=HOW)
    assert found is not None and found.step == "run"
    assert _silent([event("finish", "notify", 1)], None, broke_off=False, how=HOW) is None


def test_a_last_step_that_ends_without_a_word_is_a_failure_though_the_run_is_none() -> None:
    found = _silent([event("finish", "recommend", 1), event("start", "notify", 2)], None, broke_off=False, how=HOW)
    assert found is not None and found.step == "notify" and found.text == HOW
