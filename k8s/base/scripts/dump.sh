#!/bin/sh
# Dumps the database that PGHOST, PGDATABASE, ... name into $FOLDER as one compressed file with its SHA-256 beside it.
set -eu
. "$(dirname "$0")/wait_for_database.sh"

file="mlflow-$(date -u +%Y%m%dT%H%M%SZ).dump"
cd "$FOLDER"
pg_dump --format=custom --no-owner --no-acl --lock-wait-timeout=60s --file="$file.partial"
# A dump that was cut off has no readable table of contents.
pg_restore --list "$file.partial" | grep -q 'TABLE DATA' || { echo "error: $PGDATABASE at $PGHOST has no tables to back up" >&2; exit 1; }
mv "$file.partial" "$file"
sha256sum "$file" > "$file.sha256"
echo "dumped $PGDATABASE at $PGHOST: $file, $(wc -c < "$file") bytes"
