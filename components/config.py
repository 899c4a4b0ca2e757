"""Config of the steps: the sections that they get, and what all of them do around their work."""

from typing import Literal

from pydantic import Field

from components import logs
from components.notify.config import Notify
from components.preflight.config import Preflight
from components.promote.config import Promote
from components.recommend.config import Recommend
from finest import patience
from finest.data.config import Ingest
from finest.gate.config import Gate
from finest.perturb.config import Perturb
from finest.section import Section
from finest.training.config import Finetune, Pretrain


class Sections(Section):
    """Holds the sections that steps get, each named after its step.

    A line here makes a new one known to the config and the pipeline; preflight has a parameter for it besides.
    """

    preflight: Preflight = Preflight()
    """What must hold before anything expensive starts."""
    ingest: Ingest = Ingest()
    """How the source is read, cleaned and split."""
    perturb: Perturb = Perturb()
    """Which edits to the training data a run must survive."""
    pretrain: Pretrain = Field(default_factory=Pretrain)
    """The model, and its training from random weights."""
    finetune: Finetune = Finetune()
    """FINEST fine-tuning."""
    gate: Gate = Gate()
    """What a candidate must show."""
    promote: Promote = Promote()
    """What is checked before the alias of the line's registered model moves."""
    recommend: Recommend = Recommend()
    """Lists of the champion for all users, once the alias has moved."""
    notify: Notify = Notify()
    """Who hears of the verdict."""


class Steps(Section):
    """Holds what every step gets in its environment. On a cluster these are constants of the compiled pipeline."""

    patience_minutes: float = Field(default=10.0, ge=0)
    """How long the object store, MLflow, its database or KFP's API may be away before a step fails for it, in minutes;
    each wait is a line in the log. 0: not at all."""
    log: Literal["text", "json"] = "text"
    """Lines of a step's log: for people, or one JSON object each."""

    def environment(self) -> dict[str, str]:
        """Returns the section as environment variables."""
        return {patience.VARIABLE: f"{60 * self.patience_minutes:g}", logs.VARIABLE: self.log}
