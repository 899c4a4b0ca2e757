"""Config of what all steps do around their work."""

from typing import Literal

from pydantic import Field

from components import logs
from finest import patience
from finest.section import Section


class Steps(Section):
    """What every step gets in its environment. On a cluster these are constants of the compiled pipeline."""

    patience_minutes: float = Field(default=10.0, ge=0)
    """How long the object store, MLflow, its database or KFP's API may be away before a step fails for it; each wait is a line in the log.
    0: not at all."""
    log: Literal["text", "json"] = "text"
    """Lines of a step's log: for people, or one JSON object each."""

    def environment(self) -> dict[str, str]:
        """As variables."""
        return {patience.VARIABLE: f"{60 * self.patience_minutes:g}", logs.VARIABLE: self.log}
