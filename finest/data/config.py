"""Config of ingest: how a source is read, cleaned and split."""

import codecs
from datetime import date, datetime
from typing import Annotated, Literal, assert_never

from pydantic import BeforeValidator, Field, field_validator, model_validator

from finest.data import forms
from finest.data.expect import Expect
from finest.data.partition import Template
from finest.data.separators import WHITESPACE
from finest.section import Address, Section

SEGMENT = "segment_"
"""What the roles of segments begin with, each followed by its number."""


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a column's name in quotes, or its number")
    return value


Column = Annotated[Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)], BeforeValidator(_no_bool)]
"""A column's name, or its number from 0."""


class Columns(Section):
    """The source's columns: names, or numbers from 0; with numbers, text has no header unless `ingest.header` says."""

    user: Column = "user_id"
    """Column of user ids: its name, or its number from 0."""
    item: Column = "item_id"
    """Column of item ids, likewise."""
    timestamp: Column = "timestamp"
    """Column of times: numbers of the unit `ingest.timestamp_unit` since 1970, or times in ISO 8601."""
    sequence: Column | None = None
    """Order of interactions within one timestamp, where the source knows it."""
    segments: list[Column] = Field(default=[])
    """Further columns, text or whole numbers or yes and no, such as `[country, device]`: the gate says what the
    candidate does to the held-out interactions of each of their values, and refuses it where that is proven harm."""

    @field_validator("segments")
    @classmethod
    def _named_once(cls, segments: list[Column]) -> list[Column]:
        if len(set(segments)) < len(segments):
            raise ValueError("must name a column once")
        return segments

    @property
    def roles(self) -> dict[str, str | int]:
        """Returns the source's column for each role: `user`, `item`, ..., and `segment_0`, `segment_1`, ..."""
        named = {"user": self.user, "item": self.item, "timestamp": self.timestamp, "sequence": self.sequence}
        return {role: name for role, name in named.items() if name is not None} | dict(
            zip(self.segment_roles, self.segments, strict=True)
        )

    @property
    def segment_roles(self) -> list[str]:
        """Returns the segments' roles, which are their columns in an engine's tables."""
        return [f"{SEGMENT}{number}" for number in range(len(self.segments))]


class Partition(Section):
    """How the folders of a feed say the day that their files are of."""

    key: str | None = None
    """Key of the hive partition, as `day` of `day=20261124`. Unset: `dt`, another one whose value is a day, or levels
    `year=/month=/day=`, as the first files have them."""
    format: str | None = None
    """The day as strftime writes it: of the key's value, like `%Y%m%d`; without a key, of the folders, like `%Y/%m/%d`
    or `y=%Y/m=%m/d=%d`. Unset: `%Y-%m-%d`. Directives are %Y, %m, %d, %j, %H, %M and %S; a leading zero may be missing
    where no digit stands beside it."""

    @property
    def template(self) -> Template | None:
        """Returns how folders say a day, None where they are to be looked at."""
        if self.key is None and self.format is None:
            return None
        return Template((f"{self.key}=" if self.key is not None else "") + (self.format or "%Y-%m-%d"))

    @model_validator(mode="after")
    def _says_a_day(self) -> "Partition":
        if self.key is not None and (not self.key or "=" in self.key or "/" in self.key or "%" in self.key):
            raise ValueError("`key` must be a partition's name alone, such as day; levels go into `format`")
        _ = self.template
        return self


class Split(Section):
    """Which interactions are held out. No model of the run is trained on them."""

    method: Literal["last_fraction", "leave_one_out", "temporal"] = "last_fraction"
    """`last_fraction`: each user's last interactions are held out; `leave_one_out`: the very last one alone;
    `temporal`: all interactions from a moment on."""
    fraction: float = Field(default=0.1, gt=0, lt=1)
    """`last_fraction`: share of each user's interactions that is held out, rounded up, but never the user's first
    interaction. At most three decimals."""
    cut: datetime | None = None
    """`temporal`: interactions at or after this time are held out (ISO 8601; UTC where it has no zone)."""
    held_out_days: int | None = Field(default=None, ge=1)
    """`temporal`: in place of `cut`, this many days (UTC) before the day of the run's `as_of` are held out, and all
    that follows."""

    ALTERNATIVES = (frozenset({"cut", "held_out_days"}),)

    @field_validator("fraction")
    @classmethod
    def _counted_by_integers(cls, fraction: float) -> float:
        if fraction != round(fraction, 3):
            raise ValueError("at most three decimals: rows are counted per mille, by integers")
        return fraction

    @model_validator(mode="after")
    def _temporal_needs_a_cut(self) -> "Split":
        if (self.method == "temporal") != ((self.cut is not None) + (self.held_out_days is not None) == 1):
            raise ValueError("`cut` or `held_out_days`, one of the two, goes with method `temporal`, which needs it")
        return self


class Evaluation(Section):
    """How rank lists are taken. Part of the data: written into the manifest and read from there by every later step."""

    depth: int = Field(default=100, ge=10)
    """Length of a rank list, in items."""
    exclude_seen: bool = True
    """Leave the items of a user's history out of the user's list. Wrong where people repeat items; see the manifest's
    `repeated_share`."""


class Ingest(Section):
    """Reading, cleaning and splitting."""

    format: Literal["auto", "parquet", "csv", "tsv", "inter", "text"] = "auto"
    """Format of the source's files; `auto` goes by the file name's ending. `text` is any text of lines and fields."""
    columns: Columns = Columns()
    """The source's columns."""
    separator: str | None = None
    """What is between the fields of a text file: one to four characters, such as ";", "|" or "::", or `tab`, or
    `whitespace` for blanks and tabs in any number. Unset, it is told from the file's start."""
    quote: Literal['"', "'", "none"] = '"'
    """What may be around a text file's field, doubled inside of it; `none`: quotes mean nothing."""
    header: bool | None = None
    """Whether the first line of a text file holds names; unset, it does where `columns` gives names."""
    encoding: str = "utf-8"
    """Encoding of text files, such as `latin-1`, `cp1252` or `utf-16-le`; a file that begins with a byte order mark is
    read by that."""
    null_tokens: list[str] = Field(default=[])
    """Texts that stand for nothing, such as `["\\\\N", "NULL"]`; an empty text always does."""
    max_id_length: int = Field(default=4096, ge=1)
    """Length of the longest user or item id, in characters; rows with a longer one are set aside."""
    timestamp_unit: Literal["auto", "s", "ms", "us", "ns", "yyyymmdd"] = "auto"
    """Unit of numeric timestamps: seconds, milliseconds, microseconds or nanoseconds since 1970 (UTC), or days written
    as eight digits; `auto` tells it from the numbers' size."""
    timestamp_format: str | None = None
    """How timestamps are written that are neither ISO 8601 nor numbers of a unit, such as "%d.%m.%Y %H:%M" or
    "%m/%d/%Y %I:%M:%S %p": directives of `strptime`, names in English, UTC without %z. Unset, usual forms are told from
    the file's start; where day and month could be either, ingest asks."""
    duplicates: Literal["keep", "quarantine"] = "keep"
    """What becomes of rows that repeat each other in user, item and timestamp: all stay, or all but one go to the
    quarantine."""
    max_quarantined_share: float = Field(default=0.01, ge=0, le=1)
    """Share of the source's rows that may be unusable before ingest fails; rows that repeat another do not count."""
    min_user_interactions: int = Field(default=5, ge=1)
    """k-core: users with fewer interactions are left out; in turns with `min_item_interactions`, until nothing
    changes."""
    min_item_interactions: int = Field(default=1, ge=1)
    """k-core: items with fewer interactions are left out."""
    partition: Partition = Partition()
    """How folders say a day; for `window_days`, `since` and `until`."""
    window_days: int | None = Field(default=None, ge=1)
    """Read only the partitions (`ingest.partition`) of this many days (UTC) before the run's `as_of`; its own day,
    which is not over, is not read."""
    max_missing_days: int | None = Field(default=None, ge=0)
    """Days of the window that may have no partition before ingest fails; unset, any number. They are reported all the
    same. Days before the first partition are not missing."""
    since: date | None = None
    """Read only partitions of this day and later ones; only for sources with such partitions."""
    until: date | None = None
    """Read only partitions of this day and earlier ones."""
    engine: Literal["duckdb", "spark"] = "duckdb"
    """What reads, cleans and sorts; the data set is the same. `spark` is for data that outgrows one machine, and reads
    Parquet alone."""
    spark_master: Address = "local[*]"
    """Master of the Spark cluster, such as spark://host:7077; all other settings come from Spark's own
    spark-defaults.conf."""
    spark_folder: Address | None = None
    """Folder for Spark's tables, which driver and workers must share, as they must the source; unset, the temporary
    folder of this machine."""
    split: Split = Split()
    """Which interactions are held out."""
    evaluation: Evaluation = Evaluation()
    """How rank lists are taken."""
    expect: Expect = Expect()
    """What the data must be like, by itself and beside the line's last nights."""

    @property
    def quarantines_duplicates(self) -> bool:
        """Whether rows that repeat others go to the quarantine."""
        if self.duplicates == "keep":
            return False
        if self.duplicates == "quarantine":
            return True
        assert_never(self.duplicates)

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str | None) -> str | None:
        separator = {"tab": "\t", "\\t": "\t", "blank": " ", "space": " "}.get(separator or "", separator)
        if separator is None or separator == WHITESPACE:
            return separator
        if not 1 <= len(separator.encode()) <= 4 or any(character in "\"'\r\n\0" for character in separator):
            raise ValueError("one to four characters (bytes in UTF-8) but quotes and line ends, or tab, or whitespace")
        return separator

    @field_validator("timestamp_format")
    @classmethod
    def _of_known_directives(cls, form: str | None) -> str | None:
        if form is not None:
            forms.pieces(form)
        return form

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            "a,1".encode(encoding)
            found = codecs.lookup(encoding).name
        except (LookupError, ValueError):
            found = ""
        if found in ("", "idna", "punycode", "utf-7", "unicode_escape", "raw_unicode_escape"):
            raise ValueError("no encoding that is known; common ones are utf-8, latin-1, cp1252, utf-16-le, shift_jis")
        return encoding

    @model_validator(mode="after")
    def _form_or_unit(self) -> "Ingest":
        if self.timestamp_format is not None and self.timestamp_unit != "auto":
            raise ValueError(
                "`timestamp_format` is for times that are no numbers of a unit: leave `timestamp_unit` out"
            )
        return self

    @model_validator(mode="after")
    def _one_window(self) -> "Ingest":
        if self.window_days is not None and not (self.since is None and self.until is None):
            raise ValueError("`window_days` counts from as_of and goes with neither `since` nor `until`")
        if self.window_days is not None and (self.split.held_out_days or 0) >= self.window_days:
            raise ValueError("`window_days` must be more than `split.held_out_days`: the rest is trained on")
        return self
