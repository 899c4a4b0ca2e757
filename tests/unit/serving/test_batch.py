import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.models.config import SASRecConfig
from finest.models.registry import build
from finest.models.saved import Facts, load, recommend, save
from finest.serving.batch import CURRENT, MANIFEST, PROGRESS, Batch, Shelf, serve
from finest.serving.lists import METADATA_KEY, Of
from finest.serving.users import Users, everybody, of_file
from storage import FolderStore
from tests.builders import random_dataset, stored

CONFIG = SASRecConfig(hidden_size=8, num_layers=1, max_length=10)


@dataclass(frozen=True)
class World:
    """A model, a data set with items and users that it does not know, and a folder for lists."""

    folder: Path
    data: Dataset
    users_a_file: int = 20

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def batch(
        self,
        users: Users | None = None,
        may_move: Callable[[], None] = lambda: None,
        report: Callable[[int], None] = lambda there: None,
        **of: object,
    ) -> Batch:
        users = users or everybody(len(self.data.user_ids))
        said = Of.model_validate(
            {"line": "shop", "version": "7", "verdict": "ab" * 32, "data_fingerprint": "cd" * 32, "k": 5}
            | {"users": users.digest, "users_a_file": self.users_a_file}
            | of
        )
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        shelf = Shelf(FolderStore(self.out), str(self.out), scratch)
        return serve(self.folder / "model", self.folder / "data", said, users, shelf, 1, report, may_move)

    def files(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.out)): file.read_bytes() for file in self.out.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder, random_dataset(users=90, items=60))
    stored(world.data, folder / "data")
    model = build(CONFIG, 50)
    model.initialise(0)
    known = [*world.data.item_ids[1:50].tolist(), "sold out"]
    facts = Facts(model=CONFIG, seed=0, data_fingerprint="x", depth=10, exclude_seen=True, stage="tuned")
    save(folder / "model", model, facts, ["", *known])
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(made.folder / name)
    return World(tmp_path, made.data)


def test_lists_are_those_of_the_served_model_in_files_that_say_of_what_they_are(world: World) -> None:
    done = world.batch()
    assert (done.made, done.made_rows, done.moved, done.manifest.users) == (5, 90, True, 90)
    assert set(world.files()) == {CURRENT, *(f"{done.folder}/{name}" for name in [MANIFEST, *done.manifest.files])}
    files = [pq.read_table(world.out / done.folder / name) for name in done.manifest.files]
    rows = [row for file in files for row in file.to_pylist()]
    assert [row["user_id"] for row in rows] == world.data.user_ids.tolist()
    histories = [world.data.target_ids[world.data.user == user].tolist() for user in range(90)]
    items, scores = recommend(load(world.folder / "model"), histories, 5)
    assert [row["items"] for row in rows] == items and [row["scores"] for row in rows] == scores
    assert all(not set(row["items"]) & set(history) for row, history in zip(rows, histories, strict=True))
    for file in files:
        assert Of.model_validate_json(file.schema.metadata[METADATA_KEY]) == done.manifest.of
    pointer = json.loads((world.out / CURRENT).read_text())
    assert pointer["folder"] == done.folder and pointer["of"]["verdict"] == "ab" * 32


def test_a_batch_that_is_there_is_left_alone(world: World) -> None:
    first = world.batch()
    before = {path: path.stat().st_mtime_ns for path in world.out.rglob("*")}
    again = world.batch()
    assert (again.made, again.moved, again.manifest) == (0, False, first.manifest)
    assert {path: path.stat().st_mtime_ns for path in world.out.rglob("*")} == before


class StoppedError(Exception):
    """Stands for the end of the process."""


def test_a_batch_goes_on_where_it_was_stopped_and_ends_with_the_same_files(world: World, tmp_path: Path) -> None:
    world.batch()
    whole = {name: content for name, content in world.files().items() if "part-" in name}
    world.out.rename(tmp_path / "whole")

    def stop(there: int) -> None:
        if there > 30:
            raise StoppedError

    with pytest.raises(StoppedError):
        world.batch(report=stop)
    assert not (world.out / CURRENT).exists() and len(list(world.out.rglob("part-*"))) == 2
    folder = next(world.out.iterdir())
    assert (folder / PROGRESS).exists() and not (folder / MANIFEST).exists()
    done = world.batch()
    assert done.made == 3 and {name: one for name, one in world.files().items() if "part-" in name} == whole
    assert not (folder / PROGRESS).exists()


@pytest.mark.parametrize("over", [False, True], ids=["half", "over"])
@pytest.mark.parametrize("damage", [b"", b"PAR1", None], ids=["empty", "cut", "gone"])
def test_what_was_damaged_is_made_again_and_nothing_else(world: World, damage: bytes | None, over: bool) -> None:
    first = world.batch()
    before = world.files()
    part = world.out / first.folder / "part-00001.parquet"
    if not over:
        manifest = json.loads((world.out / first.folder / MANIFEST).read_text())
        (world.out / first.folder / PROGRESS).write_text(json.dumps({key: manifest[key] for key in ("of", "files")}))
        (world.out / first.folder / MANIFEST).unlink()
    if damage is None:
        part.unlink()
    else:
        part.write_bytes(damage)
    assert world.batch().made == 1
    after = world.files()
    kept = set(before) if over else {name for name in before if "part-" in name}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"of": 1}', '{"files": {"part-00000.parquet": {}}}', "\x00"])
def test_a_manifest_or_progress_that_says_nothing_costs_the_work_alone(world: World, text: str) -> None:
    first = world.batch()
    parts = {name: content for name, content in world.files().items() if "part-" in name}
    for name in (MANIFEST, PROGRESS):
        (world.out / first.folder / name).write_text(text)
    assert world.batch().made == 5
    assert {name: content for name, content in world.files().items() if "part-" in name} == parts


def test_what_is_other_has_a_folder_of_its_own_and_the_old_one_stays(world: World) -> None:
    folders = {world.batch().folder}
    before = world.files()
    for other in ({"version": "8"}, {"k": 4}, {"data_fingerprint": "ef" * 32}, {"verdict": ""}, {"users_a_file": 50}):
        done = world.batch(**other)
        folders.add(done.folder)
        assert done.moved and json.loads((world.out / CURRENT).read_text())["folder"] == done.folder
    assert len(folders) == 6
    assert {name: content for name, content in world.files().items() if name in before and name != CURRENT} == {
        name: content for name, content in before.items() if name != CURRENT
    }
    assert not world.batch().made and json.loads((world.out / CURRENT).read_text())["folder"].startswith("7-")


def test_the_pointer_stays_where_the_champion_has_moved_meanwhile(world: World) -> None:
    world.batch()
    before = (world.out / CURRENT).read_bytes()

    def refuse() -> None:
        raise FinestError("another champion")

    with pytest.raises(FinestError, match="another champion"):
        world.batch(version="8", may_move=refuse)
    assert (world.out / CURRENT).read_bytes() == before
    assert world.batch(version="8").made == 0


def test_a_place_of_another_line_or_of_a_choice_of_users_is_left_alone(world: World) -> None:
    world.batch()
    before = world.files()
    with pytest.raises(FinestError, match="those of the line shop, not of other; give each line a folder of its own"):
        world.batch(line="other")
    (world.folder / "some.txt").write_text("u003\nnobody\n")
    some = of_file(world.folder / "some.txt", world.folder / "data", world.folder)
    with pytest.raises(FinestError, match="expects those of all users; give those of some of them another folder"):
        world.batch(some)
    (world.out / CURRENT).write_text('{"folder": "mine"}')
    with pytest.raises(FinestError, match=r"current.json there is not what finest writes \(manifest: is missing\)"):
        world.batch()
    (world.out / CURRENT).write_bytes(before[CURRENT])
    assert world.files() == before


def test_who_is_asked_for_and_not_known_has_an_empty_list(world: World) -> None:
    (world.folder / "some.txt").write_text("u089\nnobody\nu003\nzoe\n")
    some = of_file(world.folder / "some.txt", world.folder / "data", world.folder)
    done = world.batch(some, users_a_file=3)
    files = [pq.read_table(world.out / done.folder / name).to_pylist() for name in done.manifest.files]
    assert [[(row["user_id"], len(row["items"])) for row in file] for file in files] == [
        [("u003", 5), ("u089", 5), ("nobody", 0)],
        [("zoe", 0)],
    ]
    assert (done.manifest.users, done.manifest.unknown_users) == (4, 2)


def test_lists_are_as_long_as_there_are_items(world: World) -> None:
    done = world.batch(k=1000)
    rows = pq.read_table(world.out / done.folder / "part-00000.parquet").to_pylist()
    known = set(world.data.item_ids[1:50])
    had = [len(known & {*world.data.target_ids[world.data.user == user]}) for user in range(20)]
    assert [len(row["items"]) for row in rows] == [50 - number for number in had]
