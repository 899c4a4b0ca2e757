"""Searches: asks Optuna for configs, measures each, and keeps what came of it where another attempt finds it.

Two values are sought at once, MRR and RBO, by Optuna's tree-structured Parzen estimators. Optuna prunes no trial of two
values, so the rule is ours: a trial ends at the first rung (finest.tuning.measure) at which its network's MRR is below
the median of earlier trials there, once MEDIAN_OF of these have come so far.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finest.data.cuts import split
from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.keys import key
from finest.perturb.config import Drawn
from finest.training import checkpoint
from finest.training.device import choose as choose_device
from finest.training.device import hardware
from finest.training.group import default_processes
from finest.training.progress import Progress, Report
from finest.training.store import Store
from finest.training.workers import Event, run
from finest.tuning.config import Tune
from finest.tuning.measure import Job, measure
from finest.tuning.shelf import Shelf
from finest.tuning.space import Key, Pair, Values, keys_of, with_values
from finest.tuning.trial import Trial, finished

if TYPE_CHECKING:
    import optuna

MEDIAN_OF = 4
"""Number of earlier trials at a rung from which on a trial can be pruned there."""
RANDOM = 8
"""Number of trials, the config's own among them, before Optuna begins to learn from them."""
RECORD = "trial "
"""Beginning of the names of the attributes of Optuna's study with our own records of trials; their numbers follow."""
SECONDS = "seconds"
"""Name of the attribute with the wall time that all attempts took."""


def search(
    data: Dataset,
    config: Pair,
    scenario: Drawn,
    tune: Tune,
    seed: int,
    store: Store,
    report: Report,
    on_trial: Callable[[Trial], None],
) -> list[Trial]:
    """Returns the trials of a search, the config's own first.

    A search that was killed goes on in `store`: the same data, config, space and seed are the same search, whatever its
    minutes and trials. Held-out rows of `data` are dropped before anything else.

    Args:
        data: The data set.
        config: What the search begins with.
        scenario: Edits of the probe, whose lists are compared with the clean variant's.
        tune: Space and budget.
        seed: Seed of trainings, and of what is drawn.
        store: Place of the search and of its checkpoints.
        report: Told of progress.
        on_trial: Told of every trial that is over, those of earlier attempts included.
    """
    data = split(data, data.train, data.train)
    keys = keys_of(config, tune)
    name = f"tune/{_name(data, config, scenario, keys, seed)}/"
    with ExitStack() as stack:
        stack.enter_context(store.lock(f"{name}search"))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        study = Study(Path(folder) / "journal", Shelf(store, name), keys, seed)
        for trial in study.trials():
            on_trial(trial)
        clock = Clock(tune.minutes * 60, study.seconds())
        began = Began(time.time(), len(study.trials()))
        device = choose_device(config.pretrain.device)
        at_once = config.pretrain.processes or default_processes()
        at_once = at_once if device.type == "cpu" and config.pretrain.data_parallel == 1 else 1
        while asked := study.open() or _ask(study, tune, clock, at_once):
            heard = _Heard(report, study.trials(), clock, began, tune)
            jobs = [
                Job(
                    data,
                    with_values(config, values),
                    scenario,
                    seed,
                    number,
                    values,
                    Shelf(store, f"{name}{number}/"),
                    bars(study.trials()) if number else {},
                    clock.deadline if number else float("inf"),
                )
                for number, values in asked.items()
            ]
            results = run([partial(measure, job) for job in jobs], device, at_once, heard)
            over = [trial for trial in results if trial is not None]
            if over and over[0].number == 0 and over[0].state == "failed":
                raise FinestError(f"the config that the search begins with cannot be trained: {over[0].reason}")
            study.tell(over, clock.spent())
            for trial in over:
                on_trial(trial)
                Shelf(store, f"{name}{trial.number}/").delete("")
            if len(over) < len(results):
                break
        return study.trials()


def bars(trials: Sequence[Trial]) -> dict[int, float]:
    """Returns the MRR by epochs under which a trial is pruned: the median of what trials had there.

    >>> made = [Trial(number=n, values={}, state="pruned", rungs={4: n}) for n in range(4)]
    >>> bars(made[:3]), bars(made)
    ({}, {4: 1.5})
    """
    found: dict[int, list[float]] = {}
    for trial in trials:
        for epochs, mrr in trial.rungs.items():
            found.setdefault(epochs, []).append(mrr)
    return {epochs: statistics.median(values) for epochs, values in found.items() if len(values) >= MEDIAN_OF}


class Clock:
    """Measures the time of a search, that of earlier attempts included."""

    def __init__(self, limit: float, before: float):
        self.limit, self.began = limit, time.time() - before

    @property
    def deadline(self) -> float:
        """Returns the moment at which the time is over, in seconds since 1970."""
        return self.began + self.limit

    def spent(self) -> float:
        """Returns the seconds so far."""
        return time.time() - self.began


@dataclass(frozen=True)
class Began:
    """Says when this attempt began, and how many trials were over by then: its progress is counted from there."""

    moment: float
    trials: int

    def time_done(self, clock: Clock) -> float:
        """Returns the share of this attempt's time that is over."""
        return (time.time() - self.moment) / max(clock.deadline - self.moment, 1e-9)

    def trials_done(self, over: int, most: int | None) -> float:
        """Returns the share of this attempt's trials that are over; 0 where their number has no limit."""
        return (over - self.trials) / (most - self.trials) if most and most > self.trials else 0.0


class Study:
    """Holds the search as Optuna has it, in a file that is stored after every change."""

    def __init__(self, file: Path, store: Shelf, keys: Sequence[Key], seed: int):
        self.file, self.store, self.keys, self.seed = file, store, keys, seed
        self.found = _opened(file, store)

    def trials(self) -> list[Trial]:
        """Returns our records of the trials that are over."""
        records = [value for name, value in self.found.user_attrs.items() if name.startswith(RECORD)]
        return sorted((Trial.model_validate(one) for one in records), key=lambda one: one.number)

    def open(self) -> dict[int, Values]:
        """Returns the values, by number, of trials that were asked for and are not over: an earlier attempt's."""
        names = {key.name for key in self.keys}
        return {
            one.number: dict(one.params)
            for one in self.found.get_trials(deepcopy=False)
            if not one.state.is_finished() and set(one.params) == names
        }

    def seconds(self) -> float:
        """Returns the wall time of all attempts."""
        return float(self.found.user_attrs.get(SECONDS, 0.0))

    def ask(self, count: int) -> dict[int, Values]:
        """Returns the values of so many new trials by number; 0 is the config's own.

        What is drawn depends on the seed, the trial's number and the trials before it, and on nothing else.
        """
        import optuna

        asked = {}
        for _ in range(count):
            number = len(self.found.get_trials(deepcopy=False))
            if number == 0:
                self.found.enqueue_trial({key.name: key.own for key in self.keys})
            self.found.sampler = optuna.samplers.TPESampler(
                seed=key("tune", self.seed, number) % 2**31, n_startup_trials=RANDOM
            )
            trial = self.found.ask()
            asked[trial.number] = {key.name: key.suggest(trial) for key in self.keys}
        self._keep()
        return asked

    def tell(self, trials: Sequence[Trial], seconds: float) -> None:
        """Records trials that are over, and the time so far."""
        from optuna.trial import TrialState

        for trial in trials:
            self.found.set_user_attr(f"{RECORD}{trial.number}", trial.model_dump(mode="json"))
            if trial.state == "finished":
                assert trial.mrr is not None and trial.rbo is not None
                self.found.tell(trial.number, [trial.mrr, trial.rbo])
            else:
                state = TrialState.PRUNED if trial.state == "pruned" else TrialState.FAIL
                self.found.tell(trial.number, state=state)
        self.found.set_user_attr(SECONDS, seconds)
        self._keep()

    def _keep(self) -> None:
        self.store.note("journal", self.file)


def _opened(file: Path, store: Shelf) -> "optuna.Study":
    """Returns the study of an earlier attempt, or a new one."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise FinestError(
            f"the search needs {error.name}, which the extra brings: pip install 'finest[pipeline]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store.noted("journal", file)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(
        storage=storage, study_name="tune", directions=["maximize", "maximize"], load_if_exists=True
    )


def _ask(study: Study, tune: Tune, clock: Clock, at_once: int) -> dict[int, Values]:
    """Returns new trials, as many as can be measured at once; none where the budget is spent."""
    known = len(study.trials())
    left = at_once if tune.trials is None else min(at_once, tune.trials - known)
    if left < 1 or (known and clock.spent() >= clock.limit):
        return {}
    return study.ask(left)


def _name(data: Dataset, config: Pair, scenario: Drawn, keys: Sequence[Key], seed: int) -> str:
    """Returns the name of a search: a digest of all that its trials depend on."""
    pretrain = config.pretrain
    device = choose_device(pretrain.device)
    facts: dict[str, Any] = {
        "variant": "search",
        "data": data.manifest.fingerprint,
        "exclude_seen": data.manifest.exclude_seen,
        "depth": data.manifest.depth,
        "pretrain": pretrain.model_dump(mode="json", exclude={"device", "processes", "replicas"}),
        "finetune": config.finetune.model_dump(mode="json"),
        "scenario": scenario.model_dump(mode="json"),
        "keys": [[one.name, repr(one.drawn)] for one in keys],
        "seed": seed,
        "device": hardware(device) if device.type == "cuda" else device.type,
    }
    return checkpoint.key(facts)


class _Heard:
    """Turns events of trainings into the search's progress."""

    def __init__(self, report: Report, trials: Sequence[Trial], clock: Clock, began: Began, tune: Tune):
        self.report, self.clock, self.began = report, clock, began
        self.trials = began.trials_done(len(trials), tune.trials)
        best = max((one.mrr for one in finished(trials) if one.mrr is not None), default=None)
        self.known = f"{len(trials)} trials over" + ("" if best is None else f", best MRR {best:.4f}")

    def __call__(self, event: Event) -> None:
        name, record = event
        done = min(max(self.began.time_done(self.clock), self.trials), 1.0)
        text = f"{self.known}; {name}: {record['stage']} {record['epoch']}"
        variant, resumed = name.replace(" ", "-"), record.get("resumed", False)
        self.report(
            Progress(done, text, variant, record["stage"], record["epoch"], record["loss"], resumed, of="the search")
        )
