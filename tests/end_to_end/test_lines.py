"""Two shops in one state: two lines, and neither's model is compared with the other's or put in its place."""

import subprocess

import pytest

from tests.builders import write_walks
from tests.end_to_end.conftest import CONFIG, Place, verdict
from tracking import registry
from tracking.store import connect, lines


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two files with the same ids for other users and items, and a config without a name."""
    folder = tmp_path_factory.mktemp("shops")
    for seed, name in enumerate(("shop-de", "shop-fr")):
        write_walks(folder / f"{name}.csv", seed=seed)
    (folder / "config.yaml").write_text(CONFIG.replace("name: finest\n", ""))
    return Place(folder)


def aliases(line: str) -> dict[str, str]:
    return {alias: one.version for one in registry.list_versions(line) for alias in one.aliases}


@pytest.mark.slow
def test_two_shops_are_two_lines_and_one_takes_the_others_name_by_rebase_alone(
    shops: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(shops.folder / "state"))

    def run(shop: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return shops.call("run", "--source", str(shops.folder / f"{shop}.csv"), *arguments)

    for shop in ("shop-de", "shop-fr"):
        done = run(shop)
        assert done.returncode == 0 and f"Promoted {shop} version 1 is the champion" in done.stdout, done.stderr
        assert verdict(shops.last())["ids"]["champion"] == ""
        assert (shops.folder / "state" / "checkpoints" / shop).is_dir()
    assert lines(connect()) == ["shop-de", "shop-fr"]
    found = registry.champion("shop-fr")
    assert found is not None and found.source == str(shops.folder / "shop-fr.csv")

    refused = run("shop-fr", "--name", "shop-de")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "this is not the data of the line shop-de: its champion, version 1, was trained on" in refused.stderr
    assert aliases("shop-de")["champion"] == "1"

    rebased = run("shop-fr", "--name", "shop-de", "--rebase")
    assert rebased.returncode == 0, rebased.stderr
    assert verdict(shops.last())["ids"]["champion"] == ""
    assert {alias: aliases("shop-de")[alias] for alias in ("champion", "previous")} == {
        "champion": "2",
        "previous": "1",
    }
    assert aliases("shop-fr")["champion"] == "1"
    unknown = shops.call("models", "list")
    assert (
        unknown.returncode == 1
        and "there is no line ml-100k here: there are shop-de, shop-fr (--name)" in unknown.stderr
    )
