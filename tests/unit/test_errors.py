"""An error is one line, whatever the names in it are."""

from pathlib import Path

import pytest

from finest import sealed
from finest.errors import LONGEST, DamagedError, FinestError, first_line, one_line

ODD = ["a\nb", "a\r\nb", "a\u2028b", "a\x85b", "a\x1b[2Jb", "\u202eb", "\udcff"]


@pytest.mark.parametrize("name", ODD)
def test_no_name_ends_the_line_or_is_obeyed_by_a_terminal(name: str) -> None:
    error = FinestError(f"{name} is damaged; write it anew")
    assert len(str(error).splitlines()) == 1 and str(error) == first_line(error) == one_line(error)
    assert str(error).endswith(" is damaged; write it anew") and name not in str(error)
    str(error).encode()


def test_what_can_be_printed_stays() -> None:
    assert str(FinestError("Gr\u00fc\u00dfe, \U0001f600 a\\b")) == "Gr\u00fc\u00dfe, \U0001f600 a\\b"


def test_a_file_of_such_a_name_that_came_to_a_sealed_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    sealed.seal(tmp_path)
    (tmp_path / "a\nb").touch()
    with pytest.raises(DamagedError) as found:
        sealed.check(tmp_path)
    assert r"a\nb was not written with it" in first_line(found.value) and "run again" in first_line(found.value)


def test_a_seal_that_is_nested_without_end_is_damaged(tmp_path: Path) -> None:
    sealed.seal(tmp_path)
    (tmp_path / sealed.NAME).write_text("[" * 200_000)
    sealed.forget_missing(tmp_path)
    with pytest.raises(DamagedError, match="not as it was written"):
        sealed.check(tmp_path)


def test_what_a_library_says_at_length_is_cut_and_of_what_we_say_long_words_alone() -> None:
    assert len(first_line(ValueError("x y " * 10**6))) == LONGEST + 3
    assert str(FinestError(f"user {'i' * 5000}: do this")) == f"user {'i' * LONGEST}...: do this".replace("...:", "...")
    many = "key is wrong; " * 500
    assert str(FinestError(many)) == many


def test_a_secret_is_masked_before_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "LEAK" * 500)
    assert str(FinestError(f"no such key {'LEAK' * 500}; set another")) == "no such key ***; set another"
