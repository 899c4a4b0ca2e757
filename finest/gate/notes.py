"""Notes of a verdict: facts that a reader must know beside its numbers."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from finest.data.schema import Manifest
from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.plural import counted


def notes(evidence: Evidence, measured: Measured, config: Gate) -> list[str]:
    """Returns the notes, a sentence or two each, the general ones first."""
    parts = (
        _worth(measured),
        _stability(evidence, measured, config),
        _instances(evidence),
        _champion(evidence, measured),
    )
    data = notes_on_data(measured.manifest) if measured.manifest else ()
    return [*chain.from_iterable(parts), *data]


def notes_on_data(manifest: Manifest) -> Iterator[str]:
    """Yields what was out of the ordinary in the data that came."""
    if manifest.missing_days:
        absent = ", ".join(map(str, manifest.missing_days))
        yield (
            f"Of the days from {manifest.since or 'the first'} to {manifest.until or 'the last'}, no partition is "
            f"there of: {absent}."
        )
    if manifest.late_rows:
        yield (
            f"{manifest.late_rows} rows came in later than on the day that they are of; they stand where their time "
            "puts them."
        )
    if manifest.duplicates:
        yield f"{manifest.duplicates} rows repeat another in user, item and timestamp and were set aside."
    yield from (f"Read from the source: {note}." for note in manifest.notes)


def _worth(measured: Measured) -> Iterator[str]:
    """Says how the candidate stands against the best of the baselines, and whether that is proven."""
    best = max(measured.baselines, key=lambda name: measured.mrr[name].value, default=None)
    if best is None or not measured.mrr[best].value:
        return
    candidate, other = measured.mrr["candidate"], measured.mrr[best]
    change, lead = (candidate / other).value - 1, candidate - other
    proven = "" if lead.low > 0 or lead.high < 0 else ", which may be chance"
    yield (
        f"The candidate's MRR is {abs(change):.1%} {'above' if change >= 0 else 'below'} that of the best simple "
        f"recommender, {best} ({measured.baselines[best]}; {candidate.value:.4f} against {other.value:.4f}){proven}."
    )


def _stability(evidence: Evidence, measured: Measured, config: Gate) -> Iterator[str]:
    seed = evidence.candidate.description.seed
    if measured.probes:
        noise = measured.training("tuned", "rbo", config.training_noise)
        if "tuned" in measured.noise:
            source = f"measured on {counted(round(noise.degrees), 'pair')} of clean trainings"
        else:
            source = "assumed (gate.training_noise), since no lists of a second clean training measure it"
        yield (
            "Bounds of RLS cover the choice of users, the spread between scenarios, and the noise of training, a "
            f"standard deviation of {noise.standard:.4f} rbo, {source}."
        )
    yield (
        "Bounds of accuracy cover the choice of users: they are about these very models. "
        f"All variants share one seed's random numbers{'' if seed is None else f' (seed {seed})'}: stability is "
        "conditional on it."
    )
    if evidence.protocol == "anchored":
        yield (
            f"Protocol anchored: every probe was fine-tuned towards the reference lists of {_whose(evidence)}, "
            "so RLS with FINEST is "
            "agreement given shared references, not a claim about retraining from nothing."
        )
    if evidence.protocol is None:
        yield "The rank lists do not state a protocol, so what their stability is conditional on is not known."
    pairs = sum(control.name == "seed" for control in measured.controls)
    if pairs:
        yield f"The noise floor is measured on n = {counted(pairs, 'pair')} of seeds."


def _whose(evidence: Evidence) -> str:
    return (
        "the clean variant's base model"
        if evidence.reference == "base"
        else evidence.reference.replace("/", " version ")
    )


def _instances(evidence: Evidence) -> Iterator[str]:
    unranked = int(np.isnan(evidence.candidate.target_rank).sum())
    if unranked:
        yield (
            f"{unranked} of {len(evidence.user)} instances have a target outside the catalogue, or in the "
            "history and left out; "
            "they count with reciprocal rank 0."
        )


def _champion(evidence: Evidence, measured: Measured) -> Iterator[str]:
    champion = evidence.other("champion")
    if champion is None:
        yield (
            "There is no champion: rules that compare with one do not apply, and churn is unknown. Reference "
            "lists are the base model's."
            if evidence.reference == "base"
            else "There are no lists of the champion: rules that compare with one do not apply."
        )
        return
    if measured.newer is not None:
        yield (
            f"Accuracy against the champion is on {measured.newer.instances} instances; left out are "
            f"{measured.newer.before_cut} before "
            f"its own cut and {measured.newer.unranked} with a target that one of the two cannot rank."
        )
    if {"new", "vanished"} <= set(measured.catalogue):
        new, vanished = measured.catalogue["new"], measured.catalogue["vanished"]
        items = evidence.candidate.description.catalogue.items
        kept = "" if evidence.reference == "base" else " Reference lists hold the items of both."
        yield (
            f"Of the {items} items of the catalogue, {new} are new since the champion; {vanished} of the champion's "
            f"are gone.{kept}"
        )
    if champion.after_cut is None:
        yield (
            "The champion's lists do not say which instances are after its cut: it may have been trained on some, "
            "which favours it."
        )
