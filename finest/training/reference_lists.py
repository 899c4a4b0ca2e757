"""Gives the reference lists of a training as the loss asks for them, wherever they come from.

What keeps them is a regulariser. Lists are columns of the score matrix (item code - 1), best first.

Shapes: N targets, M of them with a list, L items of a list; in a stack R replicas and P positions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class ReferenceLists(ABC):
    """Gives a reference list for each clean training row that has one."""

    @abstractmethod
    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which of the N targets, by clean row ids, have a list `[M]`, ascending, and the lists `[M, L]`."""

    @abstractmethod
    def held(self, ids: Tensor) -> Tensor:
        """Returns whether each target has a list, in the shape of `ids`; in a stack `[R, P]`."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "ReferenceLists":
        """Returns these lists on another device."""

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets of a stack have a list `[R, P]`, and lists `[R x P, L]`, any list for one without."""
        held_M, lists_ML = self.lists_of(ids_RP.reshape(-1))
        lists = lists_ML.new_zeros(ids_RP.numel(), lists_ML.shape[1])
        lists[held_M] = lists_ML
        return self.held(ids_RP), lists


@dataclass(frozen=True)
class StoredLists(ReferenceLists):
    """Holds the lists themselves, which may stay on the CPU, mapped from disk."""

    lists: Tensor
    """[number of lists, L] int32."""
    of_row: Tensor
    """[clean rows] number of a clean row's list; -1 for none."""

    def to(self, device: torch.device | str) -> "StoredLists":
        """Returns these lists on another device."""
        return StoredLists(self.lists.to(device), self.of_row.to(device))

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets have a list, and the lists; see the base class."""
        number_N = self._number(ids_N)
        held_M = torch.nonzero(number_N >= 0)[:, 0]
        return held_M, self._lists(number_N[held_M])

    def held(self, ids: Tensor) -> Tensor:
        """Returns whether each target has a list."""
        return self._number(ids) >= 0

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets of a stack have a list, and a list for each; see the base class."""
        number_RP = self._number(ids_RP)
        return number_RP >= 0, self._lists(number_RP.clamp(min=0).view(-1))

    def _number(self, ids: Tensor) -> Tensor:
        return torch.where(ids >= 0, self.of_row[ids.clamp(min=0)], -1)

    def _lists(self, number_M: Tensor) -> Tensor:
        return self.lists[number_M.to(self.lists.device)].to(number_M.device).long()


@dataclass(frozen=True)
class OwnLists(ReferenceLists):
    """Gives each replica of a stack lists of its own."""

    replicas: list[ReferenceLists]

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the only replica's lists. Raises ValueError where there are several, whose targets are `[R, P]`."""
        (only,) = self.replicas
        return only.lists_of(ids_N)

    def held(self, ids: Tensor) -> Tensor:
        """Returns whether each target `[R, P]` has a list."""
        return torch.stack([lists.held(row) for lists, row in zip(self.replicas, ids, strict=True)])

    def to(self, device: torch.device | str) -> "OwnLists":
        """Returns these lists on another device."""
        return OwnLists([lists.to(device) for lists in self.replicas])

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets of a stack have a list, and a list for each; see the base class."""
        parts = [lists.stacked_lists_of(row[None]) for lists, row in zip(self.replicas, ids_RP, strict=True)]
        held, lists = zip(*parts, strict=True)
        return torch.cat(held), torch.cat(lists)
