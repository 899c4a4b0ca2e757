"""Lengths of time, written for people."""


def duration(seconds: float) -> str:
    """Returns a number of seconds in few words.

    >>> duration(7.26), duration(83.4), duration(600), duration(4000)
    ('7.3 s', '1 min 23 s', '10 min', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
