"""Changes bytes, texts and JSON, as disks, editors, exporters and people do."""

import json
import string
from collections.abc import Callable
from random import Random
from typing import Any

from tests.damage import DAMAGE

ODD_TEXTS = (
    "",
    " ",
    "\t",
    "0",
    "-0",
    "-1",
    "007",
    "1e5",
    "1e999",
    "nan",
    "NaN",
    "-inf",
    "Infinity",
    "null",
    "NULL",
    "\\N",
    "None",
    "NA",
    "true",
    "1_000",
    "0x1f",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 400,
    "0." + "3" * 400,
    "2024-02-30",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "2024-01-01 25:61:00",
    "0001-01-01",
    "9999-12-31T23:59:59.999999999+14:00",
    "20240101",
    "1700000000000",
    "1700000000.25",
    "NaT",
    "\x00",
    "a\x00b",
    "\x01\x02",
    "\x1b[31mred",
    "\ufeff",
    "\u202eabc",
    "\u2028",
    "\x85",
    "\xa0",
    "\u200b",
    "e\u0301",
    "\u00e9",
    "\U0001f600",
    "\ud83d\udc68\u200d\ud83d\udc69".encode("utf-16", "surrogatepass").decode("utf-16"),
    "\uffff",
    "[bold]x[/red]",
    "<script>alert(1)</script>",
    "![x](http://evil)",
    "$(rm -rf .)",
    "`x`",
    "%s%n%d",
    "{0}",
    "{{x}}",
    "../../etc/passwd",
    "a/b",
    "a\\b",
    "'",
    '"',
    '""',
    "'; DROP TABLE x; --",
    ",",
    ";",
    "|",
    "::",
    "a,b",
    'a"b',
    "a\nb",
    "a\r\nb",
    "\r",
    "=1+1",
    "@x",
    "#",
    "x" * 5000,
    "i" * 4096,
    "i" * 4097,
    "\u00e4" * 4096,
)
"""Texts that something takes for something else."""
LONGEST = 2000
"""Length of the longest line that is written many times over."""
ODD_BYTES = (
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b'"',
    b"'",
    b"\xc3",
    b"\xed\xa0\x80",
)
ODD_JSON: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    -0.0,
    1.5,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": []}},
)


def of_bytes(draw: Random, content: bytes) -> bytes:
    """Returns other bytes: one to four changes of any kind. They may be the same where there is nothing to change."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = draw.choice(BYTE_CHANGES)(draw, content)
    return content


def of_text(draw: Random, text: str, words: tuple[str, ...] = ODD_TEXTS) -> str:
    """Returns another text, changed in lines or characters."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        text = draw.choice((_lines, _characters, _words(words)))(draw, text)
    return text


def of_json(draw: Random, value: Any) -> str:
    """Returns a JSON text in which values or keys are others, or that is cut off, or that is nested without end."""
    if draw.random() < 0.15:
        depth = draw.choice((100, 2000, 200_000))
        return draw.choice(('{"a":' * depth, "[" * depth, "[" * depth + "]" * depth))
    for _ in range(draw.choice((1, 1, 2))):
        value = _value(draw, value)
    text = json.dumps(value, ensure_ascii=draw.random() < 0.5)
    return text if draw.random() < 0.8 else of_text(draw, text)


def _value(draw: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value))
        changed = dict(value)
        what = draw.random()
        if what < 0.1:
            del changed[key]
        elif what < 0.2:
            changed[draw.choice(ODD_TEXTS)] = changed.pop(key)
        elif what < 0.3:
            other = draw.choice(sorted(value))
            changed[key], changed[other] = changed[other], changed[key]
        else:
            changed[key] = _value(draw, value[key])
        return changed
    if isinstance(value, list) and value and draw.random() < 0.9:
        place, changed_list = draw.randrange(len(value)), list(value)
        what = draw.random()
        if what < 0.15:
            del changed_list[place]
        elif what < 0.3:
            changed_list.insert(place, changed_list[place])
        else:
            changed_list[place] = _value(draw, value[place])
        return changed_list
    if isinstance(value, int | float) and not isinstance(value, bool) and draw.random() < 0.3:
        return draw.choice((value + 1, -value, value * 1000, str(value)))
    return draw.choice((*ODD_JSON, *ODD_TEXTS))


def _flip(draw: Random, content: bytes) -> bytes:
    if not content:
        return b"\x01"
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _damage(draw: Random, content: bytes) -> bytes:
    return DAMAGE[draw.choice(sorted(DAMAGE))](content or b"\x00")


def _cut(draw: Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _put(draw: Random, content: bytes) -> bytes:
    place = draw.randrange(len(content) + 1)
    new = draw.choice((draw.choice(ODD_BYTES), draw.randbytes(draw.randrange(1, 9)), draw.choice(ODD_TEXTS).encode()))
    return content[:place] + new + content[place + draw.choice((0, len(new))) :]


def _splice(draw: Random, content: bytes) -> bytes:
    one, other, to = sorted(draw.randrange(len(content) + 1) for _ in range(3))
    return draw.choice(
        (content[:one] + content[other:], content[:other] + content[one:], content[:to] + content[one:other])
    )


def _lines(draw: Random, text: str) -> str:
    lines = text.split("\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    what = draw.randrange(5)
    if what == 0:
        del lines[one]
    elif what == 1:
        lines.insert(other, lines[one])
    elif what == 2:
        lines[one], lines[other] = lines[other], lines[one]
    elif what == 3:
        lines[one] *= draw.choice((2, 200)) if len(lines[one]) < LONGEST else 2
    else:
        lines[one] = " " * draw.randrange(1, 5) + lines[one]
    return "\n".join(lines)


def _characters(draw: Random, text: str) -> str:
    place = draw.randrange(len(text) + 1)
    new: str = draw.choice((*string.printable, *ODD_TEXTS))
    return text[:place] + new + text[place + draw.choice((0, 1, 3)) :]


def _words(words: tuple[str, ...]) -> Callable[[Random, str], str]:
    def change(draw: Random, text: str) -> str:
        place = draw.randrange(len(text) + 1)
        end = min((at for mark in ",\n: " if (at := text.find(mark, place)) >= 0), default=len(text))
        return text[:place] + draw.choice(words) + text[end:]

    return change


BYTE_CHANGES = (_flip, _flip, _damage, _cut, _put, _splice)
