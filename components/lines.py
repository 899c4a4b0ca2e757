"""Names of lines: one model in production each, with its data, its champion and its nights."""

import hashlib
import re
import unicodedata

from finest.data.opened import COMPRESSED

NAME = r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"
"""What a line may be called: what MLflow takes for a registered model and an experiment, whatever case its database
tells apart, and Kubernetes for a label."""
WORDS = "lower-case letters, digits, '-' and '_', with a letter or a digit at both ends, like shop-de"
"""The same for a person who has it wrong."""
LONGEST = 50
"""Number of characters of the longest name."""
ENDINGS = (".parquet", ".csv", ".tsv", ".inter")
"""What is no part of a name. Not each ending of a format: a line keeps its name when more formats are read."""
DIGEST = 8
"""Number of hex digits that tell two names apart that would read alike."""


def named(name: str, source: str) -> str:
    """Returns the name of the line that a run belongs to.

    Args:
        name: The config's `name`; where it is empty, the source's own short name is taken.
        source: The config's `source`.

    >>> named("", "ml-100k"), named("", "s3://bucket/shop/clicks.csv.gz"), named("shop-de", "clicks.csv")
    ('ml-100k', 'clicks', 'shop-de')
    """
    return name or readable(own_name(source))


def own_name(source: str) -> str:
    """Returns the last part of a path or URI that names data, without the ending of a format.

    Partitions and patterns name none.

    >>> own_name("data/Orders 2026.parquet"), own_name("s3://bucket/clicks/dt=2026-11-24/"), own_name("gs://bucket")
    ('Orders 2026', 'clicks', 'bucket')
    """
    parts = [part for part in source.partition("?")[0].rpartition("://")[2].split("/") if part not in ("", ".", "..")]
    named = [part for part in parts if not re.search(r"^[^=]+=|[*]", part)]
    name = named[-1] if named else ""
    endings, compressed = ("|".join(map(re.escape, some)) for some in (ENDINGS, COMPRESSED))
    return re.sub(rf"(?<=.)({endings})?({compressed})?$", "", name, flags=re.IGNORECASE)


def readable(text: str) -> str:
    """Returns a name that is allowed: the text itself, or what can be kept of it and a digest of the whole.

    So two texts get two names, in every process and on every machine.

    >>> readable("ml-100k"), readable("Orders 2026"), readable("orders-2026")
    ('ml-100k', 'orders-2026-b7ad3e33', 'orders-2026')
    """
    if len(text) <= LONGEST and re.fullmatch(NAME, text):
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9_]+", "-", plain)[: LONGEST - DIGEST - 1].strip("-_")
    return f"{kept or 'line'}-{hashlib.sha256(text.encode()).hexdigest()[:DIGEST]}"


def checkpoints(place: str, line: str) -> str:
    """Returns where a line keeps its checkpoints, below the config's place; empty where that is.

    >>> checkpoints("s3://bucket/checkpoints/", "shop-de")
    's3://bucket/checkpoints/shop-de'
    """
    return f"{place.rstrip('/')}/{line}" if place else ""
