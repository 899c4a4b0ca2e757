"""Logs the trials of a search, each as a run below the pipeline run's, so that MLflow's table compares them."""

import time
from pathlib import Path

from finest.tuning.trial import Trial
from tracking.describe import log_params
from tracking.runs import children, name_ending, open_child
from tracking.store import connect

TRIAL = "trial"
"""Name of the tag with a trial's number."""
FOLDER = "tune"
"""Folder of the search's files among the artifacts of the pipeline run's parent."""


class Trials:
    """Logs the trials of one search below a parent run. Those that are there already are left as they are."""

    def __init__(self, parent: str):
        self.client, self.parent = connect(), parent
        self.there = {
            child.data.tags[TRIAL]
            for child in children(self.client, parent)
            if TRIAL in child.data.tags and child.info.status == "FINISHED"
        }

    def add(self, trial: Trial) -> None:
        """Logs a trial that is over: its values as params, MRR and RBO as metrics, under the names of a run's."""
        if str(trial.number) in self.there:
            return
        tags = {TRIAL: str(trial.number), "state": trial.state, "served": trial.served, "reason": trial.reason}
        name = f"trial {trial.number}{' (the config itself)' if trial.number == 0 else ''}"
        id = open_child(self.client, self.parent, name, {key: value for key, value in tags.items() if value})
        log_params(self.client, id, {key: str(value) for key, value in trial.values.items()})
        metrics = {"accuracy/mrr": trial.mrr, "rls/rbo": trial.rbo, "tune/seconds": trial.seconds}
        now = int(time.time() * 1000)
        for metric, value in metrics.items():
            if value is not None:
                self.client.log_metric(id, metric, value, now, 0)
        for epochs, mrr in trial.rungs.items():
            self.client.log_metric(id, "tune/network_mrr", mrr, now, epochs)
        self.client.set_terminated(id, "FINISHED")
        self.there.add(str(trial.number))

    def end(self, own: Trial, chosen: Trial, folder: Path) -> None:
        """Logs what came of the search on the parent: the config's own trial beside the chosen one, and the files."""
        for name, trial in (("config", own), ("chosen", chosen)):
            for metric, value in (("mrr", trial.mrr), ("rbo", trial.rbo)):
                if value is not None:
                    self.client.log_metric(self.parent, f"tune/{name}_{metric}", value)
        self.client.set_tag(self.parent, "chosen_trial", str(chosen.number))
        self.client.log_artifacts(self.parent, str(folder), FOLDER)
        name_ending(self.client, self.parent, "tuned")
