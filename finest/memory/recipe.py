"""What all variants of a run are served with, and why: found once, by `finest.training.calibrate`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from finest.section import Section

FILE = "recipe.json"
"""Name of the file."""

Choice = Literal["stack", "memory", "network"]


class Recipe(Section):
    """Holds what all variants of a run are served with, and why."""

    chosen: Choice
    """`stack`: network and memory together; `memory`: counts alone; `network`: the network alone."""
    configured: bool = False
    """Whether the config says so, whatever is found."""
    weights: dict[str, float] | None = None
    """Weights of the memory, the network's among them; None without one."""
    power: float | None = None
    """Power q of the loss that they were fitted by."""
    mrr: dict[str, float] = Field(default={})
    """Mean reciprocal rank of network, memory and stack on held-out rows of the validation cut."""
    gain: float | None = None
    """What the network adds to the memory's MRR there."""
    standard_error: float | None = None
    """Its standard error, by user: a network that gains less is left out."""
    instances: int = 0
    """Number of instances that this was measured on."""

    @property
    def sentence(self) -> str:
        """Returns what is served and what each part brings, for a reader of the report; '' where nothing was to choose.

        >>> mrr = {"stack": 0.0996, "memory": 0.0927, "network": 0.0853}
        >>> Recipe(chosen="stack", mrr=mrr, gain=0.0069, standard_error=0.002, instances=9000).sentence
        'Served are network and counts together: on 9000 held-out rows of the validation cut MRR is 0.0853 of the \
network alone, 0.0927 of counts alone and 0.0996 of both; the network adds +0.0069 (standard error 0.0020).'
        """
        if not self.mrr:
            return ""
        words = {"stack": "network and counts together", "memory": "counts alone", "network": "the network alone"}
        return (
            f"Served {'are' if self.chosen != 'network' else 'is'} {words[self.chosen]}"
            f"{', as pretrain.memory.serve says' if self.configured else ''}: on {self.instances} held-out "
            f"rows of the validation cut MRR is {self.mrr['network']:.4f} of the network alone, "
            f"{self.mrr['memory']:.4f} of counts alone and {self.mrr['stack']:.4f} of both; the network adds "
            f"{self.gain:+.4f} (standard error {self.standard_error:.4f})."
        )

    def write(self, folder: Path) -> None:
        """Writes `folder`/recipe.json."""
        (folder / FILE).write_text(self.model_dump_json(indent=2))

    @classmethod
    def read(cls, folder: Path) -> "Recipe":
        """Returns what `write` wrote."""
        return cls.model_validate_json((folder / FILE).read_text())
