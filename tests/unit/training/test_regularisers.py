"""Regularisers: every one that is registered passes the public check, and the check finds what is wrong."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from torch import Tensor

from finest.testing import check_regulariser
from finest.training.config import Finetune
from finest.training.history import METRIC, schema
from finest.training.regularisers.base import TAKEN
from finest.training.regularisers.rank_hinge import RankHinge, RankHingeConfig
from finest.training.regularisers.registry import REGULARISERS


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_every_regulariser_passes_the_check(name: str) -> None:
    check_regulariser(name)
    check_regulariser(REGULARISERS[name])


class Slanted(RankHinge):
    """Gives a gradient that is too large."""

    def __call__(self, scores_ML: Tensor, lists: Tensor | int, alpha: float) -> tuple[tuple[Tensor, ...], Tensor]:
        terms, gradient = super().__call__(scores_ML, lists, alpha)
        return terms, 2 * gradient


class Social(RankHinge):
    """Looks at the lists beside a list."""

    terms: ClassVar[Mapping[str, str]] = {"pairwise": "train/order", "topk": "train/top"}

    def __call__(self, scores_ML: Tensor, lists: Tensor | int, alpha: float) -> tuple[tuple[Tensor, ...], Tensor]:
        return super().__call__(scores_ML, lists * len(scores_ML), alpha)


class Short(RankHinge):
    """Names a term that it does not give."""

    terms: ClassVar[Mapping[str, str]] = {"pairwise": "train/order", "topk": "train/top", "more": "train/more"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(Slanted, "gradient is not that"), (Social, "depends on the lists beside it"), (Short, "2 terms, but it names 3")],
)
def test_the_check_says_what_is_wrong(wrong: type[RankHinge], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_regulariser(wrong)


@pytest.mark.parametrize(
    ("terms", "taken"),
    [
        ({"loss": "train/mine"}, "loss"),
        ({"mine": "train/loss"}, "train/loss"),
        ({"one": "train/both", "two": "train/both"}, "train/both"),
    ],
)
def test_a_term_is_called_like_nothing_else_in_a_history(terms: dict[str, str], taken: str) -> None:
    with pytest.raises(TypeError, match=f"terms and metrics need names of their own; taken: {taken}"):
        type("Loud", (RankHinge,), {"terms": terms})
    columns = schema({})
    metrics = {field.metadata[METRIC].decode() for field in columns if METRIC in (field.metadata or {})}
    assert {*columns.names} | metrics == TAKEN


def test_a_config_names_a_regulariser_or_gives_its_options() -> None:
    assert Finetune().regulariser == RankHingeConfig()
    assert Finetune.model_validate({"regulariser": "none"}).list_length == 0
    hinge = Finetune.model_validate({"regulariser": {"margin": 0.3}, "top_k": 7})
    assert hinge.regulariser == RankHingeConfig(margin=0.3) and hinge.list_length == 14
