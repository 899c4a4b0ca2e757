"""Whether a data set has anything to train a new model on, or to judge it by."""

from dataclasses import dataclass

from finest.data.schema import Manifest


@dataclass(frozen=True)
class Seen:
    """What the champion was made from."""

    version: str
    fingerprint: str
    last_timestamp: int | None
    """Time of its data's newest interaction, microseconds; None where that is not known."""


def nothing_new(manifest: Manifest, seen: Seen | None) -> str | None:
    """Why a run would be in vain, in one sentence, or None where it would not be. Without `seen` any data is new.

    Data that ends before the champion's (an earlier night, run again) would put an older model into production.
    """
    if manifest.instances == 0:
        held = manifest.test_interactions
        rows = (
            f"none of the {held} held-out interactions is by a user with a history"
            if held
            else "no interaction is held out"
        )
        return f"Nothing to judge a candidate by: {rows} (cut at {manifest.split.get('cut')})."
    if seen is None:
        return None
    if manifest.fingerprint == seen.fingerprint:
        return f"Champion version {seen.version} was made from this very data."
    if seen.last_timestamp is not None and manifest.last_timestamp < seen.last_timestamp:
        return f"Champion version {seen.version} was made from newer data."
    return None
