r"""Timestamps: text or numbers in a stated unit to microseconds since 1970 (UTC), in expressions alike on every engine.

No engine's own parser is asked: they disagree on '1e3', '0x10' and '1_000'. A regular expression guards every cast, and
ends in `\z` because Java's `$` also matches before a final newline.
"""

import ibis
import ibis.expr.types as ir

from finest.data.epoch import END
from finest.data.forms import CENTURY, EXPONENT, ISO_8601, MONTHS, PLAIN_NUMBER, SHIFT, Form, Unit, pattern


def micros(
    text: ir.StringColumn, unit: Unit, iso: ir.StringColumn | None = None, number: ir.StringColumn | None = None
) -> tuple[ir.IntegerColumn, ir.BooleanColumn]:
    """Returns the time that a text says, and whether it says one.

    Numbers are plain decimals, digits beyond a microsecond cut off; everything else is ISO 8601, UTC without a zone.

    Args:
        text: The timestamps.
        unit: Unit of those that are numbers.
        iso: A table's column with `iso_8601(text)`, which stands in the expression some forty times.
        number: A table's column with `plain(text)`, likewise.

    Returns:
        Microseconds, out of range (`within`) for some, and null for what is far outside; whether the text is a number
        or a time.
    """
    digits = plain(text) if number is None else number
    numeric = digits.re_search(PLAIN_NUMBER)
    moment, exists = _iso(iso_8601(text) if iso is None else iso)
    number = _number(digits, unit)
    # Not `or`: engines would parse numbers as times.
    return ibis.ifelse(numeric, number, moment), ibis.ifelse(numeric, True, exists)


def plain(text: ir.StringColumn) -> ir.StringColumn:
    """Returns numbers with an exponent as plain decimals, and any other text as it is.

    The digits are moved as text: engines differ in how they print floating-point numbers.
    """
    number = ibis.ifelse(text.re_search(EXPONENT), text, ibis.null(str))
    places = (ibis.literal("0") + number.re_extract(r"[eE]\+?([0-9]+)\z", 1)).cast("int64")
    whole, part = number.re_extract(r"^(-?[0-9])", 1), number.re_extract(r"\.([0-9]+)", 1)
    moved = whole + (part + "0" * 99).left(places) + "." + part.substr(places) + "0"
    return ibis.ifelse(number.isnull(), text, moved)


def iso_8601(text: ir.StringColumn) -> ir.StringColumn:
    """Returns the texts that look like ISO 8601, and null for others."""
    return ibis.ifelse(text.re_search(ISO_8601), text, ibis.null(str))


def written(text: ir.StringColumn, form: Form) -> ir.StringColumn:
    """Returns times of a form as ISO 8601 has them, and any other text as it is."""
    regex, groups = pattern(form)
    known = ibis.ifelse(text.re_search(regex), text, ibis.null(str))

    def part(letter: str) -> ir.StringColumn:
        return known.re_extract(regex, groups[letter])

    def two(letter: str) -> ir.StringColumn:
        return ("0" + part(letter)).right(2) if letter in groups else ibis.literal("00")

    year = part("Y") if "Y" in groups else ibis.ifelse(part("y") >= str(CENTURY), "19", "20") + part("y")
    month, hour = two("m"), two("H")
    if "b" in groups:
        numbers = [(name, f"{number:02d}") for number, name in enumerate(MONTHS, 1)]
        month = part("b").lower().left(3).cases(*numbers, else_="00")
    if "I" in groups:
        late = part("p").lower().left(1) == "p"
        twelve = (ibis.literal("0") + part("I")).cast("int64") % 12 + ibis.ifelse(late, 12, 0)
        hour = ("0" + twelve.cast("string")).right(2)
    clock = hour + ":" + two("M") + ":" + two("S")
    clock = clock + "." + part("f") if "f" in groups else clock
    clock = clock + part("z") if "z" in groups else clock
    return ibis.ifelse(known.isnull(), text, year + "-" + month + "-" + two("d") + " " + clock)


def whole(text: ir.StringColumn, unit: Unit) -> ir.IntegerColumn:
    """Does the work of `micros` for much less for a text of digits alone in range; returns null for any other."""
    shift = SHIFT[unit]
    digits = ibis.ifelse(text.re_search(rf"^[0-9]{{1,{min(16 - shift, 18)}}}\z"), text, ibis.null(str))
    if shift >= 0:
        return digits.cast("int64") * 10**shift
    # Digits are cut off as text: engines divide as floating-point numbers, which end at 2^53.
    return (ibis.literal("0") + digits.left(ibis.greatest(digits.length() + shift, 0))).cast("int64")


def within(time: ir.IntegerColumn) -> ir.BooleanColumn:
    """Tells whether a time lies in the years 1970 to 2200."""
    return (time >= 0) & (time < END)


def _number(text: ir.StringColumn, unit: Unit) -> ir.IntegerColumn:
    shift = SHIFT[unit]
    in_range = rf"^0*[0-9]{{1,{16 - shift}}}(\.[0-9]+)?\z"  # END has 16 digits
    short = ibis.ifelse(text.re_search(in_range), text, ibis.null(str))
    dot = short.find(".")
    whole = ibis.ifelse(dot < 0, short, short.left(dot))
    part = ibis.ifelse(dot < 0, "", short.substr(dot + 1))
    digits = (
        whole.left(ibis.greatest(whole.length() + shift, 0)) if shift < 0 else whole + (part + "0" * shift).left(shift)
    )
    return (ibis.literal("0") + digits).cast("int64")


def _iso(text: ir.StringColumn) -> tuple[ir.IntegerColumn, ir.BooleanColumn]:
    """Returns microseconds, and whether the day exists; null for a null text. Every other text matches ISO_8601.

    Days are counted in years that begin in March, so that the leap day comes last and needs no case of its own: in such
    a year, the months before the m-th have (153 m + 2) // 5 days, as 31 + 30 + 31 + 30 + 31 = 153 repeats. 1970-01-01
    is day 719,468 from 0000-03-01.
    """

    def number(text: ir.StringColumn) -> ir.IntegerColumn:
        return (ibis.literal("0") + text).cast("int64")

    year, month, day = number(text.substr(0, 4)), number(text.substr(5, 2)), number(text.substr(8, 2))
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    last = ibis.ifelse(month == 2, 28 + leap.cast("int64"), 30 + (month + month // 8) % 2)

    shifted = year - (month <= 2).cast("int64")  # years that begin in March put the leap day last
    days = (
        shifted * 365
        + shifted // 4
        - shifted // 100
        + shifted // 400
        + (153 * ((month + 9) % 12) + 2) // 5
        + day
        - 1
        - 719_468
    )

    second = ibis.ifelse(text.substr(16, 1) == ":", text.substr(17, 2), "")
    seconds = days * 86_400 + number(text.substr(11, 2)) * 3600 + number(text.substr(14, 2)) * 60 + number(second)
    fraction = number((text.substr(19).re_extract(r"^[.,]([0-9]+)", 1) + "000000").left(6))

    zone = r"([+-])([0-9]{2}):?([0-9]{2})?\z"
    clock = text.substr(10)
    offset = number(clock.re_extract(zone, 2)) * 3600 + number(clock.re_extract(zone, 3)) * 60
    offset = ibis.ifelse(clock.re_extract(zone, 1) == "-", -offset, offset)
    return (seconds - offset) * 1_000_000 + fraction, (day <= last).fill_null(False)
