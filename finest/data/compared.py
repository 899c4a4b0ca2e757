"""What comparing a night's data with that of other nights finds."""

from collections.abc import Iterator
from typing import Literal

from finest.data.description import Description, Told
from finest.errors import DataError


class NightData(Told):
    """Holds what later nights need of a night's data."""

    fingerprint: str
    """Fingerprint of the data set."""
    description: Description


class Found(Told):
    """Holds a number of the night's data beside those of the last nights."""

    name: str
    """Name in MEASURES, or `kept_rows`, `hours_off`."""
    words: str
    value: float
    low: float | None = None
    high: float | None = None
    """The least and the most that the nights had which it is compared with; None without any."""
    status: Literal["usual", "unusual", "refused", "alone"] = "alone"
    """`alone`: there is too little to compare with."""
    option: str = ""
    """Config key of the bound that refuses it."""
    sentence: str = ""
    """What that means, where it is unusual or refused."""


class Compared(Told):
    """Holds a night's data beside the line's last nights."""

    tonight: NightData
    """The night's data."""
    nights: int
    """Number of nights that it was compared with."""
    since: str = ""
    """Moment that the first of them stands for; empty without any."""
    until: str = ""
    """Likewise of the last one."""
    why_none: str = ""
    """Why it was compared with none; empty where it was compared."""
    found: tuple[Found, ...] = ()

    @property
    def refused(self) -> list[Found]:
        """Returns what is beyond the bounds."""
        return [one for one in self.found if one.status == "refused"]

    @property
    def metrics(self) -> dict[str, float]:
        """Returns the numbers by their names in MLflow."""
        numbers = {f"data/{one.name}": one.value for one in self.found}
        return {**numbers, "data/unusual": float(sum(one.status in ("unusual", "refused") for one in self.found))}

    def notes(self) -> Iterator[str]:
        """Yields what is unusual, a sentence each, and that nothing was there to compare with."""
        if self.why_none:
            yield f"The data was compared with no earlier night's: {self.why_none}."
        yield from (one.sentence for one in self.found if one.sentence)

    def check(self) -> None:
        """Raises DataError where something is beyond the bounds: all of it, with the key of each."""
        if refused := self.refused:
            said = "; ".join(f"{one.sentence.rstrip('.')} [ingest.expect.{one.option}]" for one in refused)
            raise DataError(
                f"the data is not what it should be: {said}. Nothing was trained, and the champion stays: mend the feed"
                " and run again, or, where the data is right, change the key in brackets"
            )
