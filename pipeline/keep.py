"""Config of what a state keeps."""

from pydantic import Field

from finest.section import Section


class Retention(Section):
    """Says what a local run removes of runs of the past, once it has ended well."""

    keep_runs: int | None = Field(default=None, ge=1)
    """Number of runs of a line that stay, the newest ones; unset: all. The runs of versions that an alias names stay
    whatever their age. What MLflow keeps of a run stays while a version of it is registered (`promote.keep_versions`);
    the gate looks back on 60 nights, so with less than that it looks back on fewer."""
