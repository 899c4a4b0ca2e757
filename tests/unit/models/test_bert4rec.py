"""BERT4Rec's training task: what is masked, what is predicted, and which targets keep reference lists."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from finest.models.bert4rec import BERT4Rec
from finest.models.config import BERT4RecConfig
from finest.models.recommender import Task

MASK = 31
INPUTS = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0], [0, 0, 0, 0]])
TARGETS = torch.tensor([[2, 3, 4, 9], [6, 8, 0, 0], [8, 0, 0, 0], [0, 0, 0, 0]])
IDS = torch.tensor([[20, 21, -1, 23], [30, 31, -1, -1], [40, -1, -1, -1], [-1, -1, -1, -1]])


def task(cut_share: float, place: float, hidden: Tensor | None = None) -> Task:
    """The task of these windows, each cut at a share `place` of its targets, or with items masked where hidden."""
    model = BERT4Rec(BERT4RecConfig(hidden_size=4, max_length=4, cut_share=cut_share), MASK - 1)
    shown = torch.ones(INPUTS.shape) if hidden is None else 1 - hidden.float()

    def draws() -> Iterator[Tensor]:
        yield torch.full(INPUTS.shape, place)
        yield torch.full(INPUTS.shape, 0.5)
        yield shown

    drawn = draws()
    draw: Callable[[], Tensor] = lambda: next(drawn)  # noqa: E731
    return model.task(Task(INPUTS, TARGETS, IDS), draw)


@pytest.mark.parametrize(
    ("place", "read", "predicted", "kept"),
    [
        (0.0, [[1, MASK, 0, 0], [5, MASK, 0, 0], [7, MASK, 0, 0]], [2, 6, 8], [20, 30, 40]),
        (0.6, [[1, 2, 3, MASK], [5, 6, MASK, 0], [7, MASK, 0, 0]], [4, 8, 8], [-1, 31, 40]),
        # A full window loses its oldest item to the mask; a draw that rounds to 1 stays inside.
        (1.0, [[2, 3, 4, MASK], [5, 6, MASK, 0], [7, MASK, 0, 0]], [9, 8, 8], [23, 31, 40]),
    ],
)
def test_a_cut_window_is_a_history_with_a_mask_behind_that_keeps_its_targets_list(
    place: float, read: list[list[int]], predicted: list[int], kept: list[int]
) -> None:
    found = task(1.0, place)
    assert found.inputs.tolist() == [*read, [0, 0, 0, 0]]
    masked = found.inputs == MASK
    assert found.targets[masked].tolist() == predicted and found.ids[masked].tolist() == kept
    assert not found.targets[~masked].any() and (found.ids[~masked] == -1).all()


def test_a_window_that_is_not_cut_hides_some_of_its_items_and_keeps_no_list() -> None:
    hidden = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    found = task(0.0, 0.5, hidden)
    assert found.inputs.tolist() == [[2, MASK, 4, MASK], [MASK, 8, 0, 0], [8, 0, 0, 0], [0, 0, 0, 0]]
    assert found.targets.tolist() == [[0, 3, 0, 9], [6, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert (found.ids == -1).all()
