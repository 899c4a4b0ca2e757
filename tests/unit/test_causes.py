import socket
import ssl
import threading
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import boto3
import pytest
import requests  # type: ignore[import-untyped]
import urllib3
from botocore.config import Config

from finest.causes import chain, find

CLOSED = "127.0.0.1:9"


@contextmanager
def listening(answer: Callable[[socket.socket], object] | None = None) -> Iterator[str]:
    """A server that takes connections and does `answer` with each; without one it never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        if answer is not None:

            def serve() -> None:
                with suppress(OSError):  # the test is over
                    while True:
                        answer(server.accept()[0])

            threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def by_urllib3(url: str) -> object:
    return urllib3.PoolManager(retries=1, timeout=0.3).request("GET", url)


def by_urllib3_once(url: str) -> object:
    return urllib3.PoolManager(retries=False, timeout=0.3).request("GET", url)


def by_requests(url: str) -> object:
    return requests.get(f"{url}?X-Amz-Signature=secret", timeout=0.3)


def by_the_standard_library(url: str) -> object:
    return urllib.request.urlopen(url, timeout=0.3)


def by_botocore(url: str) -> object:
    config = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1})
    given = {"aws_access_key_id": "x", "aws_secret_access_key": "secret", "region_name": "eu-central-1"}
    return boto3.client("s3", endpoint_url=url, config=config, **given).list_buckets()


CLIENTS = [by_urllib3, by_urllib3_once, by_requests, by_the_standard_library, by_botocore]


def said(client: Callable[[str], object], url: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        with pytest.raises(Exception) as caught:
            client(url)
        found = find(caught.value, url)
    assert "secret" not in found.words
    return found.words


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_that_does_not_resolve_is_told_with_its_port(client: Callable[[str], object]) -> None:
    assert (
        said(client, "http://s3.finest.invalid:9000")
        == "no connection to s3.finest.invalid:9000: the name does not resolve"
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refusal_is_told_with_its_address(client: Callable[[str], object]) -> None:
    assert said(client, f"http://{CLOSED}/path") == f"no connection to {CLOSED}: refused"


@pytest.mark.parametrize("client", CLIENTS)
def test_silence_is_told_with_its_address(client: Callable[[str], object]) -> None:
    with listening() as place:
        assert said(client, f"http://{place}/path") == f"no answer from {place} in time"


@pytest.mark.parametrize("client", [by_urllib3, by_requests, by_the_standard_library])
def test_a_connection_that_ends_without_an_answer_is_told(client: Callable[[str], object]) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1)
        connection.close()

    with listening(hang_up) as place:
        assert said(client, f"http://{place}") == f"{place} hung up without an answer"


def test_a_server_without_tls_is_told() -> None:
    with listening(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as place:
        assert said(by_urllib3_once, f"https://{place}") == f"no connection to {place}: it does not speak TLS"


def test_a_certificate_is_told_with_what_the_system_has_against_it() -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "certificate has expired"
    found = find(error, "https://registry.example/v2/")
    assert found.kind == "certificate"
    assert found.words == "no connection to registry.example:443: certificate not trusted (certificate has expired)"


def test_what_a_redirect_led_to_is_what_did_not_answer() -> None:
    try:
        try:
            by_requests(f"http://{CLOSED}/presigned")
        except requests.ConnectionError:
            raise RuntimeError("the download failed") from None
    except RuntimeError as error:
        assert find(error, "http://mlflow.example:5000").words == f"no connection to {CLOSED}: refused"


def test_a_cause_of_which_a_library_kept_the_text_alone_is_still_told() -> None:
    text = (
        "The following failures occurred: {'a': ConnectionError(MaxRetryError("
        "\"HTTPConnectionPool(host='s3.finest.svc', port=9000): Max "
        'retries exceeded with url: /bucket?X-Amz-Signature=secret (Caused by NameResolutionError(...))"))}'
    )
    assert (
        find(Exception(text), "http://mlflow:5000").words
        == "no connection to s3.finest.svc:9000: the name does not resolve"
    )


def test_what_is_not_known_is_named_by_its_type_and_its_text_is_kept_back() -> None:
    assert (
        find(ValueError("password=secret"), "http://me:secret@kfp.example").words
        == "no connection to kfp.example:80: ValueError"
    )


@pytest.mark.parametrize("url", ["", "http://", "http://[", "not a url", "http://me:secret@"])
def test_an_address_that_is_none_is_still_a_line(url: str) -> None:
    words = find(ConnectionRefusedError(), url).words
    assert words.startswith("no connection to ") and words.endswith(": refused") and "secret" not in words


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert list(chain(first)) == [first, second]
