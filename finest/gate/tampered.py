"""Bad candidates, made of a night's own rank lists: what each rule of the gate is there to refuse.

A maker takes a night and returns the files that it changes, or why the night has not what it needs. What it moves in a
list it moves in the target ranks too: the files stay such as a training could have written. All that is random is keyed
by the maker and the file.

Shapes: M instances, D items a list.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.measure import Measured
from finest.gate.roles import Slot
from finest.keys import numpy_generator
from finest.ranklists.schema import TRAINED

Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Files = dict[Slot, Listed]

DROP = 0.05
"""Share of the base model's MRR that a candidate which is worse for everybody lacks."""
BEYOND = 0.02
"""The same beyond what the config accepts, where that is more."""
STALE = 0.1
"""Share of users whose lists do not follow them."""
SEGMENT = 0.2
"""Share of users, those with the shortest histories, who get lists of nothing."""
SHUFFLED = 20
"""Number of places of a list that are shuffled."""


@dataclass(frozen=True)
class Tonight:
    """Holds what a night's candidates are made of and judged by."""

    evidence: Evidence
    measured: Measured
    config: Gate

    @cached_property
    def target(self) -> Ints:
        """Returns the code of each instance's target [M]."""
        codes = self.evidence.vocabulary
        return np.array([codes[item] for item in self.evidence.target], np.int64)

    @cached_property
    def tuned(self) -> Files:
        """Returns the files that the candidate is judged by: its own, its probes' and its controls'."""
        wanted = self.evidence.protocol
        files = self.evidence.files.items()
        return {
            slot: listed
            for slot, listed in files
            if slot.role in TRAINED and (slot.stage, slot.protocol) == ("tuned", wanted)
        }

    @cached_property
    def listed(self) -> Ints:
        """Returns the codes of all items that the night's trainings list, at any stage."""
        there = np.zeros(len(self.evidence.vocabulary) + 1, bool)  # by code + 1, so that -1 has a place
        for slot, listed in self.evidence.files.items():
            if slot.role in TRAINED:
                there[listed.items + 1] = True
        return np.flatnonzero(there[1:])

    @property
    def candidate(self) -> Slot:
        """Returns where the candidate stands."""
        return next(slot for slot, listed in self.tuned.items() if listed is self.evidence.candidate)

    @property
    def first(self) -> Ints:
        """Returns the row of each user's first instance [U]."""
        return np.flatnonzero(np.r_[True, np.diff(self.evidence.codes) > 0])

    def reference(self) -> Listed | None:
        """Returns the lists that the candidate was told to keep."""
        evidence = self.evidence
        own = evidence.reference == "base"
        return evidence.find("clean", None, "base", evidence.group) if own else evidence.other("champion")

    def trained(self, role: str, scenario: str | None = None) -> Files:
        """Returns the files of a probe or control at every stage, those of another protocol left out."""
        return {
            slot: listed
            for slot, listed in self.evidence.files.items()
            if slot.role == role
            and scenario in (None, slot.scenario)
            and slot.protocol in (None, self.evidence.protocol)
        }

    def random(self, *words: str | int) -> np.random.Generator:
        """Returns a generator for this use of this night."""
        return numpy_generator("self-test", *words)


Maker = Callable[[Tonight], Files | str]


def places(items: Codes, target: Ints) -> Ints:
    """Returns the place of `target` [M], from 0, in each list [M, D]; -1 where it is not in it.

    >>> places(np.array([[4, 2], [7, 5]]), np.array([2, 9])).tolist()
    [1, -1]
    """
    inside = items == target[:, None]
    return np.where(inside.any(1), inside.argmax(1), -1)


def made(listed: Listed, items: Codes, target_rank: Floats, digest: str) -> Listed:
    """Returns lists in the place of others."""
    return replace(listed, items=items, target_rank=target_rank, finite=True, digest=digest)


def moved(listed: Listed, target: Ints, to: Floats, digest: str) -> Listed:
    """Returns the lists with each target at rank `to` [M], from 1; NaN leaves it.

    It changes places with what stands there. A target behind the list takes the place of what stands there; one in the
    list stays in it.
    """
    items, rank = listed.items.copy(), listed.target_rank.copy()
    length, place = np.count_nonzero(items >= 0, axis=1), places(items, target)
    inside = place >= 0
    to = np.where(inside, np.minimum(np.round(to), length), to)
    row = np.flatnonzero(~np.isnan(to) & ~np.isnan(rank) & (to <= length))
    there = to[row].astype(np.int64) - 1
    own = inside[row]
    items[row[own], place[row][own]] = items[row, there][own]
    items[row, there] = target[row]
    return made(listed, items, np.where(np.isnan(to) | np.isnan(rank), rank, to), digest)


def popular(night: Tonight) -> Files | str:
    """Gives every variant the lists of the most popular items."""
    other = night.evidence.other("popularity")
    if other is None:
        return "there are no lists of the most popular items"
    return {slot: made(listed, other.items, other.target_rank, "popularity") for slot, listed in night.tuned.items()}


def shuffled(night: Tonight) -> Files | str:
    """Shuffles the top of every variant's lists, each variant's by itself."""

    def shuffle(slot: Slot, listed: Listed) -> Listed:
        width = min(SHUFFLED, listed.items.shape[1])
        key = np.where(
            listed.items[:, :width] >= 0, night.random("shuffled", str(slot)).random((len(night.target), width)), 2
        )
        top = np.take_along_axis(listed.items[:, :width], np.argsort(key, axis=1), axis=1)
        place = places(top, night.target)
        items = np.concatenate([top, listed.items[:, width:]], axis=1)
        return made(listed, items, np.where(place >= 0, place + 1.0, listed.target_rank), f"shuffled {slot}")

    clean = {slot: shuffle(slot, listed) for slot, listed in night.tuned.items() if slot.scenario != "identity"}
    return {slot: _again(slot, clean) if slot.scenario == "identity" else clean[slot] for slot in night.tuned}


def worse(night: Tonight) -> Files | str:
    """Lowers every target so far that reciprocal ranks are a fixed share of what they were, in every variant.

    The share takes the candidate's MRR to `DROP` under the base model's.
    """
    mrr = night.measured.mrr
    if "base" not in mrr:
        return "there are no lists of the base model"
    drop = max(DROP, night.config.max_accuracy_drop_base + BEYOND)
    if not mrr["candidate"].value or drop >= 1:
        return "there is no lower MRR"
    share = min(1.0, (1 - drop) * mrr["base"].value / mrr["candidate"].value)
    # Equally spaced modulo 1, by the golden ratio: any run of instances has its part of those that go a place further.
    spread = np.arange(len(night.target)) * (np.sqrt(5) - 1) / 2 % 1
    return {
        slot: _lowered(listed, night.target, share, spread, f"worse {slot}") for slot, listed in night.tuned.items()
    }


def _lowered(listed: Listed, target: Ints, share: float, spread: Floats, digest: str) -> Listed:
    wanted = share / listed.target_rank
    near = np.floor(1 / wanted + 1e-9)
    further = (1 / near - wanted) / (1 / near - 1 / (near + 1)) > spread
    behind = np.where(places(listed.items, target) >= 0, 1, np.count_nonzero(listed.items >= 0, axis=1) + 1)
    to = np.clip(near + further, behind, listed.description.catalogue.items)
    return moved(listed, target, to, digest)


def stale(night: Tonight) -> Files | str:
    """Gives some users the list of their first instance ever after, in every variant."""
    first, codes = night.first, night.evidence.codes
    several = np.flatnonzero(np.bincount(codes) > 1)
    if not len(several):
        return "no user has two instances"
    count = min(max(1, round(STALE * len(first))), len(several))
    chosen = night.random("stale").choice(several, count, replace=False)
    source = np.where(np.isin(codes, chosen), first[codes], np.arange(len(codes)))

    def frozen(slot: Slot, listed: Listed) -> Listed:
        items = listed.items[source]
        behind = np.maximum(listed.target_rank, np.count_nonzero(items >= 0, axis=1) + 1.0)
        rank = _ranked(items, night.target, behind)
        return made(listed, items, np.where(source == np.arange(len(codes)), listed.target_rank, rank), f"stale {slot}")

    return {slot: frozen(slot, listed) for slot, listed in night.tuned.items()}


def segment(night: Tonight) -> Files | str:
    """Gives the users with the shortest histories lists of random items, in every variant the same."""
    first, codes = night.first, night.evidence.codes
    if len(first) < 2:
        return "there is only one user"
    count = max(1, round(SEGMENT * len(first)))
    chosen = np.argsort(night.evidence.position[first], kind="stable")[:count]
    rows = np.isin(codes, chosen)
    return {slot: _exchanged(night, listed, rows, f"segment {slot}", "segment") for slot, listed in night.tuned.items()}


def champion_again(night: Tonight) -> Files | str:
    """Puts the champion's lists in the candidate's place."""
    champion = night.evidence.other("champion")
    if champion is None:
        return "there is no champion"
    return {night.candidate: made(night.evidence.candidate, champion.items, champion.target_rank, champion.digest)}


def reference_again(night: Tonight) -> Files | str:
    """Puts the lists that the candidate was told to keep in the place of every variant's."""
    reference = night.reference()
    if reference is None:
        return "there are no lists of the reference model"
    if night.evidence.reference == "base" and night.evidence.candidate.description.served == "memory":
        return "counts alone are served, which fine-tuning does not move"
    return {
        slot: made(listed, reference.items, reference.target_rank, reference.digest)
        for slot, listed in night.tuned.items()
    }


def one_probe(night: Tonight) -> Files | str:
    """Puts one probe's files in the place of all probes', at every stage."""
    probes = night.trained("probe")
    if len({(slot.group, slot.scenario) for slot in probes}) < 2:
        return "there are no two probes"
    one: Files = {}
    for slot, listed in probes.items():
        one.setdefault(slot._replace(scenario=None, group=""), listed)
    return {slot: one[slot._replace(scenario=None, group="")] for slot in probes}


def seed_untrained(night: Tonight) -> Files | str:
    """Gives the seed control lists of random items before fine-tuning, so that the noise floor is none."""
    controls = {slot: listed for slot, listed in night.trained("control", "seed").items() if slot.stage != "tuned"}
    if not controls:
        return "there is no control of another seed"
    every = np.ones(len(night.target), bool)
    return {slot: _exchanged(night, listed, every, f"seed {slot}", "seed") for slot, listed in controls.items()}


def rounding_frozen(night: Tonight) -> Files | str:
    """Puts the clean variant's lists in the place of the rounding control's, at every stage."""
    controls = night.trained("control", "rounding")
    if not controls:
        return "there is no control of rounding"
    return {slot: night.evidence.clean(slot.group, slot.stage, slot.protocol) for slot in controls}


def _exchanged(night: Tonight, listed: Listed, rows: npt.NDArray[np.bool_], digest: str, use: str) -> Listed:
    """Returns the lists with each item of these rows exchanged for another one, by one permutation of all items."""
    random = night.random(use)
    other = np.arange(-1, len(night.evidence.vocabulary), dtype=np.int32)  # by code + 1, so that -1 stays
    other[night.listed + 1] = random.permutation(night.listed)
    items = np.where(rows[:, None], other[listed.items + 1], listed.items)
    length = np.count_nonzero(items >= 0, axis=1)
    anywhere = random.integers(length + 1, np.maximum(listed.description.catalogue.items, length + 1) + 1)
    rank = _ranked(items, night.target, np.where(np.isnan(listed.target_rank), np.nan, anywhere))
    return made(listed, items, np.where(rows, rank, listed.target_rank), digest)


def _ranked(items: Codes, target: Ints, behind: Floats) -> Floats:
    """Returns the target's rank [M] in lists [M, D], or what is given for targets that are not in them."""
    place = places(items, target)
    return np.where((place >= 0) & ~np.isnan(behind), place + 1.0, behind)


def _again(slot: Slot, files: Files) -> Listed:
    """Returns the clean lists of a group, which its identity control has too."""
    return next(listed for other, listed in files.items() if (other.role, other.group) == ("clean", slot.group))
