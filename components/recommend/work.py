"""Makes lists of a line's champion for all users, or for some."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import storage
from components.champion.work import check
from components.promote.config import Promote
from components.recommend.config import Recommend
from finest import sealed
from finest.data import schema
from finest.data.schema import Manifest
from finest.errors import DataError, FinestError
from finest.ranklists.shared import shared
from finest.serving.batch import Batch, Shelf, pointer, serve
from finest.serving.lists import Of
from finest.serving.users import everybody, of_file
from tracking import registry, standing

logger = logging.getLogger(__name__)


def champion_of(line: str, config: Recommend, some: bool = False) -> registry.Version:
    """Returns the version whose lists are to be made: a line's champion, by the ledger.

    An alias that was moved by hand is told in the log, and not followed.

    Args:
        line: Name of the line.
        config: Where lists go.
        some: Whether they are to be those of some users, not of all.

    Raises:
        FinestError: The line has no champion, or the place holds lists that must not be replaced by these.
    """
    now = standing.stand(line)
    champion = registry.champion_by(now)
    if champion is None:
        raise FinestError(f"the line {line} has no champion yet, so there is nothing to recommend with: finest run")
    if now.moved:
        logger.warning("the lists are version %s's: %s", champion.version, now.moved)
    with tempfile.TemporaryDirectory() as scratch:
        pointer(Shelf(storage.output(config.out), config.out, Path(scratch)), line, some)
    return champion


def recommend(
    champion: registry.Version,
    data: Path,
    config: Recommend,
    promote: Promote,
    scratch: Path,
    report: Callable[[int, int], None],
    users: Path | None = None,
) -> Batch:
    """Makes the files of lists that are missing, and moves the pointer to them.

    Args:
        champion: What `champion_of` has returned.
        data: Folder of the data set whose histories are read, held-out rows too.
        config: Where lists go.
        promote: What the data must share with the champion's.
        scratch: An empty folder for files on their way.
        report: Told how many users' lists are there, and of how many.
        users: File that names users; None for all users of the data.

    Raises:
        FinestError: Another version is champion by the time that the lists are there.
        DataError: The data is not that of the line, or the file of users cannot be read.
    """
    line, shelf = champion.name, Shelf(storage.output(config.out), config.out, scratch)
    manifest = read_manifest(data)
    model = registry.download(champion, scratch / "package")
    check(shared(model, data), promote, champion)
    asked = everybody(manifest.users) if users is None else of_file(users, data, scratch)
    of = Of(
        line=line,
        version=champion.version,
        verdict=champion.verified,
        data_fingerprint=manifest.fingerprint,
        k=config.k,
        users=asked.digest,
        users_a_file=Of.file_size(config.k),
    )

    def still_champion() -> None:
        now = registry.champion(line)
        if now is None or now.version != champion.version:
            raise FinestError(
                f"the champion of {line} is no longer version {champion.version}, which these lists are of; they are "
                f"whole in {of.folder}, and {config.out} goes on with what it had: run again"
            )

    def told(there: int) -> None:
        report(there, len(asked))

    return serve(model, data, of, asked, shelf, config.processes, told, still_champion)


def read_manifest(data: Path) -> Manifest:
    """Returns the manifest of a data set.

    Raises:
        DataError: The folder holds none.
        DamagedError: The folder is not what ingest wrote.
    """
    sealed.check_own(data)
    try:
        return Manifest.model_validate_json((data / schema.MANIFEST).read_text())
    except FileNotFoundError:
        raise DataError(f"{data}: not a data set that ingest wrote ({schema.MANIFEST} is missing)") from None
