"""Measures everything that the rules judge, once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finest import documents, parquet, sealed
from finest.data import schema
from finest.errors import DataError
from finest.gate.evidence import Evidence
from finest.gate.flips import Flips, flips
from finest.gate.listed import Listed
from finest.gate.monitor import Trend
from finest.gate.noise import Noise, training_noise
from finest.gate.rls import ByUser, Compared, Pairs, compare, means
from finest.gate.segments import Measurement, Odd, by_segment, comparable, odd
from finest.gate.statistic import CONFIDENCE, Error, Floats, Statistic
from finest.gate.verdict import Accuracy
from finest.metrics import guards
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.registry import METRICS, Ranked, measured
from finest.ranklists.schema import Catalogue, describe_catalogue


@dataclass(frozen=True)
class Newer:
    """Holds MRR on the instances where candidate and champion can be compared.

    Those are after the champion's cut, with a target that both catalogues hold; one that the candidate does not rank is
    one that it does not find.
    """

    candidate: Statistic
    base: Statistic | None
    champion: Statistic
    instances: int
    before_cut: int
    """Number of instances left out since the champion may have been trained on them."""
    unranked: int
    """Number of later instances left out since the target is not in both catalogues."""
    missed: int
    """Number of the compared instances whose target the candidate alone does not rank."""
    told: bool
    """Whether the champion's lists say what is after its cut; otherwise all instances are taken for that."""


@dataclass(frozen=True)
class Measured:
    """Holds the numbers of one verdict.

    Dicts by model have those keys of `candidate`, `base`, `champion`, and of the baselines' names, that there are.
    """

    by_user: ByUser
    """Computes further means, for a rule that measures something of its own."""
    models: dict[str, Listed]
    """The models' lists."""
    pairs: Pairs
    """What lists were compared by."""
    probes: list[Compared]
    controls: list[Compared]
    independent: list[Compared]
    """Probes trained under the independent protocol, where the headline is the anchored one."""
    hardware: list[dict[str, Statistic]]
    """Further groups' clean variants against the candidate, by similarity."""
    noise: Noise
    """The noise of training, as far as the lists measure it."""
    churn: dict[str, Statistic]
    """Candidate against champion, by similarity; empty without one."""
    churn_base: dict[str, Statistic]
    """The candidate's base model against the champion: what users would see change without FINEST."""
    churn_seed: dict[str, Statistic]
    """The same under another seed: what a retraining without FINEST would leave of what users see."""
    unlisted: float
    """Share of the champion's lists that are empty, as those of users are of whom it knows nothing."""
    mrr: dict[str, Statistic]
    """By model."""
    baselines: dict[str, str]
    """What each baseline that was scored does, in words, by its name."""
    newer: Newer | None
    accuracy: dict[str, Accuracy]
    """By model."""
    plasticity: dict[str, Statistic]
    """By model; empty where no user has two instances."""
    catalogue: dict[str, int]
    """With a champion that says so: `new`, items that it lacks, and `vanished`, items of its own that today's catalogue
    lacks."""
    near_reference: Statistic | None
    """Mean rbo of the candidate's lists with those of the model whose lists it was told to keep."""
    segments: list[Measurement]
    """Everyone, then all segments; empty without base lists."""
    odd: Odd | None
    """Users with odd lists; None without base lists."""
    flips: Flips | None
    """Hits that the candidate loses; None where there is nothing to compare with."""
    manifest: schema.Manifest | None
    """Ingest's facts about the data; None where only rank lists are known."""
    fingerprint: str | None
    """Fingerprint of the data that the candidate was trained on."""
    newest: datetime | None
    """Time of the newest training interaction."""
    age_hours: float | None
    trend: Trend | None = None
    """How the candidate stands against older champions; None without a history of nights."""

    def control(self, name: str, stage: str) -> dict[str, Statistic] | None:
        """Returns a control's means by similarity, from the first group that has it."""
        found = (control.means[stage] for control in self.controls if control.name == name and stage in control.means)
        return next(found, None)

    @property
    def floor(self) -> dict[str, Statistic] | None:
        """Returns the noise floor: RLS of the network alone under another seed, without FINEST."""
        return self._of_network("seed")

    @property
    def ceiling(self) -> dict[str, Statistic] | None:
        """Returns the ceiling: the RLS that rounding alone leaves of the network alone, without FINEST."""
        return self._of_network("rounding")

    @property
    def own_ceiling(self) -> dict[str, Statistic] | None:
        """Returns the RLS that rounding alone leaves of what is judged: nothing honest is clearly above it."""
        return self.control("rounding", "tuned")

    @property
    def plain(self) -> str:
        """Returns the stage that floor and ceiling are of: the network alone where something is counted beside it."""
        return "network" if self.control("seed", "network") else "base"

    def training(self, stage: str, similarity: str, assumed: float) -> Error:
        """Returns the noise of training of a mean RLS of that stage.

        Args:
            stage: `tuned`, `base` or `network`; `gain` for that of tuned less base.
            similarity: One of the gated ones.
            assumed: The standard deviation that is taken where no lists measure it.
        """
        return self.noise[stage][similarity] if stage in self.noise else Error(assumed)

    def _of_network(self, name: str) -> dict[str, Statistic] | None:
        """Returns a control's means without FINEST and without what is counted beside the network."""
        return self.control(name, "network") or self.control(name, "base")


def measure(
    evidence: Evidence,
    least_users: int,
    data: Path | None = None,
    as_of: datetime | None = None,
    confidence: float = CONFIDENCE,
    known: Measured | None = None,
) -> Measured:
    """Measures what the rank lists show.

    Args:
        evidence: The rank lists.
        least_users: Number of users that a segment at either end of a cut has at least.
        data: Folder that ingest wrote, for item popularity, the segments that need it, and the age of the data.
        as_of: The moment that the age counts from.
        confidence: Confidence of one-sided bounds.
        known: What was measured on the same instances and data with the same confidence; numbers of lists that are
            the same objects are taken from it.
    """
    by_user, pairs = ByUser(evidence.codes, confidence), Pairs(known.pairs if known else None)
    harm = ByUser(evidence.codes)  # what refuses where harm is proven must not ask for more proof at a further attempt
    candidate, champion = evidence.candidate, evidence.other("champion")
    base = evidence.find("clean", None, "base", evidence.group)
    models = {
        "candidate": candidate,
        "base": base,
        "network": evidence.find("clean", None, "network", evidence.group),
        "champion": champion,
        **evidence.baselines,
    }
    given = {name: listed for name, listed in models.items() if listed is not None}
    manifest = _manifest(data, candidate)
    newest = None if manifest is None else datetime.fromtimestamp(manifest.last_train_timestamp / 1e6, UTC)
    reciprocal = {name: reciprocal_rank(listed.target_rank) for name, listed in given.items()}
    changed = {name: listed for name, listed in given.items() if not (known and known.models.get(name) is listed)}
    moves = {**(known.plasticity if known else {}), **_plasticity(evidence, changed, by_user)}
    plasticity = {name: moves[name] for name in given if name in moves}
    reference = champion if evidence.reference != "base" else base
    second = evidence.protocol != "independent"
    probes = compare(evidence, by_user, pairs, "probe")
    counts_I = None if data is None else _counts(data, evidence)
    comparable_M = comparable(evidence, champion, counts_I) if champion else np.zeros(len(candidate.items), bool)
    return Measured(
        by_user=by_user,
        models=given,
        pairs=pairs,
        probes=probes,
        controls=compare(evidence, by_user, pairs, "control"),
        independent=compare(evidence, by_user, pairs, "probe", "independent") if second else [],
        hardware=[
            means(pairs.values(candidate, evidence.clean(group, "tuned")), by_user) for group in evidence.groups[1:]
        ],
        noise=training_noise(evidence, pairs),
        churn=_churn(candidate, champion, by_user, pairs),
        churn_base=_churn(base, champion, by_user, pairs),
        churn_seed=_churn(evidence.find("control", "seed", "base"), champion, by_user, pairs),
        unlisted=float((champion.items < 0).all(axis=1).mean()) if champion else 0.0,
        mrr=dict(zip(reciprocal, by_user.means(list(reciprocal.values())), strict=True)),
        baselines={
            name: str(listed.description.extra.get("label", name.replace("_", "-")))
            for name, listed in evidence.baselines.items()
        },
        newer=_newer(candidate, champion, comparable_M, reciprocal, by_user) if champion else None,
        accuracy=_accuracy(evidence, given, plasticity, counts_I),
        plasticity=plasticity,
        catalogue=_catalogue(champion) if champion else {},
        near_reference=by_user.means([pairs.values(candidate, reference)["rbo"]])[0] if reference else None,
        segments=by_segment(evidence, harm, probes, least_users, data, comparable_M),
        odd=odd(evidence, harm, pairs) if base else None,
        flips=flips(evidence, harm, comparable_M) if base else None,
        manifest=manifest,
        fingerprint=manifest.fingerprint if manifest else candidate.description.data_fingerprint,
        newest=newest,
        age_hours=(as_of - newest).total_seconds() / 3600 if newest and as_of else None,
    )


def _churn(model: Listed | None, champion: Listed | None, by_user: ByUser, pairs: Pairs) -> dict[str, Statistic]:
    return means(pairs.values(model, champion), by_user) if model and champion else {}


def _catalogue(champion: Listed) -> dict[str, int]:
    """Returns how many items are new and gone since the champion, where its lists say so."""
    stated = {name: champion.description.extra.get(f"{name}_items") for name in ("new", "vanished")}
    return {name: int(count) for name, count in stated.items() if count is not None}


def _newer(
    candidate: Listed,
    champion: Listed,
    comparable_M: npt.NDArray[np.bool_],
    reciprocal: dict[str, Floats],
    by_user: ByUser,
) -> Newer:
    after = np.ones(len(candidate.items), bool) if champion.after_cut is None else champion.after_cut
    names = [name for name in ("candidate", "champion", "base") if name in reciprocal]
    found = dict(zip(names, by_user.means([reciprocal[name] for name in names], comparable_M), strict=True))
    return Newer(
        candidate=found["candidate"],
        base=found.get("base"),
        champion=found["champion"],
        instances=int(np.count_nonzero(comparable_M)),
        before_cut=int(np.count_nonzero(~after)),
        unranked=int(np.count_nonzero(after & ~comparable_M)),
        missed=int(np.count_nonzero(comparable_M & np.isnan(candidate.target_rank))),
        told=champion.after_cut is not None,
    )


def _plasticity(evidence: Evidence, given: dict[str, Listed], by_user: ByUser) -> dict[str, Statistic]:
    """Returns each model's mean of 1 - rbo of a user's consecutive lists.

    A pair's value is placed at its later instance, so that it stands with its user's.
    """
    columns = []
    later = np.zeros(len(evidence.codes), bool)
    for listed in given.values():
        values, rows = guards.plasticity(evidence.codes, evidence.position, listed.items)
        column = np.zeros(len(later))
        column[rows], later[rows] = values, True
        columns.append(column)
    if not later.any():
        return {}
    return dict(zip(given, by_user.means(columns, later), strict=True))


def _accuracy(
    evidence: Evidence, given: dict[str, Listed], plasticity: dict[str, Statistic], counts: npt.NDArray[np.int64] | None
) -> dict[str, Accuracy]:
    last = guards.last_of_user(evidence.codes, evidence.position)
    return {
        name: Accuracy.model_validate(
            {
                "name": name,
                **_metrics(listed),
                "coverage_at_10": guards.coverage_at(listed.items, listed.description.catalogue.items),
                "overlap": float(guards.overlap_between_users(listed.items[last]).mean()),
                "popularity_bias": None
                if counts is None
                else float(guards.popularity_bias(listed.items, counts).mean()),
                "plasticity": plasticity[name].value if name in plasticity else None,
            }
        )
        for name, listed in given.items()
    }


def _metrics(listed: Listed) -> dict[str, float]:
    """Returns the mean of every registered metric over all instances."""
    ranked = Ranked(listed.target_rank, listed.items, listed.description.catalogue.items)
    return {name: float(measured(METRICS, name, ranked).mean()) for name in METRICS}


KEPT = f"give the data set of another run, or remove {sealed.NAME} there to take it as it is"
"""What to do about a data set that a run has kept and that is damaged."""


def _manifest(data: Path | None, candidate: Listed) -> schema.Manifest | None:
    """Returns ingest's facts, where there are any, and checks that the lists are about that data."""
    if data is None or not (data / schema.MANIFEST).exists():
        return None
    sealed.check_own(data, KEPT)
    manifest = documents.read(data / schema.MANIFEST, schema.Manifest, "run ingest again")
    stated = candidate.description.data_fingerprint
    if stated and stated != manifest.fingerprint:
        both = f"{stated} and {manifest.fingerprint}"
        raise DataError(
            f"{candidate.path} and {data} are not of the same data: data_fingerprint is {both}; give the lists' "
            "own data"
        )
    return manifest


def _counts(data: Path, evidence: Evidence) -> npt.NDArray[np.int64]:
    """Returns training interactions by code, -1 outside the catalogue. Gives codes to items that no list holds."""
    try:
        items = parquet.read(data / schema.ITEMS)
    except FileNotFoundError as error:
        raise DataError(f"{data}: no data set that ingest wrote ({schema.ITEMS} is missing)") from error
    ids = items.column("item").to_pylist()
    code = np.array([evidence.vocabulary.setdefault(item, len(evidence.vocabulary)) for item in ids], np.int64)
    counts = np.full(len(evidence.vocabulary), -1, np.int64)
    counts[code] = items.column("train_interactions").to_numpy()
    _of_catalogue(evidence, counts, describe_catalogue(ids), data)
    return counts


def _of_catalogue(evidence: Evidence, counts: npt.NDArray[np.int64], known: Catalogue, data: Path) -> None:
    """Checks that lists hold items of the data's catalogue alone, and that it is the one that they say they rank."""
    stated = evidence.candidate.description.catalogue
    if stated.items != known.items or (len(stated.digest) == len(known.digest) and stated.digest != known.digest):
        raise DataError(
            f"{evidence.candidate.path} ranks a catalogue of {stated.items} items (digest {stated.digest}), but that "
            f"of {data} has {known.items} (digest {known.digest}); give the lists' own data"
        )
    name = {code: item for item, code in evidence.vocabulary.items()}
    for slot, listed in evidence.files.items():
        if slot.role == "champion":
            continue
        foreign = (listed.items >= 0) & (counts[listed.items] < 0)
        if foreign.any():
            row, place = (int(each[0]) for each in np.nonzero(foreign))
            raise DataError(
                f"{listed.path}: user {evidence.user[row]}, position {evidence.position[row]}: place {place + 1} of "
                f"the list is item {name[int(listed.items[row, place])]!r}, which is not in the catalogue of {data}"
            )
