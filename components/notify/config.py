"""Config of the step `notify`: who hears of the verdict."""

from pydantic import Field

from finest.section import Section


class Notify(Section):
    """Says who hears of the verdict: a webhook gets it as JSON.

    Its URL is a secret and never part of the config, which is logged.
    """

    webhook_variable: str = Field(default="FINEST_WEBHOOK", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the webhook's URL; nothing is posted where it is unset."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    """Longest time that the webhook may take to answer, in seconds."""
