"""Line ends of a text that comes in parts, some of them inside quotes."""

import re
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from finest.data.encoded import Fields, mixed, plain

ENDS = ("\n", "\r\n", "\r")
FIELD = st.sampled_from(['"a\rb"', '"\r\n"', '"say ""\n"""', "plain", '5" disk', ""])
PIECES = st.lists(st.tuples(FIELD, st.sampled_from([",", *ENDS])))
"""Fields, and what each is followed by."""


@given(PIECES, st.lists(st.integers(0, 200)))
def test_however_a_text_is_cut_only_line_ends_outside_of_quotes_are_made_one(
    pieces: list[tuple[str, str]], cuts: list[int]
) -> None:
    assume(not any((end, after) == ("\r", ("", "\n")) for (_, end), after in pairwise(pieces)))  # which is one end
    text = "".join(field + end for field, end in pieces)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[start:end] for start, end in pairwise(places)]
    fields = Fields(",", '"')
    wanted = "".join(field + ("," if end == "," else "\n") for field, end in pieces)
    assert "".join(plain(iter(parts), fields)) == wanted
    assert mixed(iter(parts), fields) == (len({end for _, end in pieces} - {","}) > 1)
    assert "".join(plain(iter(parts), Fields(",", ""))) == re.sub(r"\r\n?", "\n", text)
