"""Searches, in the process that its step watches over.

Its imports, and reading the config, are for that process alone: the step needs no torch, which a model's config loads.
"""

from pathlib import Path
from typing import Any

from finest.training.progress import Report


def find(
    interactions: Path,
    source: str,
    seed: int,
    config: dict[str, Any],
    sections: dict[str, Any],
    checkpoints: str,
    parent: str,
    found: Path,
    report: Report,
) -> None:
    """Searches, logs every trial to MLflow, and writes the folder `found`.

    Args:
        interactions: Folder of the data set.
        source: Interactions: a URI or the name of a sample.
        seed: Seed of the whole run.
        config: Section `tune`.
        sections: The sections of all steps, as the pipeline was given them.
        checkpoints: Folder or URI of the checkpoints.
        parent: Id of the pipeline run's parent run in MLflow.
        found: The folder.
        report: Told of progress.
    """
    import yaml

    import storage
    from components.config import Sections
    from components.sections import parameters, parse
    from finest import atomic
    from finest.data.dataset import load
    from finest.errors import ConfigError
    from finest.perturb.config import EditFile
    from finest.tuning.config import Tune
    from finest.tuning.page import CONFIG, PAGE, TABLE, page, table
    from finest.tuning.search import search
    from finest.tuning.space import Pair, placed
    from finest.tuning.trial import choose
    from tracking import trials as tracked

    tune, whole = parse(Tune, config, "tune"), parse(Sections, sections)
    scenario = next((one for one in whole.perturb.scenarios if not isinstance(one, EditFile)), None)
    if scenario is None:  # a file's edits are of the whole data, and a search measures on a cut of it
        raise ConfigError("perturb.scenarios: a search needs one whose edits are drawn, like {kind: deletion}; add it")
    log = tracked.Trials(parent)
    made = search(
        load(interactions),
        Pair(whole.pretrain, whole.finetune),
        scenario,
        tune,
        seed,
        storage.checkpoint_store(checkpoints),  # notify forgets what a run's own store notes; a search outlives its run
        report,
        log.add,
    )
    chosen = choose(made)
    with atomic.folder(found, replace=True) as folder:
        plain = {"source": source, "seed": seed, **parameters(whole), "tune": parameters(tune)}
        (folder / CONFIG).write_text(yaml.safe_dump(placed(plain, chosen.values), sort_keys=False))
        (folder / TABLE).write_text(table(made))
        (folder / PAGE).write_text(page(made, scenario, source))
        log.end(made[0], chosen, folder)
