"""Masks secrets in everything that leaves a process: terminal, logs, events, MLflow, errors, tracebacks and webhooks.

Two kinds of text are masked: what stands where a URI or a connection string has credentials, and the values of the
environment's variables that hold secrets, wherever they stand. SECURITY.md says what cannot be masked.
"""

import base64
import html
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
VARIABLE = "FINEST_MASKED"
"""Environment variable: names of further variables whose values are secrets, separated by commas."""
SHORTEST = 8
"""Number of characters of the shortest value that is masked wherever it stands: a shorter one may be any word."""
NAMES = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PASSFILE|SECRET|TOKEN|CREDENTIAL|WEBHOOK|CONNECTION_STRING|(^|_)SAS(_|$)"
    r"|(^|_)(API|ACCESS|ACCOUNT|PRIVATE)?KEY(_ID)?$|(^|_)(PWD|PASS)$",
    re.IGNORECASE,
)
"""Pattern of names of variables that hold secrets."""
NO_SECRETS = {"PWD", "OLDPWD"}
KEYS = (
    r"(?:[\w.-]*(?:password|passwd|pwd|token|signature|credential|accountkey|sharedaccess\w*|secret_?access_?key"
    r"|client_?secret|api_?key|access_?key)|sig)"
)
"""Pattern of keys of queries and connection strings that hold secrets."""
URI = r"(?<=[a-zA-Z0-9+.-])://"
USER = r"(?:[^/?#@{end}]{{0,500}}:[^{end}]{{0,1000}}|[^/?#{end}]{{0,500}})@"
"""Pattern of user and password. What libraries take for a password may have any character, also / and @: where a
colon comes before the first slash, it goes on to the last @. It is bounded, so that no text takes long."""
IN_TEXT, ALONE = r"\s\x1b", "\x00"
"""What ends a URI: within a text, blanks and codes of colours; where the whole text is one, nothing."""
AFTER = ")]}>'\",.;:"
"""Characters that stand behind a URI rather than in it."""
CONTAINERS = ("abfs", "abfss", "wasb", "wasbs")
"""Schemes whose user is the name of a container."""

_hidden = set[str]()


def masked(text: str, alone: bool = False) -> str:
    r"""Returns the text with *** for every secret in it.

    Args:
        text: Any text, URIs within it.
        alone: Whether the text is one URI and nothing else, whose password may have blanks.

    >>> masked("https://me:secret@host:5000/x?token=abc and sqlite:////a/b.db")
    'https://***@host:5000/x?*** and sqlite:////a/b.db'
    >>> masked("postgresql+psycopg2://mlflow:se/cr?et@db/mlflow, http://h/x#token=T, host=db password='a b'")
    'postgresql+psycopg2://***@db/mlflow, http://h/x#***, host=db password=***'
    """
    if (known := _pattern(*_settings())) is not None:
        text = known.sub(MASK, text)
    end = ALONE if alone else IN_TEXT
    text = re.sub(URI + f"(?P<user>{USER.format(end=end)})", _without_user, text)
    text = re.sub(URI + rf"(?P<rest>[^{end}?#]{{0,1000}}[?#][^{end}]*)", _without_query, text)
    return re.sub(rf"(?i)(?<![\w.-])({KEYS}=)('[^']*'|\"[^\"]*\"|[^\s;&,'\"]+)", rf"\1{MASK}", text)


def masked_all(value: Any) -> Any:
    """Returns plain data with every text in it masked."""
    if isinstance(value, str):
        return masked(value, alone=" " not in value)
    if isinstance(value, Mapping):
        return {key: masked_all(each) for key, each in value.items()}
    return [masked_all(each) for each in value] if isinstance(value, (list, tuple)) else value


def _without_user(match: re.Match[str]) -> str:
    harmless = _of(match, CONTAINERS) and ":" not in match["user"]
    return match.group() if harmless else f"://{MASK}@"


def _of(match: re.Match[str], schemes: tuple[str, ...]) -> bool:
    """Tells whether what stands before a match of URI is one of the schemes."""
    return match.string[max(0, match.start() - 8) : match.start()].lower().endswith(schemes)


def _without_query(match: re.Match[str]) -> str:
    """Returns a URI without the values of its query and fragment.

    A fragment that is a path is a page of MLflow's, and is kept but for keys of secrets. A question mark in a path
    that is no web address is no query, unless there is a value.
    """
    uri = match["rest"].rstrip(AFTER)
    place, mark, rest = (re.split("([?#])", uri, maxsplit=1) + ["", ""])[:3]
    if not rest or (mark == "#" and rest.startswith("/")) or (mark == "#" and "=" not in rest):
        shown = re.sub(rf"(?i)(?<![\w.-])({KEYS}=)[^&#]+", rf"\1{MASK}", rest)
    elif mark == "?" and not _of(match, ("http", "https")) and "=" not in rest:
        shown = rest
    else:
        shown = MASK
    return f"://{place}{mark}{shown}{match['rest'][len(uri) :]}"


def has_credentials(uri: str) -> bool:
    """Tells whether a URI carries credentials: a user, or a key of a secret in its query.

    >>> has_credentials("s3a://KEY:SE/CRET@bucket"), has_credentials("abfs://rows@account.dfs.core.windows.net/x")
    (True, False)
    """
    if found := re.search(URI + USER.format(end=ALONE), uri):
        return not _of(found, CONTAINERS) or ":" in found.group()[1:]
    return bool(re.search(rf"(?i)://.*[?#&;]{KEYS}=", uri))


def hide(*values: str) -> None:
    """Makes further values secrets of this process, such as a token that was read from a file."""
    _hidden.update(value for value in values if len(value) >= SHORTEST)


def hide_variable(name: str) -> None:
    """Makes an environment variable's value a secret, of this process and of those that it starts."""
    names = os.environ.get(VARIABLE, "").split(",")
    if name not in names:
        os.environ[VARIABLE] = ",".join(filter(None, [*names, name]))


def _settings() -> tuple[frozenset[tuple[str, bool]], frozenset[str]]:
    """Returns the values of all variables that may hold secrets, each with whether it is one as a whole."""
    further = os.environ.get(VARIABLE, "").split(",")
    held = {
        (value, whole)
        for name, value in os.environ.items()
        if (whole := name in further or _holds_secret(name)) or "@" in value or "=" in value
    }
    return frozenset(held), frozenset(_hidden)


@lru_cache(maxsize=1024)
def _holds_secret(name: str) -> bool:
    return NAMES.search(name) is not None and name not in NO_SECRETS


@lru_cache(maxsize=4)
def _pattern(held: frozenset[tuple[str, bool]], hidden: frozenset[str]) -> re.Pattern[str] | None:
    """Returns a pattern of all secrets, in every form in which they may be written; None without any."""
    found = {each for value, whole in held for each in _candidates(value, whole) if len(each) >= SHORTEST} | hidden
    forms = {form for secret in found for form in _forms(secret)}
    if not forms:
        return None
    return re.compile("|".join(_bounded(form) for form in sorted(forms, key=lambda form: (-len(form), form))))


def _candidates(value: str, whole: bool) -> Iterator[str]:
    """Yields what of a variable's value is secret.

    Args:
        value: The value.
        whole: Whether all of it is a secret; else only what is one by its place in a URI or a connection string.
    """
    if whole and not _is_path(value):
        yield value.strip()
        yield from (line for line in value.split() if "\n" in value and len(line) >= 2 * SHORTEST)  # of a key in PEM
        if address := re.match(r"https?://[^/@]*(/.*)", value.strip()):  # of a webhook, whose path is the secret
            yield address[1]
            yield address[1].rpartition("/")[2]
    for found in re.finditer(URI + f"({USER.format(end=ALONE)})", value):
        user, host = found[1][:-1], re.match(r"[^/?#]*", value[found.end() :])
        name, colon, password = user.partition(":")
        yield password if colon else name
        if colon and len(password) > 2:
            yield user
        for cut in re.finditer("@", user):  # a library that ends the password at its first @ takes the rest for a host
            yield f"{user[cut.end() :]}@{host.group() if host else ''}"
        yield from re.split(r"[/?#@:]", password)
    for found in re.finditer(rf"(?i)(?<![\w.-]){KEYS}=('[^']*'|\"[^\"]*\"|[^\s;&]+)", value):
        yield found[1].strip("'\"")


@lru_cache(maxsize=256)
def _is_path(value: str) -> bool:
    """Tells whether a variable names a file, as of a token, rather than being the secret."""
    try:
        return value.startswith(("/", "~", ".")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _forms(secret: str) -> Iterator[str]:
    plain = {secret, unquote(secret)}
    for one in plain:
        quoted = {quote(one, safe=""), quote(one), quote_plus(one)}
        yield from {one, *quoted, *(re.sub("%..", lambda code: code.group().lower(), each) for each in quoted)}
        yield from {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], repr(one)[1:-1]}
        yield html.escape(one)
        yield base64.b64encode(one.encode(errors="surrogateescape")).decode().rstrip("=")


def _bounded(form: str) -> str:
    """Returns the pattern of a form; a plain word is not looked for within longer ones."""
    return rf"(?<!\w){form}(?!\w)" if form.isalpha() else re.escape(form)


class Masked:
    """Wraps a stream of text, and masks what is written to it."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes the text masked; returns the length of what was given."""
        self.stream.write(masked(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes the lines masked."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Masks what this process writes to its standard streams from now on: prints, logs and tracebacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, Masked):
            continue
        safe = Masked(stream)
        setattr(sys, name, safe)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(cast(TextIO, safe))


@contextmanager
def guarded() -> Iterator[None]:
    """Masks what is written to the standard streams, as long as the context lasts."""
    before = sys.stdout, sys.stderr
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
