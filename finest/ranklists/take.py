"""Takes rank lists of a model for a data set's instances."""

import numpy as np

from finest.data.dataset import Dataset, Instances, Ints
from finest.models.ranking import rank, scored, top
from finest.models.recommender import Recommender
from finest.profiling.profiler import clocked
from finest.ranklists.schema import Description, RankLists, build


@clocked("lists")
def take(model: Recommender, data: Dataset, description: Description, instances: Instances | None = None) -> RankLists:
    """Takes the model's lists from the unperturbed history before each instance.

    An instance whose history the model knows nothing of gets an empty list and no rank.

    Args:
        model: The model.
        data: Data set in the model's own catalogue.
        description: Description of the lists; decides their depth and whether seen items are left out.
        instances: Instances; the data's own where not given.
    """
    instances = instances or data.instances()
    histories = data.histories(instances.row, model.max_length)
    seen = seen_items(data, instances) if description.exclude_seen else None
    items = np.empty((len(instances), description.depth), np.int64)
    scores = np.empty((len(instances), description.depth), np.float32)
    ranks = np.empty(len(instances))
    for part, scores_BI in scored(model, histories, seen):
        items[part], scores[part] = top(scores_BI, description.depth)
        ranks[part] = rank(scores_BI, instances.target[part])
    unknown = histories[:, 0] == 0
    items[unknown], scores[unknown], ranks[unknown] = -1, np.nan, np.nan
    return build(data, instances, items, scores, ranks, description)


def seen_items(data: Dataset, instances: Instances) -> tuple[Ints, Ints]:
    """Returns all pairs of an instance's number and the code of an item in its history, sorted by instance."""
    start = data.starts[instances.user]
    count = instances.row - start
    instance = np.repeat(np.arange(len(instances)), count)
    row = np.repeat(start - np.r_[0, np.cumsum(count)[:-1]], count) + np.arange(count.sum())
    item = data.item[row]
    return instance[item > 0], item[item > 0]
