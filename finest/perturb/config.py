"""Config of perturbations: which edits to the training data a run must survive."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from finest.perturb.registry import EDITS, FAMILIES, Options
from finest.registry import NAME, Named
from finest.section import Address, Section, Written

CONTROLS = ("clean", "identity", "rounding", "seed")
"""Names of variants that no scenario can have."""
LONGEST = 180
"""Largest number of characters of a scenario's name, which is part of the names of files and of metrics."""
Share = Annotated[float, Field(gt=0, le=0.5)]
TrainingSeed = Literal["shared", "fresh"]


class Change(Section):
    """What is edited, and how."""

    family: Annotated[Options, Named(FAMILIES)] = Field(default="random", validate_default=True)
    """How rows are selected: `random`, among each user's first or last tenth (`earliest`, `latest`), by CASPER's
    cascade counts (`casper`, arXiv 2201.12686), among users or items with few interactions (`cold_start`), or as whole
    sessions (`sessions`). A name, or a section with the family's options: `{name: casper, look_back: 20}`."""
    kind: Annotated[Options, Named(EDITS)]
    """What is done to a selected row: it is deleted (`deletion`), its item is replaced (`replacement`), a row with
    another item is put in before it (`insertion`), or it gets another time (`timestamp_jitter`). A name, or a section
    with the kind's options: `{name: insertion, new_item: least_popular}`."""

    @property
    def words(self) -> list[str]:
        """Returns the names of family and kind, and of options that are not as by default."""
        return [self.family.name, self.kind.name, *self.family.words(), *self.kind.words()]


class Scenario(Change):
    """A family, kind, share and seed of perturbations; one probe is trained under each."""

    share: Share = 0.001
    """Share of the training rows that are edited. Paper: 0.1%."""
    seed: int = Field(default=0, ge=0)
    """Seed of the selection, of the new items and of the new times, apart from the run's seed."""
    training_seed: TrainingSeed = "shared"
    """`fresh` trains the probe under another seed too: edits and seed noise together."""

    @model_validator(mode="after")
    def _name_can_be_one(self) -> "Scenario":
        check_name(self.name, "its options make the name")
        return self

    @property
    def name(self) -> str:
        """Returns its name everywhere, like `random-deletion-0.001-s0`; options not as by default follow."""
        family, kind, *options = self.words
        return "-".join([family, kind, f"{self.share:g}", f"s{self.seed}", *options, *_fresh(self.training_seed)])


class Combined(Section):
    """Several edits at once, as one scenario: each of them is drawn from the rows that none before it has edited."""

    edits: list[Change] = Field(min_length=2)
    """The edits, as `family` and `kind`. The share's rows are dealt out evenly, one more to the first of them where
    they do not come out even."""
    share: Share = 0.001
    """Share of the training rows that are edited, by all of them together."""
    seed: int = Field(default=0, ge=0)
    """Seed of the selection, of the new items and of the new times, apart from the run's seed."""
    training_seed: TrainingSeed = "shared"
    """`fresh` trains the probe under another seed too: edits and seed noise together."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_of_a_single_edit(cls, values: Any) -> Any:
        return _without(values, "family, kind: each of `edits` has its own", "family", "kind")

    @model_validator(mode="after")
    def _name_can_be_one(self) -> "Combined":
        check_name(self.name, "its edits make the name")
        return self

    @property
    def name(self) -> str:
        """Returns its name everywhere, like `random-deletion-and-latest-insertion-0.001-s0`."""
        every = "-and-".join("-".join(change.words) for change in self.edits)
        return "-".join([every, f"{self.share:g}", f"s{self.seed}", *_fresh(self.training_seed)])


class EditFile(Section):
    """Edits that a file names, in the form of the `edits.parquet` that the step perturb writes."""

    file: Address = Field(min_length=1)
    """Path or URI of the Parquet file. On a cluster a URI like s3://bucket/edits.parquet (gs:// and abfs:// too)."""
    scenario: str = ""
    """Which of the file's scenarios; it may be left out where the file has a single one."""
    name: str = ""
    """The scenario's name everywhere. Left out: the file's, without its ending, and `scenario`."""
    sha256: Annotated[str, Written("^([0-9a-f]{64})?$", "the 64 hex digits, in lower case, of a SHA-256")] = ""
    """Digest that the file must have. Empty: whatever preflight finds, which it writes into the run's config."""
    training_seed: TrainingSeed = "shared"
    """`fresh` trains the probe under another seed too: edits and seed noise together."""

    @model_validator(mode="before")
    @classmethod
    def _named_after_the_file(cls, values: Any) -> Any:
        values = _without(
            values, "family, kind, edits, share, seed: the file says it all", *Scenario.model_fields, "edits"
        )
        if not isinstance(values, dict) or values.get("name") or not isinstance(file := values.get("file"), str):
            return values
        scenario = values.get("scenario")
        words = [PurePosixPath(file).stem, *([scenario] if isinstance(scenario, str) and scenario else [])]
        return {**values, "name": "-".join([*words, *_fresh(values.get("training_seed"))])}

    @field_validator("name")
    @classmethod
    def _name_can_be_one(cls, value: str) -> str:
        check_name(value, "give it another name than")
        return value


def _without(values: Any, why: str, *keys: str) -> Any:
    """Returns what is given for a scenario. Raises ValueError where keys of another kind of scenario are among it."""
    if isinstance(values, dict) and (found := [key for key in keys if key in values and key != "training_seed"]):
        raise ValueError(f"cannot have {', '.join(found)} ({why})")
    return values


def _fresh(training_seed: object) -> list[str]:
    return ["fresh"] if training_seed == "fresh" else []


def check_name(name: str, words: str) -> None:
    """Raises ValueError where files, metrics and the controls leave no room for a scenario's name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{words} {name}, which files and metrics cannot have: letters, digits, _.- can")
    if len(name) > LONGEST:
        raise ValueError(f"{words} {name}, which is longer than {LONGEST} characters")
    if name in CONTROLS:
        raise ValueError(f"{words} {name}, which a control has")


def _form(value: Any) -> str:
    """Returns which kind of scenario a value stands for."""
    if isinstance(value, (Combined, EditFile)):
        return "combined" if isinstance(value, Combined) else "read"
    keys = value if isinstance(value, dict) else {}
    return "read" if "file" in keys else "combined" if "edits" in keys else "drawn"


Drawn = Scenario | Combined
"""A scenario whose edits are drawn from the data at hand."""
AnyScenario = Annotated[
    Annotated[Scenario, Tag("drawn")] | Annotated[Combined, Tag("combined")] | Annotated[EditFile, Tag("read")],
    Discriminator(_form),
]


class Perturb(Section):
    """The scenarios, and how their probes are dealt to groups."""

    scenarios: list[AnyScenario] = Field(
        default=[
            Scenario(kind=kind, seed=seed) for seed in (0, 1) for kind in ("deletion", "replacement", "insertion")
        ],
        min_length=1,
    )
    """The scenarios; one probe is trained under each. A scenario is drawn (`kind`), is several edits at once (`edits`),
    or is read from a file (`file`). Rule `stability` needs three, and six, two of each kind, to refuse fewer than a
    fifth of models that are .02 above its bound (docs/error_rates.md)."""
    groups: int = Field(default=1, ge=1, le=64)
    """Groups of variants that are trained together; one a GPU on a cluster, one on a laptop."""

    @field_validator("scenarios")
    @classmethod
    def _names_are_unique(cls, scenarios: list[AnyScenario]) -> list[AnyScenario]:
        names = [scenario.name for scenario in scenarios]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two scenarios are the same: {', '.join(twice)}")
        return scenarios

    @property
    def trainings(self) -> int:
        """Returns the number of trainings of a run: a probe a scenario, the controls, and a clean one in every group.

        >>> Perturb().trainings, Perturb(groups=3).trainings
        (10, 12)
        """
        return len(self.scenarios) + len(CONTROLS) + self.groups - 1

    @property
    def files(self) -> Sequence[EditFile]:
        """Returns the scenarios that are read from files."""
        return [scenario for scenario in self.scenarios if isinstance(scenario, EditFile)]
