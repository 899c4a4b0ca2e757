"""How long a model was trained, as its package has it: later nights train as long, by the number of windows."""

from finest.section import Section


class Length(Section):
    """Holds for how long a validation cut says that models of a line are trained."""

    steps: int
    """Number of optimizer steps."""
    epochs: float
    """The same in passes over the training windows, by which it is scaled to another night's."""
    measured: int
    """Time of the newest training row of the data that it was measured on, in microseconds since 1970 (UTC)."""
    settings: str
    """Digest of the settings that it holds for."""

    def scaled(self, batches: int) -> "Length":
        """Returns the length on data whose epochs have so many steps.

        >>> Length(steps=100, epochs=12.5, measured=0, settings="").scaled(9).steps
        112
        """
        return self.model_copy(update={"steps": max(1, round(self.epochs * batches))})
