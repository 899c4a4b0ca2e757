"""A good candidate, made of a night's own rank lists: more accurate and calmer than any that a training gives.

If not even that passes, nothing can. So it does not depend on what tonight's candidate is worth: a night tries several,
ever calmer or of other lists, until one passes.

Shapes: M instances, D items a list.
"""

from collections.abc import Iterator

import numpy as np

from finest.gate.listed import Listed
from finest.gate.tampered import Files, Floats, Tonight, made, moved, places

SHARES = (0.3, 0.02, 0.001)
"""Shares of instances whose lists a probe moves, of ever calmer candidates; those of the rounding control are half."""
LITTLE = 0.8
"""What ranks are multiplied by, where lists are to stay like others as far as may be."""
HEAD = 12
"""Number of places among which two neighbours change places in a list that moves."""


def twins(night: Tonight) -> Iterator[Files]:
    """Yields the files of good candidates, the likeliest first: of tonight's lists, the base model's, the champion's.

    Every target is moved up, to the root of the best rank that any model of the night gives it or less, every variant's
    lists are the clean one's but for neighbours that change places in some, and those of the control `seed` in all.
    Where counts alone are served, lists are calmer than that as they are: there they stay, but for the targets.
    """
    evidence = night.evidence
    ranks = [listed.target_rank for slot, listed in evidence.files.items() if slot.role not in ("probe", "control")]
    best = np.fmin.reduce(ranks)
    tuned, base = evidence.candidate, evidence.find("clean", None, "base", evidence.group)
    root, little = np.ceil(np.sqrt(best)), np.maximum(np.floor(best * LITTLE), 1)
    if tuned.description.served == "memory":
        yield _as_they_are(night, root)
    for share in SHARES:
        yield _variants(night, tuned, root, share)
    yield _variants(night, tuned, little, SHARES[1])
    if base is not None:
        yield _variants(night, base, root, SHARES[1])
        yield _variants(night, base, little, SHARES[1])
    if champion := evidence.other("champion"):
        for of in (tuned, base):
            if of is not None:
                yield _variants(night, _half(night, of, champion), little, SHARES[1])


def _as_they_are(night: Tonight, to: Floats) -> Files:
    """Returns the files of tonight's variants with targets at ranks `to`."""
    tuned, clean = night.tuned, night.evidence.candidate
    same = {slot: slot.role == "clean" or slot.scenario == "identity" for slot in tuned}
    return {
        slot: moved(clean if same[slot] else listed, night.target, to, "twin" if same[slot] else f"twin {slot}")
        for slot, listed in tuned.items()
    }


def _half(night: Tonight, of: Listed, champion: Listed) -> Listed:
    """Returns the lists `of`, every other user's the champion's where these are as long, but for some places."""
    whole = (champion.items >= 0).sum(1) == (of.items >= 0).sum(1)
    whole &= np.isin(champion.items, np.append(night.listed, -1)).all(1)
    rows = whole & (night.evidence.codes % 2 == 0)
    near = champion.items.copy()
    near[:, 4:10] = np.roll(near[:, 4:10], 1, axis=1)
    items = np.where(rows[:, None], near, of.items)
    place = places(items, night.target)
    rank = np.where(rows, np.where(place >= 0, place + 1.0, of.target_rank), of.target_rank)
    behind = np.maximum(rank, (items >= 0).sum(1) + 1.0)
    return made(of, items, np.where(rows & (place < 0), behind, rank), "half")


def _variants(night: Tonight, of: Listed, to: Floats, share: float) -> Files:
    """Returns the files of a candidate with the lists `of`, and targets at ranks `to`."""
    clean = moved(of, night.target, to, "twin")
    files: Files = {}
    for slot, listed in night.tuned.items():
        part = {"rounding": share / 2, "seed": 1.0}.get(slot.scenario or "", share)
        if slot.role == "clean" or slot.scenario == "identity":
            files[slot] = made(listed, clean.items, clean.target_rank, clean.digest)
        else:
            files[slot] = _calm(night, listed, clean, part, str(slot))
    return files


def _calm(night: Tonight, listed: Listed, clean: Listed, share: float, name: str) -> Listed:
    """Returns the clean lists, of which a share, and at least one, has two neighbours changed; no target moves."""
    random, items = night.random("twin", name), clean.items.copy()
    length, target = np.count_nonzero(items >= 0, axis=1), places(items, night.target)
    highest = np.minimum(length, HEAD) - 1
    place = random.integers(0, np.maximum(highest, 1))
    able = (highest >= 1) & (target != place) & (target != place + 1)
    rows = random.permutation(np.flatnonzero(able))
    rows = rows[: max(1, round(share * len(items)))]
    above = place[rows]
    items[rows, above], items[rows, above + 1] = items[rows, above + 1], items[rows, above].copy()
    return made(listed, items, clean.target_rank, f"twin {name}")
