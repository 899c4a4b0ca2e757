"""Config of the step `promote`: the registered model whose alias `champion` is moved."""

from pydantic import Field

from finest.section import Section


class Promote(Section):
    """Says where a candidate goes once it is judged."""

    registered_model: str = Field(default="finest", pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the registered model in MLflow."""
    register_rejected: bool = False
    """Register a rejected candidate too, as `challenger`, so that it can be looked into. It is never `champion`."""
    verify_instances: int = Field(default=200, ge=1)
    """Number of instances whose lists the registered version must reproduce before the alias moves."""
