"""Moves backups between a folder, the artifact store and the backup store, all on S3.

    backups.py upload              the dumps in $FOLDER to $BACKUP/database/; drops what is older than $BACKUP_KEEP_DAYS
    backups.py copy-artifacts      what $BACKUP/artifacts/ lacks of $ARTIFACTS
    backups.py list                the dumps there are, oldest first
    backups.py download [NAME]     a dump and its checksum to $FOLDER; the newest where none is named
    backups.py restore-artifacts   what $ARTIFACTS lacks of $BACKUP/artifacts/

BACKUP and ARTIFACTS are s3://bucket/prefix. Credentials, region and endpoint come from boto3's own chain. A store that
does not answer is waited for (wait_for_server.py). An error is one line.
"""

import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from wait_for_server import wait_for_server

KEPT_AT_LEAST = 7
"""Newest dumps that stay whatever their age: backups that fail for a month must not remove the last good ones."""
ONE_COPY = TransferConfig(multipart_threshold=4 * 2**30)
"""The store copies an object of up to 4 GiB in one request."""
STAMP = "mlflow-%Y%m%dT%H%M%SZ.dump"


def place(variable: str) -> tuple[str, str]:
    """Bucket and prefix (ending with a slash) that the variable names."""
    uri = urlsplit(os.environ[variable])
    return uri.netloc, f"{uri.path.strip('/')}/".lstrip("/")


def listing(s3, bucket: str, prefix: str) -> dict[str, int]:
    """Size in bytes by name below the prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"].removeprefix(prefix): entry["Size"] for page in pages for entry in page.get("Contents", [])}


def dumps(s3, bucket: str, prefix: str) -> list[str]:
    """Names of complete dumps, oldest first: the checksum is uploaded last."""
    there = listing(s3, bucket, prefix)
    return sorted(name for name in there if name.endswith(".dump") and f"{name}.sha256" in there)


def upload(s3, folder: Path, bucket: str, prefix: str, keep: timedelta) -> None:
    """Every dump in the folder, read back and compared; then the old ones go."""
    for dump in sorted(folder.glob("*.dump")):
        checksum = dump.with_name(f"{dump.name}.sha256")
        wanted = checksum.read_text().split()[0]
        s3.upload_file(str(dump), bucket, prefix + dump.name)
        stored = hashlib.sha256()
        for part in s3.get_object(Bucket=bucket, Key=prefix + dump.name)["Body"].iter_chunks(2**20):
            stored.update(part)
        if stored.hexdigest() != wanted:
            raise SystemExit(f"error: s3://{bucket}/{prefix}{dump.name} does not read back as it was written")
        s3.upload_file(str(checksum), bucket, f"{prefix}{checksum.name}")
        print(f"uploaded s3://{bucket}/{prefix}{dump.name}, {dump.stat().st_size} bytes, sha256 {wanted}")
    oldest = datetime.now(UTC) - keep
    for name in dumps(s3, bucket, prefix)[:-KEPT_AT_LEAST]:
        if datetime.strptime(name, STAMP).replace(tzinfo=UTC) < oldest:
            for key in (f"{name}.sha256", name):
                s3.delete_object(Bucket=bucket, Key=prefix + key)
            print(f"removed s3://{bucket}/{prefix}{name}, older than {keep.days} days")


def download(s3, folder: Path, bucket: str, prefix: str, name: str) -> None:
    """One dump and its checksum. restore.sh compares the two."""
    there = dumps(s3, bucket, prefix)
    if not there or (name and name not in there):
        wanted = f"no complete dump {name}".strip()
        raise SystemExit(f"error: s3://{bucket}/{prefix} has {wanted}; it has: {', '.join(there) or 'none'}")
    name = name or there[-1]
    for key in (name, f"{name}.sha256"):
        s3.download_file(bucket, prefix + key, str(folder / key))
    print(f"downloaded s3://{bucket}/{prefix}{name}")


def copy(s3, source: tuple[str, str], target: tuple[str, str]) -> None:
    """Objects that the target lacks, or has in another size, copied inside the store. Nothing is removed."""
    have, missing = listing(s3, *target), 0
    for name, size in listing(s3, *source).items():
        if have.get(name) != size:
            s3.copy({"Bucket": source[0], "Key": source[1] + name}, target[0], target[1] + name, Config=ONE_COPY)
            missing += 1
    print(f"copied {missing} objects from s3://{'/'.join(source)} to s3://{'/'.join(target)}")


def main(command: str, name: str = "") -> None:
    """Runs one of the commands above; `name` is the dump's."""
    s3 = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}))
    bucket, prefix = place("BACKUP")
    wait_for_server(s3.meta.endpoint_url)
    database, artifacts = f"{prefix}database/", f"{prefix}artifacts/"
    if command == "upload":
        upload(s3, Path(os.environ["FOLDER"]), bucket, database, timedelta(days=float(os.environ["BACKUP_KEEP_DAYS"])))
    elif command == "list":
        print("\n".join(dumps(s3, bucket, database)))
    elif command == "download":
        download(s3, Path(os.environ["FOLDER"]), bucket, database, name)
    elif command == "copy-artifacts":
        copy(s3, place("ARTIFACTS"), (bucket, artifacts))
    elif command == "restore-artifacts":
        copy(s3, (bucket, artifacts), place("ARTIFACTS"))
    else:
        raise SystemExit(f"error: there is no command {command}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyError as error:
        raise SystemExit(f"error: {error.args[0]} is not set") from None
    except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:
        raise SystemExit(f"error: {os.environ['BACKUP']}: {error}") from None
