"""Whether a data set has anything to train a new model on, or to judge it by."""

from dataclasses import dataclass

from finest.data.schema import Manifest


@dataclass(frozen=True)
class Seen:
    """Says which data the champion was made from."""

    version: str
    """Version of the champion."""
    fingerprint: str
    """Fingerprint of its data."""
    last_timestamp: int | None
    """Time of its data's newest interaction, in microseconds; None where that is not known."""


def nothing_new(manifest: Manifest, seen: Seen | None) -> str | None:
    """Returns in one sentence why a run would be in vain; None where it would not be.

    Data that ends before the champion's (an earlier night, run again) would put an older model into production.

    Args:
        manifest: The data set's manifest.
        seen: The champion's data; None where any data is new.
    """
    if manifest.instances == 0:
        held_out = manifest.test_interactions
        rows = (
            f"none of the {held_out} held-out interactions is by a user with a history"
            if held_out
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
