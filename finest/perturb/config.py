"""Config of perturbations: which edits to the training data a run must survive."""

from typing import Annotated, Literal, assert_never

from pydantic import Field, field_validator, model_validator

from finest.perturb.registry import EDITS, FAMILIES, Options
from finest.registry import NAME, Named
from finest.section import Section


class Scenario(Section):
    """A family, kind, share and seed of perturbations; one probe is trained under each."""

    family: Annotated[Options, Named(FAMILIES)] = Field(default="random", validate_default=True)
    """How rows are selected: `random`, among each user's first or last tenth (`earliest`, `latest`), or by CASPER's
    cascade counts (`casper`, arXiv 2201.12686). A name, or a section with the family's options: `{name: casper,
    look_back: 20}`."""
    kind: Annotated[Options, Named(EDITS)]
    """What is done to a selected row: it is deleted (`deletion`), its item is replaced (`replacement`), or a row with
    another item is put in before it (`insertion`). A name, or a section with the kind's options: `{name: insertion,
    new_item: least_popular}`."""
    share: float = Field(default=0.001, gt=0, le=0.5)
    """Share of the training rows that are edited. Paper: 0.1%."""
    seed: int = Field(default=0, ge=0)
    """Seed of the selection and of the new items, apart from the run's seed."""
    training_seed: Literal["shared", "fresh"] = "shared"
    """`fresh` trains the probe under another seed too: edits and seed noise together."""

    @model_validator(mode="after")
    def _name_can_be_one(self) -> "Scenario":
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"its options make the name {self.name}, which files and metrics cannot have: letters, digits, _.- can"
            )
        return self

    @property
    def name(self) -> str:
        """Returns its name everywhere, like `random-deletion-0.001-s0`; options not as by default follow."""
        words = [self.family.name, self.kind.name, f"{self.share:g}", f"s{self.seed}"]
        words += [*self.family.words(), *self.kind.words()]
        if self.training_seed == "fresh":
            words.append("fresh")
        elif self.training_seed != "shared":
            assert_never(self.training_seed)
        return "-".join(words)


class Perturb(Section):
    """The scenarios, and how their probes are dealt to groups."""

    scenarios: list[Scenario] = Field(
        default=[
            Scenario(kind=kind, seed=seed) for seed in (0, 1) for kind in ("deletion", "replacement", "insertion")
        ],
        min_length=1,
    )
    """The scenarios; one probe is trained under each. Rule `stability` needs three, and six, two of each kind, to
    refuse fewer than a fifth of models that are .02 above its bound (docs/error_rates.md)."""
    groups: int = Field(default=1, ge=1, le=64)
    """Groups of variants that are trained together; one a GPU on a cluster, one on a laptop."""

    @field_validator("scenarios")
    @classmethod
    def _names_are_unique(cls, scenarios: list[Scenario]) -> list[Scenario]:
        names = [scenario.name for scenario in scenarios]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two scenarios are the same: {', '.join(twice)}")
        return scenarios
