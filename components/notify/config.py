"""Config of the step `notify`: who hears of the verdict."""

from typing import Annotated

from pydantic import Field

from finest.section import Section, Written

VARIABLE = "the name of an environment variable (the URL itself is a secret, and stands there)"


class Notify(Section):
    """Says who hears of the verdict: a webhook gets it as JSON.

    Its URL is a secret and never part of the config, which is logged.
    """

    webhook_variable: Annotated[str, Written(r"^[A-Za-z_][A-Za-z0-9_]*$", VARIABLE)] = "FINEST_WEBHOOK"
    """Environment variable that holds the webhook's URL; nothing is posted where it is unset."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    """Longest time that the webhook may take to answer, in seconds."""
