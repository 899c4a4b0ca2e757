from hypothesis import given, settings
from hypothesis import strategies as st

from finest.ranklists.match import match

CATALOGUE = st.lists(st.sampled_from("abcdefgh"), unique=True).map(lambda items: ["", *items])


@given(CATALOGUE, CATALOGUE)
@settings(max_examples=60, deadline=None)
def test_codes_lead_to_the_same_item_both_ways_or_to_none(first: list[str], second: list[str]) -> None:
    found = match(first, second)
    assert [second[code] for code in found.forward] == [item if item in second else "" for item in first]
    assert [first[code] for code in found.backward] == [item if item in first else "" for item in second]


@given(CATALOGUE, CATALOGUE)
@settings(max_examples=60, deadline=None)
def test_every_item_is_counted_once(first: list[str], second: list[str]) -> None:
    found = match(first, second)
    ours, theirs = set(first) - {""}, set(second) - {""}
    assert (found.common, found.vanished, found.new) == (len(ours & theirs), len(ours - theirs), len(theirs - ours))
