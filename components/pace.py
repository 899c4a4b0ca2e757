"""Foresees how long a step goes on, by what it has done while it was watched."""

from dataclasses import dataclass

FORESEEN = 0.05
"""Share of a step that must have been seen to be done before anything is said of the rest: until then, hardly anything
was measured."""


@dataclass
class Pace:
    """Holds how fast a step is.

    It counts from the first report on: what came before was the step's beginning, or done by an earlier process.
    """

    began: float | None = None
    done: float = 0.0
    worked: float = 0.0

    def left(self, now: float, done: float, resumed: bool = False) -> float | None:
        """Returns how many seconds the step goes on at its pace; None while that was hardly measured.

        Args:
            now: The time of the report, in seconds.
            done: Share of the step that is done, 0 to 1.
            resumed: Whether what is new since the last report is an earlier process's work.
        """
        if self.began is None:
            self.began = now
        elif not resumed:
            self.worked += max(done - self.done, 0.0)
        self.done = done
        if self.worked < FORESEEN or done >= 1:
            return None
        return (now - self.began) / self.worked * (1 - done)
