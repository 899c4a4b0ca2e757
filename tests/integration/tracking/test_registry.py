from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from finest.data.schema import Manifest
from finest.errors import FinestError
from tracking import production, promotion, registry, runs, standing, store
from tracking.outcome import outcome
from tracking.promotion import Judged

NAME = "finest-test"
Step = Callable[..., registry.Version]


@pytest.fixture
def rejected(
    state: Path,
    judged: Callable[..., Judged],
    monkeypatch: pytest.MonkeyPatch,
) -> Step:
    """The reject step of a pipeline run that registers what the gate refused."""

    def step(kfp_run: str, seed: int) -> registry.Version:
        monkeypatch.setenv("KFP_RUN_ID", kfp_run)
        runs.open_parent({}, line="finest", source="data.csv", seed=seed, tags={})
        with runs.step_run("reject") as run:
            return promotion.register_rejected(run, NAME, judged(seed, verdict="fail", reason="too unstable"))

    return step


def by_hand(version: str, force: bool = False) -> registry.Version:
    return production.make(production.promotion(NAME, version, force), "a test")


def rollback(to: str = "") -> registry.Version:
    return production.make(production.rollback(NAME, to), "a test")


def aliases() -> dict[str, tuple[str, ...]]:
    return {version.version: version.aliases for version in registry.list_versions(NAME)}


def test_the_first_candidate_that_passed_becomes_champion_and_carries_its_run(
    promoted: Step, manifest: Manifest
) -> None:
    first = promoted("run-1", 0, None)
    assert first.aliases == ("champion",)
    assert (first.kfp_run_id, first.verdict, first.data_fingerprint) == ("run-1", "pass", manifest.fingerprint)
    assert (first.rls, first.mrr, first.model, first.package) == (0.9, 0.05, "sasrec", "")
    assert outcome("run-1", NAME).promoted_version == first.version
    assert registry.champion(NAME) == first


def test_a_card_that_is_longer_than_a_server_keeps_is_cut(promoted: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "DESCRIPTION_LENGTH", 200)
    version = promoted("run-1", 0, None).version
    said = mlflow.MlflowClient(store.uri()).get_model_version(NAME, version).description
    assert said and len(said) <= 200 and said.endswith("The rest is in verdict.json and report.html.")


def test_a_rollback_goes_back_one_champion_at_a_time_and_never_to_what_it_left(promoted: Step) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    promoted("run-3", 2, "2")
    assert aliases() == {"3": ("champion",), "2": ("previous",), "1": ()}
    assert outcome("run-1", NAME).promoted_version is None
    assert rollback().version == "2"
    assert aliases() == {"3": (), "2": ("champion",), "1": ("previous",)}
    assert rollback().version == "1"
    assert aliases() == {"3": (), "2": (), "1": ("champion",)}
    with pytest.raises(FinestError, match="has no previous champion to go back to"):
        rollback()
    assert rollback("3").version == "3"
    assert aliases() == {"3": ("champion",), "2": (), "1": ()}


def test_the_champion_comes_back_as_the_model_folder_that_was_registered(
    promoted: Step, model_folder: Callable[[int], Path], tmp_path: Path
) -> None:
    registered = {path.name: path.read_bytes() for path in model_folder(5).iterdir()}
    folder = registry.download(promoted("run-1", 5, None), tmp_path / "download")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == registered


def test_a_champion_that_changed_since_the_gate_is_kept_and_the_candidate_says_why(promoted: Step) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    with pytest.raises(
        FinestError, match=r"the champion of finest-test is version 2, but the gate compared with version 1; nothing"
    ):
        promoted("run-3", 2, "1")
    with pytest.raises(FinestError, match=r"is version 2, but the gate compared with no champion"):
        promoted("run-4", 3, None)
    assert aliases() == {"4": (), "3": (), "2": ("champion",), "1": ("previous",)}
    assert "the gate compared with version 1" in registry.list_versions(NAME)[1].refused


def test_a_package_that_does_not_serve_the_judged_lists_is_not_promoted(promoted: Step) -> None:
    promoted("run-1", 0, None)
    with pytest.raises(FinestError, match=r"does not serve what was judged: 3 of 3 lists differ"):
        promoted("run-2", 1, "1", lists=7)
    assert aliases() == {"2": (), "1": ("champion",)}
    with pytest.raises(
        FinestError, match=r"version 2 of finest-test stays out of production: the package does not serve"
    ):
        by_hand("2")


def test_a_refused_promotion_that_is_tried_again_registers_nothing_more(promoted: Step) -> None:
    promoted("run-1", 0, None)
    for _ in range(2):
        with pytest.raises(FinestError, match="does not serve what was judged"):
            promoted("run-2", 1, "1", lists=7)
    assert list(aliases()) == ["2", "1"]
    assert promoted("run-2", 1, "1").refused == ""
    assert aliases() == {"2": ("champion",), "1": ("previous",)}


def test_a_retried_promotion_that_had_got_through_registers_nothing_more(promoted: Step) -> None:
    first = promoted("run-1", 0, None)
    assert promoted("run-1", 0, None) == first
    assert list(aliases()) == ["1"]


def test_a_rejected_candidate_is_challenger_and_needs_force_to_become_champion(promoted: Step, rejected: Step) -> None:
    promoted("run-1", 0, None)
    assert rejected("run-2", 1).aliases == ("challenger",)
    with pytest.raises(
        FinestError, match=r"version 2 of finest-test stays out of production: its verdict is fail; --force"
    ):
        by_hand("2")
    assert aliases() == {"2": ("challenger",), "1": ("champion",)}
    by_hand("2", force=True)
    assert aliases() == {"2": ("champion",), "1": ("previous",)}


def test_a_challenger_goes_where_a_later_candidate_is_champion_and_a_later_challenger_stays(
    promoted: Step, rejected: Step
) -> None:
    promoted("run-1", 0, None)
    rejected("run-2", 1)
    promoted("run-3", 2, "1")
    assert aliases() == {"3": ("champion",), "2": (), "1": ("previous",)}
    rejected("run-4", 3)
    rollback()
    assert aliases() == {"4": ("challenger",), "3": (), "2": (), "1": ("champion",)}


def test_a_retried_refusal_does_not_make_the_champion_challenger_again(promoted: Step, rejected: Step) -> None:
    promoted("run-1", 0, None)
    rejected("run-2", 1)
    by_hand("2", force=True)
    assert rejected("run-2", 1).aliases == ("champion",)


def test_what_an_earlier_release_or_a_kill_has_left_is_mended_by_whoever_comes_next(
    promoted: Step, rejected: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both aliases on one version: as releases before left every champion, and as a kill between two writes does."""
    promoted("run-1", 0, None)
    store.connect().set_registered_model_alias(NAME, "challenger", "1")
    assert standing.stand(NAME).stale and not standing.stand(NAME).unfinished
    standing.check(NAME)
    assert aliases() == {"1": ("champion",)}
    store.connect().set_registered_model_alias(NAME, "challenger", "1")
    production.repair(NAME)
    assert aliases() == {"1": ("champion",)}
    rejected("run-2", 1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            mlflow.MlflowClient, "delete_registered_model_alias", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        by_hand("2", force=True)
    assert aliases()["2"] == ("champion", "challenger") and standing.stand(NAME).unfinished
    standing.check(NAME)
    assert aliases() == {"2": ("champion",), "1": ("previous",)} and not standing.stand(NAME).unfinished


def test_a_version_that_passed_is_promoted_by_hand_once(promoted: Step) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    assert by_hand("1").aliases == ("champion",)
    with pytest.raises(FinestError, match="is the champion already"):
        by_hand("1")
    for missing in ("9", "best"):
        with pytest.raises(FinestError, match=f"finest-test has no version {missing}"):
            by_hand(missing)


def test_rollback_without_a_champion_or_a_previous_one_says_what_to_do(promoted: Step) -> None:
    with pytest.raises(FinestError, match="has no champion to roll back"):
        rollback()
    assert registry.champion(NAME) is None and registry.list_versions(NAME) == []
    promoted("run-1", 0, None)
    with pytest.raises(FinestError, match="has no previous champion to go back to"):
        rollback()


@pytest.mark.parametrize("survives", [0, 1])
def test_a_crash_between_alias_writes_never_leaves_production_without_a_champion(
    promoted: Step, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    promoted("run-3", 2, "2")
    real = mlflow.MlflowClient.set_registered_model_alias
    written: list[tuple[str, ...]] = []

    def crash(client: mlflow.MlflowClient, name: str, alias: str, version: str) -> None:
        if len(written) == survives:
            raise KeyboardInterrupt
        written.append((name, alias, version))
        real(client, name, alias, version)

    moves: list[tuple[Callable[[], object], str, str]] = [(rollback, "3", "2"), (lambda: by_hand("3"), "2", "3")]
    for move, before, after in moves:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            written.clear()
            patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", crash)
            move()
        now = standing.stand(NAME)
        assert now.served == (after if survives else before) and now.champion == after and now.unfinished
        assert standing.check(NAME).served == after and aliases()[after][0] == "champion"
        assert production.problems(NAME) == [
            f"version {after} of {NAME}: its run run-{after} has no verdict.json any more"
        ]
