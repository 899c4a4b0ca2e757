"""Numbers with the noun that they count, written for people."""


def counted(number: int, one: str, many: str = "") -> str:
    """Returns a number and its noun.

    Args:
        number: How many there are.
        one: The noun of a single one.
        many: That of all other numbers; `one` with an s where it is empty.

    >>> counted(1, "file"), counted(1200, "file"), counted(0, "entry", "entries")
    ('1 file', '1,200 files', '0 entries')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
