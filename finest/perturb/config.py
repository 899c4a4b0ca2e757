"""Config of perturbations: which edits to the training data a run must survive."""

from typing import Literal

from pydantic import Field, field_validator

from finest.section import Section

Family = Literal["random", "earliest", "latest", "casper"]
Kind = Literal["deletion", "replacement", "insertion"]


class Scenario(Section):
    """A family, kind, share and seed of perturbations; one probe is trained under each."""

    family: Family = "random"
    """How rows are selected: at random, among each user's first or last tenth, or by CASPER's cascade counts (arXiv 2201.12686)."""
    kind: Kind
    """What is done to a selected row: it is deleted, its item is replaced, or a row with another item is put in before it."""
    share: float = Field(default=0.001, gt=0, le=0.5)
    """Share of the training rows that are edited. Paper: 0.1%."""
    seed: int = Field(default=0, ge=0)
    """Seed of the selection and of the new items, apart from the run's seed."""
    new_item: Literal["random", "least_popular"] = "random"
    """The item put in by a replacement or an insertion."""
    training_seed: Literal["shared", "fresh"] = "shared"
    """`fresh` trains the probe under another seed too: edits and seed noise together."""

    @property
    def name(self) -> str:
        """The scenario's name everywhere, like `random-deletion-0.001-s0`."""
        words = [self.family, self.kind, f"{self.share:g}", f"s{self.seed}"]
        if self.new_item != "random" and self.kind != "deletion":
            words.append(self.new_item)
        if self.training_seed == "fresh":
            words.append("fresh")
        return "-".join(words)


class Perturb(Section):
    """The scenarios, and how their probes are dealt to groups."""

    scenarios: list[Scenario] = Field(
        default=[Scenario(kind="deletion"), Scenario(kind="replacement"), Scenario(kind="insertion")], min_length=1
    )
    """The scenarios; one probe is trained under each. Rule `stability` needs three."""
    groups: int = Field(default=1, ge=1, le=64)
    """Groups of variants that are trained together; one a GPU on a cluster, one on a laptop."""
    look_back: int = Field(default=50, ge=2)
    """CASPER: a user's or an item's last `look_back - 1` interactions carry edges. As published: 50."""

    @field_validator("scenarios")
    @classmethod
    def _names_are_unique(cls, scenarios: list[Scenario]) -> list[Scenario]:
        names = [scenario.name for scenario in scenarios]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two scenarios are the same: {', '.join(twice)}")
        return scenarios
