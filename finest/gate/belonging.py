"""Checks that the rank lists of a verdict belong together, by what their files say of themselves and hold."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from finest.errors import DataError
from finest.gate.listed import Listed
from finest.gate.roles import Slot
from finest.ranklists.schema import TRAINED


def check(files: Mapping[Slot, Listed], candidate: Slot, position: npt.NDArray[np.int64]) -> None:
    """Checks all files against each other and the candidate's.

    Args:
        files: The files by what they are.
        candidate: Which of them is the candidate's.
        position: Position of each instance [M].

    Raises:
        DataError: They do not belong together; the text names the file.
    """
    _agree(files, candidate)
    _one_catalogue(files, candidate)
    for slot, listed in files.items():
        if slot.role == "champion":
            _whole(listed, position)


def _agree(files: Mapping[Slot, Listed], candidate: Slot) -> None:
    """Checks that what the files say about themselves fits the candidate; an error names the first that does not."""
    ours = files[candidate].description
    for slot, listed in files.items():
        theirs = listed.description
        pairs: list[tuple[str, object, object]] = [("depth", ours.depth, theirs.depth)]
        pairs.append(("exclude_seen", ours.exclude_seen, theirs.exclude_seen))
        if slot.role != "champion":
            pairs.append(("the number of items in the catalogue", ours.catalogue.items, theirs.catalogue.items))
            pairs.append(("the catalogue's digest", ours.catalogue.digest, theirs.catalogue.digest))
        if slot.role == "control":
            _seed(files, slot)
        if slot.role in TRAINED:
            pairs.append(("model", ours.model, theirs.model))
            if ours.data_fingerprint and theirs.data_fingerprint:
                pairs.append(("data_fingerprint", ours.data_fingerprint, theirs.data_fingerprint))
            if slot.stage == "tuned" and not _second(slot, candidate):
                pairs.append(("protocol", candidate.protocol, theirs.protocol))
                pairs.append(("reference", ours.reference, theirs.reference))
        for name, mine, other in pairs:
            if mine != other:
                both = f"{files[candidate].path} and {listed.path}"
                raise DataError(
                    f"{both} do not belong together: {name} is {mine} and {other}; give lists of one run alone"
                )


def _seed(files: Mapping[Slot, Listed], control: Slot) -> None:
    """Checks that a control is of the seed that it is there for, where it says of which it is.

    What another seed changes is the noise floor, and what rounding changes under the same seed the ceiling.
    """
    wanted = "clean", "tuned", control.group
    clean = next((files[slot] for slot in files if (slot.role, slot.stage, slot.group) == wanted), None)
    ours, theirs = clean.description.seed if clean else None, files[control].description.seed
    if clean is None or ours is None or theirs is None or (ours != theirs) == (control.scenario == "seed"):
        return
    which = "another one than" if control.scenario == "seed" else "that of"
    raise DataError(
        f"{files[control].path}: the seed of the control `{control.scenario}` must be {which} the clean variant "
        f"({clean.path}), and they are {theirs} and {ours}; train the control anew"
    )


def _whole(listed: Listed, position: npt.NDArray[np.int64]) -> None:
    """Checks that a champion's lists are as long as its own catalogue allows; of trainings, reading has.

    Where it knows nothing of a history, there is no list.
    """
    about, length = listed.description, (listed.items >= 0).sum(1)
    rankable = about.catalogue.items - (position if about.exclude_seen else 0)
    short = (length > 0) & (length < np.minimum(about.depth, rankable))
    if short.any():
        row = int(np.flatnonzero(short)[0])
        raise DataError(
            f"{listed.path}: {np.count_nonzero(short)} of {len(short)} lists are too short (the first has "
            f"{length[row]} items, at position {position[row]} of a user); write all of the depth {about.depth} that "
            f"the champion can rank of its {about.catalogue.items} items"
        )


def _one_catalogue(files: Mapping[Slot, Listed], candidate: Slot) -> None:
    """Checks that the lists of one catalogue hold no more items than it has, all of them together."""
    seen = np.zeros(1 + max((int(each.items.max()) for each in files.values()), default=0), bool)
    items = files[candidate].description.catalogue.items
    for slot, each in sorted(files.items(), key=lambda pair: pair[0].role != "clean"):
        if slot.role == "champion":
            continue
        seen[each.items[each.items >= 0]] = True
        if (distinct := np.count_nonzero(seen)) > items:
            raise DataError(
                f"{each.path}: with this file, the lists of a catalogue of {items} items hold {distinct} different "
                "ones; give lists of one run alone, with the catalogue that was ranked"
            )


def _second(slot: Slot, candidate: Slot) -> bool:
    """Tells whether these are independent lists beside anchored ones, which are reported apart."""
    return slot.protocol == "independent" and candidate.protocol != "independent"


def check_stages(files: Mapping[Slot, Listed], candidate: Slot) -> None:
    """Checks that every group has a clean variant, and that where this has base lists, every variant has.

    Raises:
        DataError: One has not; the text names a file of it.
    """
    trained = {slot for slot in files if slot.role in TRAINED and not _second(slot, candidate)}
    wanted = {"tuned"} | {slot.stage for slot in trained if slot.role == "clean"}
    for slot in sorted(trained, key=str):
        stages = {
            other.stage
            for other in trained
            if (other.role, other.scenario, other.group) == (slot.role, slot.scenario, slot.group)
        }
        if lacking := sorted(wanted - stages):
            raise DataError(
                f"{files[slot].path}: the same variant's lists of stage {lacking[0]} are missing ({slot}); add "
                "that file"
            )
    for slot in sorted(trained, key=str):
        if not any(other.role == "clean" and other.group == slot.group for other in trained):
            raise DataError(
                f"{files[slot].path}: group {slot.group} has no clean variant to compare with ({slot}); add its files"
            )
