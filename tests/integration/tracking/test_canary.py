"""Real packages in real processes, behind a real server: good ones, and such that somebody has spoilt."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from finest.data import dataset
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.source import SourceFile
from finest.errors import FinestError
from finest.models import manifest as manifests
from finest.models import saved
from finest.models.registry import build
from finest.ranklists import champion
from finest.ranklists import file as list_file
from tests.builders import ODD_IDS
from tests.integration.tracking import conftest
from tests.integration.tracking.conftest import NAME
from tracking import ledger, production, promotion, registry, runs, store
from tracking import sample as samples
from tracking.canary import timing
from tracking.canary.bounds import Bounds
from tracking.canary.check import check
from tracking.canary.version import tried
from tracking.promotion import Judged
from tracking.sample import Sample

WRAPPED = """
import os, subprocess, sys, threading, time
{before}
_real = ServedModel.predict
def _changed(self, context, model_input, params=None):
    answer = None
    {instead}
    answer = _real(self, context, model_input, params)
    {after}
    return answer
ServedModel.predict = _changed
"""
"""Stands in a spoilt package before the model is set."""
SERVING = '"__pyfunc_model_path__" in os.environ'
"""True in a package behind `mlflow models serve`."""
Spoil = Callable[..., Path]
Step = Callable[..., registry.Version]
UNBOUND = partial(tried, bounds=Bounds())


@pytest.fixture
def package(state: Path, judged: Callable[..., Judged], tmp_path: Path) -> Path:
    """A good package, as it is downloaded."""
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    with runs.step_run("promote") as run:
        version = promotion.register(run, NAME, judged(0))
    return registry.package(version, tmp_path / "download")


@pytest.fixture
def sample(package: Path) -> Sample:
    return samples.read(package / "artifacts" / manifests.JUDGED)


@pytest.fixture
def spoilt(package: Path, tmp_path: Path) -> Spoil:
    """Returns a copy of the package with other code, packed as if it had always been so."""

    def spoil(before: str = "", instead: str = "pass", after: str = "pass") -> Path:
        folder = tmp_path / "spoilt"
        shutil.copytree(package, folder)
        code = folder / "served_model.py"
        inserted = WRAPPED.format(before=before, instead=instead, after=after)
        code.write_text(code.read_text().replace("mlflow.models.set_model(", f"{inserted}\nmlflow.models.set_model("))
        return packed(folder)

    return spoil


def packed(package: Path) -> Path:
    """Writes the manifest of a package that was changed."""
    manifest = manifests.PackageManifest.model_validate_json((package / manifests.NAME).read_bytes())
    manifests.write(package, manifest.model_copy(update={"files": manifests.digests(package)}))
    return package


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a canary has started has ended with it, and its folders are gone."""
    place = tmp_path / "canaries"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    wait_for(lambda: not any(str(place) in str(one.info) for one in psutil.process_iter(["cmdline", "environ"])))
    assert not list(place.iterdir())


def refused(package: Path, sample: Sample, champion: Path | None = None, **bounds: object) -> str:
    with pytest.raises(FinestError, match=r"^the canary refuses the package: ") as caught:
        check(package, Bounds(**bounds), sample, champion)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_good_package_passes_and_is_measured_and_nothing_is_written_into_it(
    package: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*")}
    monkeypatch.chdir(Path(__file__).parents[3])  # the checkout, whose finest must not be what serves
    measured = check(package, Bounds(max_slowdown=5.0), sample, package)
    assert 0 < measured.p50_ms <= measured.p95_ms and measured.load_s > 0.1 and 100 < measured.memory_mb < 2000
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*")} == before


def test_ids_of_any_text_go_through_ingest_lists_and_package_as_they_are(
    state: Path, judged: Callable[..., Judged], tmp_path: Path
) -> None:
    ids = [*ODD_IDS, "ends in\r\n"]
    turned = [ids[place:] + ids[:place] for place in range(len(ids))]
    rows = [(items[0], item, time) for items in turned for time, item in enumerate(items)]
    source = tmp_path / "rows.parquet"
    columns = zip(("user_id", "item_id", "timestamp"), zip(*rows, strict=True), strict=True)
    pq.write_table(pa.table(dict(columns)), source)
    config = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}})
    files = [SourceFile(str(source), source.stat().st_size, "")]
    ingest(pafs.LocalFileSystem(), files, config, tmp_path / "data", threads=1)
    data = dataset.load(tmp_path / "data")
    assert set(data.user_ids) == set(data.item_ids[1:]) == set(ids)

    facts = saved.read_facts(judged(0).model).model_copy(update={"exclude_seen": False})
    model = build(facts.model, data.items)
    model.initialise(0, scale=0.5)
    saved.save(tmp_path / "model", model, facts, list(data.item_ids))
    champion.write_cut(data, tmp_path / "model")
    lists, _ = champion.score(tmp_path / "model", data, "1")
    list_file.write(lists, tmp_path / "champion.parquet")
    lists = list_file.read(tmp_path / "champion.parquet")
    assert set(lists.user) == set(ids) >= set(lists.target)
    sample = samples.take(lists, data)
    assert saved.recommend(saved.load(tmp_path / "model"), sample.histories, 10)[0] == sample.items

    runs.open_parent({}, line="finest", source=str(source), seed=0, tags={})
    with runs.step_run("promote") as run:
        version = promotion.register(run, NAME, replace(judged(0), model=tmp_path / "model", sample=sample))
    assert check(registry.package(version, tmp_path / "download"), Bounds(), sample).p50_ms > 0


def test_a_package_of_earlier_versions_without_judged_lists_is_tried_too(package: Path) -> None:
    assert check(package, Bounds(), Sample([], [], [])).p50_ms > 0


def test_other_lists_than_the_judged_ones_are_refused(package: Path, sample: Sample) -> None:
    other = Sample(sample.histories, sample.items, [[2 * one for one in row] for row in sample.scores])
    assert "does not serve what was judged: 1 of 1 lists differ in batches of 1, instance 0" in refused(package, other)


def test_a_package_that_does_not_load_says_why(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt("raise RuntimeError('no such luck')"), sample)
    assert said.endswith("the canary ended with exit code 1: RuntimeError: no such luck")


def test_a_package_without_its_own_code_is_not_served_by_the_checkouts(package: Path, sample: Sample) -> None:
    shutil.rmtree(package / "code" / "finest")
    said = refused(packed(package), sample)
    assert "No module named 'finest" in said or "took finest from outside of the package" in said


def test_a_package_whose_code_comes_from_elsewhere_is_refused(package: Path, sample: Sample, tmp_path: Path) -> None:
    shutil.copytree(package / "code", tmp_path / "elsewhere")
    code = package / "served_model.py"
    code.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path / 'elsewhere')!r})\n{code.read_text()}")
    assert "took finest from outside of the package" in refused(packed(package), sample)


def test_a_package_that_hangs_is_given_up(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt("time.sleep(1000)"), sample, patience_s=3.0)
    assert "hangs: it took over 3 s to load" in said


def test_a_package_that_hangs_over_a_request_is_given_up(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt(instead="time.sleep(1000 * (len(model_input) == 7))"), sample_of(21, sample), patience_s=30.0)
    assert "hangs: it took over 30 s to answer" in said


def sample_of(instances: int, sample: Sample) -> Sample:
    """A sample of so many instances, the same ones again and again."""
    times = instances // len(sample.histories)
    return Sample(sample.histories * times, sample.items * times, sample.scores * times)


def test_a_package_that_eats_memory_is_ended_before_it_has_it_all(spoilt: Spoil, sample: Sample) -> None:
    eats = "eaten = []\nwhile len(eaten) < 40:\n    eaten.append(b'x' * 100_000_000)\n    time.sleep(0.05)"
    said = refused(spoilt(eats), sample, max_memory_mb=700.0)
    assert "takes" in said and said.endswith("promote.max_memory_mb is 700")
    taken = int(said.partition("takes ")[2].partition(" MB")[0].replace(",", ""))
    assert 700 < taken < 3500


def test_a_package_that_a_signal_ends_says_so(spoilt: Spoil, sample: Sample) -> None:
    assert "the canary was killed by SIGKILL" in refused(spoilt(instead="os.kill(os.getpid(), 9)"), sample)


def test_a_package_that_serves_nan_is_refused(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt(after="answer['scores'] = [[float('nan')] * len(row) for row in answer['scores']]"), sample)
    assert "scores that are no finite numbers: [nan" in said


def test_a_package_that_serves_an_item_twice_is_refused(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt(after="answer['items'] = [row[:1] * len(row) for row in answer['items']]"), sample)
    assert "a list that it serves has an item twice" in said


def test_other_lists_over_http_are_refused(spoilt: Spoil, sample: Sample) -> None:
    swapped = f"answer['items'] = [row[::-1] if {SERVING} else row for row in answer['items']]"
    assert "over HTTP, it does not serve what was judged: 3 of 3 lists" in refused(spoilt(after=swapped), sample)


def test_a_server_that_garbage_ends_is_refused(spoilt: Spoil, sample: Sample) -> None:
    dies = f"if {SERVING} and 'k' in model_input and min(model_input['k']) < 1: os._exit(3)"
    said = refused(spoilt(instead=dies), sample)
    assert "over HTTP, the canary's HTTP server" in said and ("exit code 3" in said or "broke the connection" in said)


def test_a_server_that_never_starts_is_given_up(spoilt: Spoil, sample: Sample) -> None:
    said = refused(spoilt(f"if {SERVING}: raise RuntimeError('not here')"), sample)
    assert "the canary's HTTP server ended with exit code 1" in said and "not here" in said


def test_a_package_that_is_slow_beside_the_champion_is_refused(
    spoilt: Spoil, package: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "TIMED", 20)
    said = refused(spoilt(instead="time.sleep(0.2)"), sample, package, max_slowdown=2.0)
    assert "the median answer takes 2" in said and "the champion's beside it" in said and "measured 3 times" in said


def test_a_package_that_needs_what_is_not_installed_is_refused_before_it_is_loaded(
    package: Path, sample: Sample
) -> None:
    with (package / "requirements.txt").open("a") as file:
        file.write("\nno-such-package-here==1.0\n")
    said = refused(package, sample)
    assert "requires no-such-package-here==1.0, and no no-such-package-here is installed: run this with" in said


def test_a_champion_that_cannot_be_tried_is_not_the_candidates_fault(
    spoilt: Spoil, package: Path, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    check(package, Bounds(max_slowdown=1.1), sample, spoilt("raise RuntimeError('the old one')"))
    assert "not compared with the champion" in caplog.text and "the old one" in caplog.text


def test_a_package_learns_no_credentials(
    spoilt: Spoil, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    seen = tmp_path / "seen"
    spy = f"with open({str(seen)!r}, 'a') as file: file.write(str(dict(os.environ)))"
    check(spoilt(spy), Bounds(), sample)
    assert "__pyfunc_model_path__" in seen.read_text() and "hunter2" not in seen.read_text()


def test_what_a_package_prints_and_starts_does_no_harm(spoilt: Spoil, sample: Sample) -> None:
    starts = "subprocess.Popen(['sleep', '1000']); print('a word')\nos.write(1, b'another\\n')"
    check(spoilt(starts, instead="print('{\"items\": []}', flush=True)"), Bounds(), sample)


def test_a_canary_whose_step_is_killed_leaves_nothing(spoilt: Spoil, sample: Sample, tmp_path: Path) -> None:
    hangs = spoilt(f"if not {SERVING}: time.sleep(1000)")
    program = (
        "import sys; from pathlib import Path; from tracking.canary.check import check; "
        "from tracking.canary.bounds import Bounds; from tracking.sample import Sample; "
        "check(Path(sys.argv[1]), Bounds(), Sample([], [], []))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(tmp_path)}
    step = subprocess.Popen([sys.executable, "-c", program, str(hangs)], env=environment)

    def started() -> list[psutil.Process]:
        return list(psutil.Process(step.pid).children(recursive=True))

    wait_for(lambda: any("uvicorn" in " ".join(one.cmdline()) for one in started()))
    children = started()
    assert len(children) >= 3
    step.send_signal(signal.SIGKILL)
    step.wait()
    wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children))


def wait_for(over: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not over():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_pip_says_what_it_cannot_install(package: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = refused(package, sample, environment="virtualenv")
    assert "the package's requirements cannot be installed: ERROR: No matching distribution found for" in said


@pytest.mark.slow
def test_a_package_passes_in_an_environment_of_its_own(package: Path, sample: Sample) -> None:
    assert check(package, Bounds(environment="virtualenv"), sample).p50_ms > 0


def test_a_promotion_tries_what_it_has_registered_and_says_what_that_takes(
    promoted: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "in_process", UNBOUND)
    made = promoted("run-1", 0, None)
    client = store.connect()
    tags = client.get_model_version(NAME, made.version).tags
    names = {f"canary/{name}" for name in ("load_s", "p50_ms", "p95_ms", "memory_mb")}
    assert names == {name for name in tags if name.startswith("canary/")} and made.aliases[0] == "champion"
    logged = client.search_runs([client.get_run(made.mlflow_run_id).info.experiment_id], "tags.step = 'promote'")
    assert all(names <= run.data.metrics.keys() for run in logged) and logged


def test_a_promotion_that_the_canary_refuses_moves_nothing_and_says_why(
    promoted: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = promoted("run-1", 0, None)
    monkeypatch.setattr(conftest, "in_process", partial(tried, bounds=Bounds(max_memory_mb=50.0)))
    with pytest.raises(FinestError, match=r"the canary refuses the package: the canary takes \d+ MB and more, and"):
        promoted("run-2", 1, "1")
    assert registry.champion(NAME) == registry.get(NAME, first.version)
    assert "promote.max_memory_mb is 50" in registry.get(NAME, "2").refused and not registry.get(NAME, "2").verified
    last = ledger.read(NAME).written[-1].entry
    assert last and (last.kind, last.to_version) == ("refusal", "2") and "promote.max_memory_mb is 50" in last.why


def test_a_rollback_by_hand_tries_the_version_first_also_where_the_champion_was_deleted(promoted: Step) -> None:
    for number in range(4):
        promoted(f"run-{number + 1}", number, str(number) if number else None)
    store.connect().delete_model_version(NAME, "4")
    began = time.monotonic()
    back = production.make(production.rollback(NAME, "1"), "a test", UNBOUND)
    assert back.version == "1" and back.aliases[0] == "champion" and time.monotonic() - began < 60
    assert float(store.connect().get_model_version(NAME, "1").tags["canary/p50_ms"]) > 0


def test_a_move_by_hand_to_what_the_canary_refuses_needs_force_and_the_ledger_says_so(promoted: Step) -> None:
    for number in range(2):
        promoted(f"run-{number + 1}", number, str(number) if number else None)
    tight = partial(tried, bounds=Bounds(max_memory_mb=50.0))
    moves = ((production.rollback, ""), (production.promotion, "1"))
    for plan, version in moves:
        with pytest.raises(FinestError, match=r"version 1 of finest-test stays out of production: the canary.*--force"):
            production.make(plan(NAME, version), "a test", tight)
    assert ledger.read(NAME).champion == "2"
    production.make(production.rollback(NAME, force=True), "a test", tight)
    entry = ledger.read(NAME).written[-1].entry
    assert entry and entry.forced and entry.to_version == "1"
    assert "forced although the canary refuses the package" in entry.why and "max_memory_mb" in entry.why


def test_a_damaged_package_goes_nowhere_even_by_force(promoted: Step, state: Path) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    stored = list((state / "mlflow").rglob(manifests.NAME))
    for file in stored:
        (file.parent / "requirements.txt").write_text("")
    with pytest.raises(FinestError, match="version 1 of finest-test is damaged"):
        production.make(production.rollback(NAME, force=True), "a test", UNBOUND)
    assert ledger.read(NAME).champion == "2"
