"""Real requests and what must come of them: the judged lists, lists that are sound, or an error that says so."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from finest.errors import FinestError
from tracking.canary.process import Answer, Columns
from tracking.sample import TOLERANCE, Sample, equal

Ask = Callable[[Columns], Answer]
History = Sequence[str]

UNKNOWN = "\u2603 no such item"
BATCHES = (1, 7)
"""Sizes of batches, beside that of the whole sample."""
SINGLE = 30
"""Largest number of the sample's instances that are asked one by one."""
OWN, DEPTH = 20, 10
"""Number of histories that are made up where none was judged, and length of their lists."""
LONG = 10_000
"""Number of items of a long history; those of a real one are a few hundred."""

GARBAGE: tuple[Columns, ...] = (
    {},
    {"k": [3]},
    {"item": [["1"]]},
    {"history": []},
    {"history": [None]},
    {"history": ["text"]},
    {"history": [7]},
    {"history": [{"items": ["1"]}]},
    {"history": [b"\xff"]},
    {"history": [[b"\xff"]]},
    {"history": [[None]]},
    {"history": [[["1"]]]},
    {"history": [[1, 2, 3]]},
    {"history": [[1.5, True]]},
    {"history": [["", "\x00", "\ud800", "a" * 100_000]]},
    {"history": [["1"]], "k": [0]},
    {"history": [["1"]], "k": [-1]},
    {"history": [["1"]], "k": [None]},
    {"history": [["1"]], "k": ["ten"]},
    {"history": [["1"]], "k": [1.5]},
    {"history": [["1"]], "k": [2**63]},
    {"history": [["1"], ["1"]], "k": [1]},
    {"history": [["1"]], "timestamps": [[]]},
    {"history": [["1"]], "timestamps": [[1, 2]]},
    {"history": [["1"]], "timestamps": [[-1]]},
    {"history": [["1"]], "timestamps": [[0.5]]},
    {"history": [["1"]], "timestamps": [[2**62]]},
    {"history": [["1"]], "timestamps": [[1e300]]},
    {"history": [["1"]], "timestamps": [["noon"]]},
    {"history": [["1"]], "timestamps": [[None]]},
    {"history": [["1"]], "timestamps": [None]},
    {"history": [["1"]], "timestamps": [7]},
)
"""Requests that nobody means: they end in an error or in sound lists, and the next good one is right."""


@dataclass(frozen=True)
class Exam:
    """Asks a package and holds what it says against what was judged."""

    ask: Ask
    sample: Sample
    """Judged lists; none of a package of earlier versions, which had none with it."""
    items: frozenset[str]
    """The model's catalogue."""
    exclude_seen: bool
    """Whether lists leave out the history."""

    def all(self) -> None:
        """Asks everything. Raises FinestError with the first thing that is wrong."""
        self.judged()
        self.twice()
        self.lengths()
        self.odd()
        self.garbage()

    @property
    def depth(self) -> int:
        """Returns the length of the longest judged list."""
        return max(map(len, self.sample.items), default=0) or DEPTH

    def judged(self) -> None:
        """Checks that the sample's lists are served, one by one and in batches."""
        whole = len(self.sample.histories)
        for size in (*BATCHES, whole) if whole else ():
            asked = min(whole, SINGLE) if size == 1 else whole
            for first in range(0, asked, size):
                self.batch(range(first, min(first + size, asked)), f"in batches of {size}")

    def batch(self, part: range, how: str) -> None:
        """Checks that the judged lists of a part of the sample are served in one batch.

        Args:
            part: The instances.
            how: How they are asked for, or after what; for the message.
        """
        times = self.sample.timestamps and [self.sample.timestamps[one] for one in part]
        answer = self._sound([self.sample.histories[one] for one in part], [self.depth] * len(part), times)
        self._same(part, answer, how)

    def twice(self) -> None:
        """Checks that the same request has the same answer."""
        history = self.histories()[0]
        first, second = (self._sound([history], [self.depth]) for _ in range(2))
        if not equal(first.items[0], first.scores[0], second.items[0], second.scores[0]):
            raise FinestError("it answers the same request twice with different lists")

    def lengths(self) -> None:
        """Checks lists of one item, of the default length, and of the whole catalogue."""
        history = self.histories()[0]
        default = self._lists(self.ask({"history": [history]}), [history], [len(self.items)])
        whole = self._sound([history], [len(self.items) + 1])
        mixed = self._sound([history] * 3, [self.depth, 1, 2])
        if [len(one) for one in mixed.items] != [min(k, len(whole.items[0])) for k in (self.depth, 1, 2)]:
            raise FinestError(f"lists of {self.depth}, 1 and 2 items were asked for, and {_lengths(mixed)} came")
        meant = self.items - set(history) if self.exclude_seen else self.items
        if set(whole.items[0]) != meant:
            raise FinestError(
                f"a list of the whole catalogue has {len(whole.items[0])} items, and {len(meant)} can be in it"
            )
        for name, answer in {"the default length": default, "one item": mixed}.items():
            for items, scores in zip(answer.items, answer.scores, strict=True):
                if not equal(whole.items[0][: len(items)], whole.scores[0][: len(items)], items, scores):
                    raise FinestError(f"a list of {name} is not the beginning of the whole one")
        if meant and not default.items[0]:
            raise FinestError("a list of the default length is empty")

    def odd(self) -> None:
        """Checks unknown items, empty histories, a long one, and one item over and over."""
        history = self.histories()[0]
        nothing = self._sound([[], [UNKNOWN], history, [UNKNOWN, *history, UNKNOWN]], [self.depth] * 4)
        if nothing.items[0] or nothing.items[1]:
            raise FinestError("a history without any known item has a list, which must be empty")
        if not equal(nothing.items[2], nothing.scores[2], nothing.items[3], nothing.scores[3]):
            raise FinestError("unknown items in a history change its list; they must be skipped")
        some = sorted(self.items)[:LONG]
        self._sound([(some * (LONG // len(some) + 1))[:LONG]], [self.depth])
        self._sound([[history[-1]] * LONG], [self.depth])

    def garbage(self) -> None:
        """Checks that what nobody means hurts nobody."""
        for number, request in enumerate(GARBAGE):
            answer = self.ask(request)
            if not answer.error:
                self._lists(answer, [()] * len(answer.items), [self._length(k) for k in request.get("k", ())])
            if self.sample.histories:
                after = number % len(self.sample.histories)
                self.batch(range(after, after + 1), f"after the request {ascii(dict(request))[:60]}")

    def _length(self, k: Any) -> int:
        """Returns the most items that an answer to that `k` may have."""
        return k if isinstance(k, int) else len(self.items)

    def histories(self) -> Sequence[History]:
        """Returns histories with a known item: the sample's, or where it has none, some of a few items."""
        items = sorted(self.items)
        return [one for one in self.sample.histories if not self.items.isdisjoint(one)] or [
            items[first : first + 3] for first in range(min(OWN, len(items)))
        ]

    def own(self) -> Sample:
        """Returns lists that the package serves itself, to compare others with."""
        histories = [list(one) for one in self.histories()[:OWN]]
        answer = self._sound(histories, [DEPTH] * len(histories))
        return Sample(histories, answer.items, answer.scores)

    def _sound(
        self, histories: Sequence[History], ks: Sequence[int], timestamps: Sequence[Sequence[int]] | None = None
    ) -> Answer:
        """Returns the answer to a good request, whose lists are sound."""
        times = {"timestamps": [list(one) for one in timestamps]} if timestamps else {}
        answer = self.ask({"history": [list(one) for one in histories], "k": list(ks), **times})
        if answer.error:
            raise FinestError(f"it answers a good request of {len(histories)} histories with {first_line(answer)}")
        return self._lists(answer, histories, ks)

    def _lists(self, answer: Answer, histories: Sequence[History], ks: Sequence[int]) -> Answer:
        """Returns the answer, whose lists are sound: of the catalogue, none twice, best first, nothing seen, no NaN."""
        if answer.error:
            raise FinestError(f"it answers a good request with {first_line(answer)}")
        if not len(answer.items) == len(answer.scores) == len(histories):
            raise FinestError(f"it answers {len(histories)} histories with {len(answer.items)} lists")
        for items, scores, history, k in zip(
            answer.items, answer.scores, histories, [*ks, *[len(self.items)] * (len(histories) - len(ks))], strict=True
        ):
            if wrong := self._unsound(items, scores, history, k):
                raise FinestError(f"a list that it serves {wrong}")
        return answer

    def _unsound(self, items: Any, scores: Any, history: History, k: int) -> str:
        """Returns what is wrong with a list; empty for nothing."""
        if not isinstance(items, list) or not isinstance(scores, list):
            return f"is none: {str(items)[:50]!a}, with the scores {str(scores)[:50]!a}"
        if len(items) != len(scores) or len(items) > max(k, 0):
            return f"has {len(items)} items and {len(scores)} scores; {k} were asked for"
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in scores):
            return f"has scores that are no finite numbers: {str(scores)[:100]}"
        if len(set(map(str, items))) < len(items):
            return "has an item twice"
        if strange := [one for one in items if not isinstance(one, str) or one not in self.items]:
            return f"has the item {strange[0]!a}, which is not in the model's catalogue"
        if self.exclude_seen and not set(items).isdisjoint(history):
            return "has items that the history has already"
        if any(after > before + TOLERANCE * max(1, abs(before)) for before, after in pairwise(scores)):
            return "is not in the order of its scores"
        return ""

    def _same(self, part: range, answer: Answer, how: str) -> None:
        """Raises FinestError unless the answer has the judged lists of a part of the sample."""
        differing = [
            number
            for number, items, scores in zip(part, answer.items, answer.scores, strict=True)
            if not equal(self.sample.items[number], self.sample.scores[number], items, scores)
        ]
        if differing:
            raise FinestError(
                f"it does not serve what was judged: {len(differing)} of {len(part)} lists differ {how}, instance "
                f"{differing[0]} of the sample first"
            )


def first_line(answer: Answer) -> str:
    """Returns the line that says what was wrong."""
    text = answer.error.encode("utf-8", "backslashreplace").decode()  # a request's lone surrogates come back in it
    return next((line.strip()[:300] for line in text.splitlines() if line.strip()), "an error without a word")


def _lengths(answer: Answer) -> str:
    return ", ".join(str(len(one)) for one in answer.items)
