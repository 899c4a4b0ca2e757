"""Takes rank lists of a model for a data set's instances."""

import numpy as np

from finest.data.dataset import Dataset, Instances
from finest.histories import Histories
from finest.memory.features import Memory
from finest.models.ranking import rank, scored, top
from finest.models.recommender import Recommender
from finest.profiling.profiler import clocked
from finest.ranklists.schema import Description, RankLists, Served, build


@clocked("lists")
def take(
    model: Recommender,
    data: Dataset,
    description: Description,
    instances: Instances | None = None,
    memory: Memory | None = None,
) -> RankLists:
    """Takes the model's lists from the unperturbed history before each instance.

    An instance whose history the model knows nothing of gets an empty list and no rank.

    Args:
        model: The model.
        data: Data set in the model's own catalogue.
        description: Description of the lists; decides their depth and whether seen items are left out.
        instances: Instances; the data's own where not given.
        memory: What is counted beside the model.
    """
    instances = instances or data.instances()
    unknown = np.zeros(len(instances), bool)

    def histories(part: slice) -> Histories:
        found = data.histories(instances.row[part])
        unknown[part] = found.sizes == 0
        return found

    items = np.empty((len(instances), description.depth), np.int64)
    scores = np.empty((len(instances), description.depth), np.float32)
    ranks = np.empty(len(instances))
    for part, scores_BI in scored(model, histories, len(instances), description.exclude_seen, memory):
        items[part], scores[part] = top(scores_BI, description.depth)
        ranks[part] = rank(scores_BI, instances.target[part])
    items[unknown], scores[unknown], ranks[unknown] = -1, np.nan, np.nan
    of: Served = "network" if memory is None else "stack" if memory.network else "memory"
    return build(data, instances, items, scores, ranks, description.model_copy(update={"served": of}))
