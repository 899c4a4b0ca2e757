"""Step `ingest` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def ingest(
    source: str, listing: str, items_needed: int, config: dict, checkpoints: str, interactions: dsl.Output[dsl.Dataset]
) -> None:
    """Reads, cleans and splits the interactions.

    Args:
        source: Interactions: a URI or the name of a sample.
        listing: Hash of the source's listing as preflight saw it.
        items_needed: Number of items that fine-tuning needs at least.
        config: Section `ingest`.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        interactions: The data set: folder of `interactions.parquet`, `users.parquet`, `items.parquet`,
            `quarantine.parquet` and `manifest.json`, and of `segments.parquet` where the config names segments.
    """
    from pathlib import Path

    from components.ingest.work import read
    from components.sections import parse
    from components.step import running
    from finest.data.config import Ingest

    with running("ingest", checkpoints=checkpoints):
        manifest = read(source, listing, items_needed, parse(Ingest, config, "ingest"), Path(interactions.path))
    interactions.metadata["fingerprint"] = manifest.fingerprint
