"""How long all variants of a run train and what they are served with, and why: found once, by `calibrate`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from finest import documents, sealed
from finest.models.length import Length
from finest.section import Section

FILE = "recipe.json"
"""Name of the file."""

Choice = Literal["stack", "memory", "network"]


class Found(Section):
    """Holds where a training stopped, and why."""

    steps: int
    """Number of steps of the best look."""
    value: float
    """What was measured there."""
    last: int
    """Number of steps that were taken in all."""
    why: Literal["patience", "maximum"]
    """`patience`: there was no better look for long enough; `maximum`: no further step was allowed."""


class Recipe(Section):
    """Holds how long all variants of a run train and what they are served with, and why."""

    chosen: Choice
    """`stack`: network and memory together; `memory`: counts alone; `network`: the network alone."""
    configured: bool = False
    """Whether the config says so, whatever is found."""
    weights: dict[str, float] | None = None
    """Weights of the memory, the network's among them; None without one."""
    power: float | None = None
    """Power q of the loss that they were fitted by."""
    mrr: dict[str, float] = Field(default={})
    """Mean reciprocal rank of network, memory and stack on held-out rows."""
    gain: float | None = None
    """What the network adds to the memory's MRR there."""
    standard_error: float | None = None
    """Its standard error, by user."""
    memory_gain: float | None = None
    """What the memory adds to the network's MRR there."""
    memory_standard_error: float | None = None
    """Its standard error, by user."""
    incumbent: bool = False
    """Whether the champion's way to serve stays, though another one is better by no more than chance allows."""
    instances: int = 0
    """Number of instances that this was measured on."""
    changed: list[str] = Field(default=[])
    """Settings that decide what is counted and are not the champion's, like `neighbours 50 instead of 100`."""
    network: Literal["cut", "champion"] = "cut"
    """Whose scores stood for the network's: `cut`, a training on a validation cut, on its held-out rows; `champion`,
    the model in production, on training rows that it has not seen."""
    length: Length | None = None
    """How long variants train, as later nights are to know; None where nothing is calibrated."""
    kept: bool = False
    """Whether the config leaves the length open, and it is the champion's."""
    found: Found | None = None
    """Where the training on the validation cut stopped; None where this run has not measured it."""
    scale: float | None = None
    """Number of steps of an epoch of all rows for one of the validation cut."""

    @property
    def sentence(self) -> str:
        """Returns what is served, what each part brings and how long is trained, for a reader of the report.

        '' where nothing was to choose.

        >>> mrr = {"stack": 0.0996, "memory": 0.0927, "network": 0.0853}
        >>> gains = {"gain": 0.0069, "standard_error": 0.002, "memory_gain": 0.0143, "memory_standard_error": 0.0021}
        >>> Recipe(chosen="stack", mrr=mrr, instances=9000, **gains).sentence
        'Served are network and counts together: on 9000 held-out rows of the validation cut MRR is 0.0853 of the \
network alone, 0.0927 of counts alone and 0.0996 of both; beside counts the network adds +0.0069 (standard error \
0.0020), beside the network counts add +0.0143 (0.0021).'
        >>> found = Found(steps=650, value=0.0712, last=850, why="patience")
        >>> length = Length(steps=715, epochs=11.0, measured=0, settings="")
        >>> Recipe(chosen="network", length=length, found=found, scale=1.1).sentence
        'Every variant trains 715 steps (11.0 epochs): on the validation cut MRR was best after 650 steps, 0.0712, and \
no better in 200 more; an epoch of all rows has 1.10 times as many.'
        >>> Recipe(chosen="network", changed=["neighbours 50 instead of 100"]).sentence
        "Counts are made in another way than the champion's: neighbours 50 instead of 100."
        >>> Recipe(chosen="network", length=length, kept=True).sentence
        'Every variant trains 715 steps (11.0 epochs), as long as the champion by the number of windows.'
        """
        return " ".join(part for part in (self.served, self._changed(), self._trained()) if part)

    @property
    def served(self) -> str:
        """Returns what is served and what each part brings; '' where nothing was to choose."""
        if not self.mrr:
            return ""
        words = {"stack": "network and counts together", "memory": "counts alone", "network": "the network alone"}
        rows = {
            "cut": "held-out rows of the validation cut MRR is {:.4f} of the network alone",
            "champion": "training rows that the champion has not seen MRR is {:.4f} of its network alone",
        }
        why = ", as by the champion" if self.incumbent else ""
        why = ", as pretrain.memory.serve says" if self.configured else why
        return (
            f"Served {'are' if self.chosen != 'network' else 'is'} {words[self.chosen]}{why}: on "
            f"{self.instances} {rows[self.network].format(self.mrr['network'])}, {self.mrr['memory']:.4f} of counts "
            f"alone and {self.mrr['stack']:.4f} of both; beside counts the network adds {self.gain:+.4f} "
            f"(standard error {self.standard_error:.4f}), beside the network counts add {self.memory_gain:+.4f} "
            f"({self.memory_standard_error:.4f})."
        )

    def _changed(self) -> str:
        return f"Counts are made in another way than the champion's: {', '.join(self.changed)}." if self.changed else ""

    def _trained(self) -> str:
        if self.length is None or not (self.found or self.kept):
            return ""
        trains = f"Every variant trains {self.length.steps} steps ({self.length.epochs:.1f} epochs)"
        if self.found is None:
            return f"{trains}, as long as the champion by the number of windows."
        best = f"on the validation cut MRR was best after {self.found.steps} steps, {self.found.value:.4f}"
        why = f"no better in {self.found.last - self.found.steps} more"
        if self.found.why == "maximum":
            why = f"pretrain.max_epochs ended it after {self.found.last}"
        return f"{trains}: {best}, and {why}; an epoch of all rows has {self.scale:.2f} times as many."

    def write(self, folder: Path) -> None:
        """Writes `folder`/recipe.json."""
        (folder / FILE).write_text(self.model_dump_json(indent=2))
        sealed.seal(folder)

    @classmethod
    def read(cls, folder: Path) -> "Recipe":
        """Returns what `write` wrote. Raises DamagedError where the folder is not that."""
        sealed.check(folder)
        return documents.read(folder / FILE, cls, "run the step calibrate again")
