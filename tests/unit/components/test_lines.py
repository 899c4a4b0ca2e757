import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lines import LONGEST, NAME, named, own_name, readable
from finest.errors import ConfigError
from pipeline.config import Config, load

ALIKE = st.text(alphabet="aA1-_. é", max_size=6) | st.text(max_size=60)
"""Short texts that would read alike once they are plain, and any others."""


@given(st.lists(ALIKE, unique=True, min_size=2, max_size=40))
def test_two_names_that_would_read_alike_stay_two(texts: list[str]) -> None:
    names = [readable(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(re.fullmatch(NAME, name) and len(name) <= LONGEST and "\n" not in name for name in names)
    assert [readable(text) for text in texts] == names


@given(st.text(alphabet=string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=LONGEST))
def test_a_name_that_is_allowed_stays_as_it_is(text: str) -> None:
    if re.fullmatch(NAME, text):
        assert readable(text) == text == Config(name=text).line


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("ml-100k", "ml-100k"),
        ("/data/clicks.csv.gz", "clicks"),
        ("./orders.parquet", "orders"),
        ("shop.INTER", "shop"),
        ("shop.v2.inter", "shop.v2"),
        ("s3://bucket/prefix/clicks/", "clicks"),
        ("s3://bucket/clicks/dt=2026-11-24/hour=1", "clicks"),
        ("gs://bucket/clicks/*.parquet", "clicks"),
        ("abfs://container@account/clicks?sig=secret", "clicks"),
        ("s3://bucket", "bucket"),
        (".csv", ".csv"),
    ],
)
def test_the_own_name_of_a_source_is_that_of_its_file_or_folder(source: str, name: str) -> None:
    assert own_name(source) == name


def test_a_line_break_at_the_end_is_no_part_of_a_name() -> None:
    assert readable("shop\n") not in ("shop\n", "shop")


def test_a_name_that_is_given_is_the_lines_whatever_the_source() -> None:
    assert named("shop-de", "clicks.csv") == "shop-de"
    assert load(None, ["source=a/Clicks.csv"]).line != load(None, ["source=a/clicks.csv"]).line == "clicks"


@pytest.mark.parametrize("name", ["Shop", "shop de", "-shop", "shop/de", "x" * (LONGEST + 1), "shop\n"])
def test_a_name_that_a_service_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^name = "):
        load(None, [f"name={name!r}" if "\n" not in name else 'name="shop\\n"'])


def test_the_key_of_earlier_versions_is_told_by_its_new_name() -> None:
    with pytest.raises(ConfigError, match=r"promote\.registered_model is called name now"):
        load(None, ["promote.registered_model=shop"])
