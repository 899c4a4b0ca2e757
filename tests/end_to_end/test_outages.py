"""A night whose services go away again and again ends as if they had stayed; where one stays away, in one line.

All are slow. What waits for which service, and what it says, has fast tests beside each: test_away, test_s3_away,
test_waiting.
"""

import math
import re

import pytest

from tests.end_to_end.conftest import Place, Ran
from tests.end_to_end.nights import Moment, Outages, a_night, alike, in_turn, upload
from tests.services import faults
from tests.services.outage import BUCKET, Installation

SOME: list[Moment] = [
    ("preflight", "start"),
    ("pretrain", "progress"),
    ("finetune", "progress"),
    ("gate", "start"),
    ("promote", "start"),
]
"""Of the moments that the others go through."""


@pytest.fixture(scope="module", autouse=True)
def data(place: Place, installation: Installation) -> None:
    upload(place, installation)


@pytest.mark.slow
def test_services_that_go_away_again_and_again_and_a_busy_s3_change_nothing(
    promoted: Ran, place: Place, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {moment: service for moment, service in in_turn(0).items() if moment in SOME}
    with faults.before(installation.s3.endpoint) as proxy:
        proxy.fault = faults.slow_down(0.05)
        outages = Outages(installation, 2.0, some)
        disturbed = a_night(installation, place, "disturbed", outages=outages, AWS_ENDPOINT_URL=proxy.endpoint)
    assert len(alike(disturbed, promoted, installation, monkeypatch)) >= 4

    written = [request.path for request in proxy.seen if request.method == "PUT" and ".safetensors" in request.path]
    assert len([path for path in written if "/disturbed/" in path and "/runs/" not in path]) >= 14
    assert [path for path in (installation.s3.root / BUCKET / "disturbed").rglob("*") if path.is_file()] == []
    assert not (place.folder / "disturbed" / "checkpoints").exists()
    assert list((installation.s3.root / "mlflow").rglob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize(("seconds", "first"), [(60, 1), (300, 2)])
@pytest.mark.parametrize("runner", ["subprocess", pytest.param("docker", marks=pytest.mark.docker)])
def test_they_may_be_away_for_minutes(
    promoted: Ran,
    place: Place,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    runner: str,
    seconds: int,
    first: int,
) -> None:
    if runner == "docker":
        request.getfixturevalue("steps_image")
    state, outages = f"{runner}-{seconds}", Outages(installation, seconds, in_turn(first))
    disturbed = a_night(installation, place, state, "--runner", runner, outages=outages)
    waits = alike(disturbed, promoted, installation, monkeypatch)
    print(*waits, sep="\n")
    assert len(waits) >= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "moment", "says"),
    [
        ("store", ("preflight", "start"), r"s3://finest/\S+: http\S+ cannot be reached"),
        ("mlflow", ("preflight", "start"), r"MLflow at \S+ has been away for"),
        ("store", ("pretrain", "progress"), r"s3://finest/\S+: http\S+ cannot be reached"),
        ("database", ("finetune", "start"), r"MLflow at \S+ has been away for"),
        ("mlflow", ("gate", "start"), r"MLflow at \S+ has been away for"),
        ("mlflow", ("promote", "start"), r"MLflow at \S+ has been away for"),
    ],
    ids=str,
)
def test_what_stays_away_ends_the_night_in_one_line(
    promoted: Ran, place: Place, installation: Installation, service: str, moment: Moment, says: str
) -> None:
    outages = Outages(installation, math.inf, {moment: service})
    state = f"without-{service}-in-{moment[0]}"
    night = a_night(installation, place, state, "--set", "steps.patience_minutes=0.1", outages=outages)
    said = night.process.stderr
    print(said)
    assert night.process.returncode == 1 and said.count("\n") == 1
    assert re.match(f"error: {moment[0]}: {says} .*steps.patience_minutes", said)
