"""Azure's blobs as a file system of pyarrow's, by Microsoft's own library.

pyarrow has one too. Its C++ library ends the process where it cannot parse a refusal; this one raises.
"""

import io
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobBlock, BlobClient, BlobProperties, BlobServiceClient, ExponentialRetry

from storage.objects.azure_errors import explained, remember
from storage.objects.errors import Fault
from storage.objects.place import Place

CONNECT_SECONDS, READ_SECONDS = 10, 60
AHEAD = 4 << 20
"""Bytes that a stream reads at least at once."""
LARGEST = 64 << 20
"""Bytes that one request reads at most."""
COPY_SECONDS = 600
"""Longest time, in seconds, that the server may take for a copy."""


def filesystem(
    find: Callable[[], Place], url: str, account: str, key: str | None, token: str | None, retries: int
) -> pafs.FileSystem:
    """Connects to an account.

    Args:
        find: Connects anew, in another process.
        url: The address where its containers lie.
        account: Its name.
        key: Its key.
        token: A shared access signature, used where there is no key. With neither, an identity of the machine, the pod
            or the person is.
        retries: Number of times that a request is repeated, after 2, 4, 8, ... seconds.

    Raises:
        ValueError: The address is none.
    """
    query = f"?{token.lstrip('?')}" if token and not key else ""
    named = AzureNamedKeyCredential(account, key) if key else None
    service = BlobServiceClient(
        url + query,
        credential=named if named or query else DefaultAzureCredential(),
        retry_policy=ExponentialRetry(initial_backoff=0, increment_base=2, random_jitter_range=1, retry_total=retries),
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        raw_response_hook=remember,
        max_single_get_size=LARGEST,
        max_chunk_get_size=LARGEST,
    )
    return pafs.PyFileSystem(Blobs(find, service))


class Blobs(pafs.FileSystemHandler):  # type: ignore[misc]
    """Reads, writes and lists `CONTAINER/BLOB`: as much of a file system as places need."""

    def __init__(self, find: Callable[[], Place], service: BlobServiceClient):
        """Takes what connects anew in another process, and the client of an account."""
        self._find, self._service = find, service

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        """Leaves the connection behind, and with it the credentials."""
        return _connected, (self._find,)

    def __eq__(self, other: object) -> bool:
        return self is other

    def get_type_name(self) -> str:
        """Returns the name of this kind of file systems."""
        return "azure"

    def normalize_path(self, path: str) -> str:
        """Returns the path itself: names are taken as they are."""
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        """Looks at blobs, or at containers."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pafs.FileInfo:
        container, _, name = path.partition("/")
        try:
            with explained():
                if name:
                    return _described(container, self._blob(path).get_blob_properties())
                self._service.get_container_client(container).get_container_properties()
        except FileNotFoundError:
            return pafs.FileInfo(path, pafs.FileType.NotFound)
        return pafs.FileInfo(path, pafs.FileType.Directory)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        """Lists all blobs below a path; where there are none, there is no such folder either."""
        if not selector.recursive:
            raise NotImplementedError("blobs are listed at every depth")
        container, _, name = selector.base_dir.partition("/")
        with explained():
            found = self._service.get_container_client(container).list_blobs(
                name_starts_with=f"{name}/" if name else None, include=["metadata"]
            )
            return [_described(container, blob) for blob in found]

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Opens a blob to be read from its start to its end."""
        return pa.PythonFile(io.BufferedReader(Download(self._blob(path)), AHEAD), mode="r")

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Opens a blob to be read in any order; each read is a request."""
        return pa.PythonFile(Download(self._blob(path)), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        """Opens a blob to be written; each write is a request."""
        return pa.PythonFile(Upload(self._blob(path)), mode="w")

    def delete_file(self, path: str) -> None:
        """Removes a blob."""
        with explained():
            self._blob(path).delete_blob()

    def copy_file(self, source: str, target: str) -> None:
        """Has the server copy a blob."""
        copy, until = self._blob(target), time.monotonic() + COPY_SECONDS
        with explained():
            status = str(copy.start_copy_from_url(self._blob(source).url)["copy_status"])
            while status == "pending" and time.monotonic() < until:
                time.sleep(1)
                status = str(copy.get_blob_properties().copy.status)
        if status != "success":
            raise OSError(Fault("busy", f"a copy is {status}").text)

    def _blob(self, path: str) -> BlobClient:
        container, _, name = path.partition("/")
        return self._service.get_blob_client(container, name)

    def _unneeded(self, *arguments: Any) -> None:
        raise NotImplementedError("no place needs that")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = move = open_append_stream = _unneeded


def _connected(find: Callable[[], Place]) -> Blobs:
    handler: Blobs = find().filesystem.handler
    return handler


class Download(io.RawIOBase):
    """Reads one version of a blob, of which a read gets what is asked for and no more."""

    def __init__(self, blob: BlobClient):
        """Looks at the blob."""
        with explained():
            about = blob.get_blob_properties()
        self._blob, self._etag, self._size, self._at = blob, about.etag, about.size, 0

    def readable(self) -> bool:
        """Returns that it is."""
        return True

    def seekable(self) -> bool:
        """Returns that it is."""
        return True

    def tell(self) -> int:
        """Returns the place of the next read, in bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place and returns it, in bytes from the start."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Reads as much as the buffer takes, less at the end; returns the number of bytes."""
        length = max(0, min(len(buffer), self._size - self._at))
        if length:
            with explained():
                buffer[:length] = self._blob.download_blob(
                    self._at, length, etag=self._etag, match_condition=MatchConditions.IfNotModified
                ).readall()
        self._at += length
        return length


class Upload:
    """Writes a blob, a block for each write. It is there, whole, once it is closed; after a failure it never is."""

    def __init__(self, blob: BlobClient):
        """Asks for nothing yet."""
        self._blob, self._blocks, self._failed, self.closed = blob, list[BlobBlock](), False, False

    def write(self, content: bytes) -> int:
        """Uploads a block."""
        block, name = bytes(content), f"{len(self._blocks):06d}"  # pyarrow hands in a buffer of its own
        self._failed = True
        with explained():
            self._blob.stage_block(name, block, len(block))
        self._failed = False
        self._blocks.append(BlobBlock(name))
        return len(block)

    def flush(self) -> None:
        """Does nothing: what is written is sent."""

    def close(self) -> None:
        """Makes the blob of its blocks."""
        if not self.closed:
            self.closed = True
            if not self._failed:
                with explained():
                    self._blob.commit_block_list(self._blocks)


def _described(container: str, blob: BlobProperties) -> pafs.FileInfo:
    """Describes a blob. Folders are blobs too where the account has a hierarchy, and as markers that others leave."""
    path = f"{container}/{blob.name}"
    if blob.name.endswith("/") or any(name.lower() == "hdi_isfolder" for name in blob.metadata or ()):
        return pafs.FileInfo(path.rstrip("/"), pafs.FileType.Directory)
    return pafs.FileInfo(path, pafs.FileType.File, size=blob.size, mtime=blob.last_modified)
