"""Tries a package: it is loaded in a process of its own, from its own requirements, serves real requests, is timed."""

import logging
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from finest.errors import FinestError
from finest.models.manifest import MODEL
from tracking.canary.bounds import Bounds, Measured, too_much
from tracking.canary.environment import python_for, variables
from tracking.canary.process import Served
from tracking.canary.requests import Exam
from tracking.canary.server import Server, over_http
from tracking.canary.timing import timed
from tracking.sample import Sample

logger = logging.getLogger(__name__)


class CanaryError(FinestError):
    """Means that a package was tried and is not fit to serve."""


TRIES = 3
"""Number of times that a package is timed, in new processes, before it counts as too slow or too large: a machine that
is busy for a moment makes any package slow, and hardly one alone three times."""


def check(package: Path, bounds: Bounds, sample: Sample, champion: Path | None = None) -> Measured:
    """Tries a package as it would serve, and returns what that takes.

    Args:
        package: Folder of the package, whose files are known to be what was registered.
        bounds: What it must keep to.
        sample: Lists that it must serve; without any, it is asked for sound ones.
        champion: Package of the champion, which is loaded and timed at the same time; None to compare with nothing.

    Raises:
        CanaryError: It does not load, does not serve what was judged, or takes too much.
    """
    try:
        with TemporaryDirectory(prefix="finest-canary-") as folder:
            scratch = Path(folder)
            mine = Trial("the canary", package, bounds, scratch / "candidate")
            theirs = _champions(champion, bounds, scratch / "champion") if champion else None
            return _tried(mine, theirs, bounds, sample)
    except FinestError as error:
        raise CanaryError(f"the canary refuses the package: {error}") from error


class Trial:
    """Holds a package and where it is tried."""

    def __init__(self, name: str, package: Path, bounds: Bounds, scratch: Path):
        """Finds or makes its environment. Raises FinestError where its requirements are not met."""
        from finest.models.folder import read_items
        from finest.models.saved import read_facts

        scratch.mkdir()
        self.name, self.package, self.scratch, self.patience_s = name, package, scratch, bounds.patience_s
        self.python = python_for(package, bounds.environment, scratch)
        self.variables = variables(scratch, self.python)
        model = package / "artifacts" / MODEL
        self.items = frozenset(read_items(model))
        self.exclude_seen = read_facts(model).exclude_seen

    def served(self, max_memory_mb: float | None = None) -> Served:
        """Starts it in a process of its own."""
        return Served(
            self.name, self.package, self.python, self.variables, self.scratch, self.patience_s, max_memory_mb
        )

    def server(self) -> Server:
        """Starts it behind HTTP."""
        return Server(self.package, self.python, self.variables, self.scratch, self.patience_s)


def _champions(package: Path, bounds: Bounds, scratch: Path) -> Trial | None:
    """Returns the champion's trial; None where it cannot be tried here, which is not the candidate's fault."""
    try:
        return Trial("the champion", package, bounds, scratch)
    except FinestError as error:
        logger.warning("what the candidate takes is not compared with the champion: %s", error)
        return None


def _tried(mine: Trial, theirs: Trial | None, bounds: Bounds, sample: Sample) -> Measured:
    for attempt in range(TRIES):
        with ExitStack() as stack:
            # All at once, what takes longest first; nothing is timed before all are there.
            server = stack.enter_context(mine.server()) if not attempt else None
            candidate = stack.enter_context(mine.served(bounds.max_memory_mb))
            champion = stack.enter_context(theirs.served()) if theirs else None
            candidate.loaded()
            exam = Exam(candidate.ask, sample, mine.items, mine.exclude_seen)
            if server:
                exam.all()
                over_http(server, exam)
                server.end()
            if champion and not _loaded(champion):
                theirs = champion = None
            measured, than = timed(candidate, champion, exam.histories(), theirs.items if theirs else frozenset())
            logger.info("the canary: %s%s", measured, f"; the champion beside it: {than}" if than else "")
        if not (problem := too_much(measured, than, bounds)):
            return measured
        logger.warning("the canary: %s (measured %d of %d times)", problem, attempt + 1, TRIES)
    raise FinestError(f"{problem}; measured {TRIES} times")


def _loaded(champion: Served) -> bool:
    """Tells whether the champion could be loaded; where not, that is not the candidate's fault."""
    try:
        champion.loaded()
    except FinestError as error:
        logger.warning("what the candidate takes is not compared with the champion: %s", error)
        return False
    return True
