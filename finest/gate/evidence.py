"""The rank lists that a verdict is based on: found, checked to belong together, and looked up by what they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from finest import tree
from finest.errors import DataError
from finest.gate import belonging
from finest.gate.listed import Listed, kept
from finest.gate.roles import BASELINES, Need, Slot, missing
from finest.ranklists import file
from finest.ranklists.schema import METADATA_KEY, TRAINED, Description, RankLists


@dataclass(frozen=True)
class Evidence:
    """Holds all files of a run, which are about the same M instances in the same order."""

    user: npt.NDArray[np.object_]
    position: npt.NDArray[np.int64]
    target: npt.NDArray[np.object_]
    vocabulary: dict[str, int]
    """Code by item id, from 0."""
    files: dict[Slot, Listed]
    group: str
    """The first group; its clean variant is the candidate."""
    protocol: str | None
    """Protocol of the candidate's lists; the headline numbers are for this protocol."""

    @property
    def candidate(self) -> Listed:
        """Returns the lists of the model that may be promoted."""
        return self.clean(self.group, "tuned")

    @property
    def reference(self) -> str:
        """Returns whose lists the candidate was told to keep: `base` or `champion/<version>`."""
        return self.candidate.description.reference or "base"

    @property
    def groups(self) -> list[str]:
        """Returns the groups that have a tuned clean variant, the candidate's first."""
        return sorted(
            {slot.group for slot in self.files if slot.role == "clean" and slot.stage == "tuned"}, key=group_order
        )

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """Returns the user of each instance [M] as a number from 0, in order of appearance."""
        return np.cumsum(np.r_[0, self.user[1:] != self.user[:-1]]).astype(np.int64)

    def find(
        self,
        role: str,
        scenario: str | None = None,
        stage: str = "tuned",
        group: str | None = None,
        protocol: str | None = None,
    ) -> Listed | None:
        """Returns the lists of a variant; None where there are none.

        Args:
            role: `clean`, `probe` or `control`.
            scenario: Name of the probe or control.
            stage: `tuned`, `base` or `network`.
            group: The group that trained it; without one, the first group that did.
            protocol: Protocol of tuned lists; without one, that of the headline.
        """
        wanted = (protocol or self.protocol) if stage == "tuned" else None
        groups = [group] if group else sorted({slot.group for slot in self.files}, key=group_order)
        found = (self.files.get(Slot(role, scenario, stage, each, wanted)) for each in groups)
        return next((listed for listed in found if listed is not None), None)

    def clean(self, group: str, stage: str, protocol: str | None = None) -> Listed:
        """Returns the lists of a group's clean variant, with which its probes and controls are compared.

        Raises:
            DataError: There are none.
        """
        listed = self.find("clean", None, stage, group, protocol)
        if listed is None and protocol == "independent" and self.reference == "base":
            # The clean variant keeps its own base's lists under either protocol: it is the same training.
            listed = self.find("clean", None, stage, group)
        if listed is None:
            what = f"{protocol or ''} rank lists with role clean and stage {stage}"
            raise DataError(f"group {group}: there are no {what} to compare its probes with; add that file")
        return listed

    def other(self, role: str) -> Listed | None:
        """Returns the lists of role `champion`, `popularity` or `repeat_last`; None where there are none."""
        return next((listed for slot, listed in self.files.items() if slot.role == role), None)

    @property
    def baselines(self) -> dict[str, Listed]:
        """Returns the lists of simple recommenders by name, in the order of their files."""
        return {slot.scenario or slot.role: listed for slot, listed in self.files.items() if slot.role in BASELINES}

    def variants(self, role: str, protocol: str | None = None) -> list[tuple[str, str]]:
        """Returns (group, scenario) of all probes or all controls, in order of group and name."""
        wanted = role, "tuned", protocol or self.protocol
        found = {
            (slot.group, slot.scenario or "") for slot in self.files if (slot.role, slot.stage, slot.protocol) == wanted
        }
        return sorted(found, key=lambda pair: (group_order(pair[0]), pair[1]))


def group_order(group: str) -> tuple[int, str]:
    """Returns a key that sorts group ids: numbers by value, other names behind shorter ones."""
    return len(group), group


def read_evidence(folders: list[Path], needs: Mapping[str, Sequence[Need]]) -> Evidence:
    """Reads all rank-list files below `folders`, and checks that they belong together and suffice.

    Parquet files without rank lists' metadata are passed over.

    Args:
        folders: Folders of the files.
        needs: What each rule needs, by the rule's name.

    Raises:
        DataError: A file cannot be read or is damaged, two files contradict each other, or a file that a rule needs is
            not there.
    """
    where = ", ".join(str(folder) for folder in folders)
    vocabulary: dict[str, int] = {}
    files: dict[Slot, Listed] = {}
    first: tuple[Path, RankLists] | None = None
    passed_over = 0
    for path in _parquet(folders):
        if not _holds_rank_lists(path):
            passed_over += 1
            continue
        lists = file.read(path, vocabulary)
        if first is None:
            _sorted_by_user(path, lists)
            first = (path, lists)
        else:
            _same_instances(*first, path, lists)
        slot = _slot(path, lists.description)
        if slot in files:
            raise DataError(f"{path} and {files[slot].path} both hold the lists of: {slot}; keep one of them")
        files[slot] = kept(path, lists)
    width = max((each.items.shape[1] for each in files.values()), default=0)
    files = {slot: replace(each, items=file.widened(each.items, width)) for slot, each in files.items()}
    clean = [slot for slot in files if slot.role == "clean" and slot.stage == "tuned"]
    if first is None or not clean:
        hint = (
            f" ({passed_over} Parquet files without metadata {METADATA_KEY.decode()} were passed over)"
            if passed_over
            else ""
        )
        raise DataError(
            f"{where}: no rank lists with role clean and stage tuned, so there is no candidate{hint}; add that file"
        )
    # Where it was trained under both protocols, the anchored one is the candidate.
    candidate = min(clean, key=lambda slot: (group_order(slot.group), slot.protocol == "independent"))
    belonging.check(files, candidate, first[1].position)
    headline = {
        Need(slot.role, slot.stage, slot.scenario) for slot in files if slot.protocol in (candidate.protocol, None)
    }
    if lacking := missing(headline, needs):
        raise DataError(
            f"{where}: rank lists are missing: {lacking}; add these files or drop the rules from gate.rules"
        )
    belonging.check_stages(files, candidate)
    lists = first[1]
    return Evidence(lists.user, lists.position, lists.target, vocabulary, files, candidate.group, candidate.protocol)


def _parquet(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give the folder that holds the rank-list files")
        yield from (path for path in tree.files(folder) if path.suffix == ".parquet")


def _holds_rank_lists(path: Path) -> bool:
    try:
        if METADATA_KEY in (pq.read_schema(path).metadata or {}):
            return True
        file.check(path)  # one of ours, whose very key is damaged, must not be passed over
        return False
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet ({' '.join(str(error).split())}); write it again or take it away"
        ) from error


def _slot(path: Path, description: Description) -> Slot:
    if description.role == "baseline":
        if description.model in ("candidate", "base", "champion", *BASELINES):
            raise DataError(f"{path}: a baseline cannot be called {description.model}; give its `model` another name")
        return Slot(description.role, description.model, "tuned", "", None)
    if description.role not in TRAINED:
        return Slot(description.role, None, "tuned", "", None)
    if description.role != "clean" and not description.scenario:
        raise DataError(f"{path}: the metadata of a {description.role} must name its scenario")
    scenario = None if description.role == "clean" else description.scenario
    protocol = description.protocol if description.stage == "tuned" else None
    return Slot(description.role, scenario, description.stage, description.group, protocol)


def _sorted_by_user(path: Path, lists: RankLists) -> None:
    """Checks that users' rows stand together, by position: users are drawn whole, and consecutive lists compared."""
    new = np.r_[True, lists.user[1:] != lists.user[:-1]]
    back = ~new[1:] & (lists.position[1:] <= lists.position[:-1])
    if new.sum() != len(set(lists.user.tolist())) or back.any():
        raise DataError(f"{path}: rows are not sorted; put a user's rows together, by position")


def _same_instances(first_path: Path, first: RankLists, path: Path, lists: RankLists) -> None:
    shared = min(len(first), len(lists))
    differs = (first.user[:shared] != lists.user[:shared]) | (first.position[:shared] != lists.position[:shared])
    differs |= first.target[:shared] != lists.target[:shared]
    what = f"{first_path} and {path} are not about the same instances"
    if differs.any():
        row = int(np.argmax(differs))
        one, other = (
            f"user {each.user[row]}, position {each.position[row]}, target {each.target[row]}"
            for each in (first, lists)
        )
        raise DataError(
            f"{what}: row {row + 1} is {one} in the first and {other} in the second; take all lists on one held-out set"
        )
    if len(first) != len(lists):
        raise DataError(f"{what}: they have {len(first)} and {len(lists)} rows; take all lists on one held-out set")
