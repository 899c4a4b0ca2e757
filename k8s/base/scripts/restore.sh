#!/bin/sh
# Restores the one dump in $FOLDER into the database that PGHOST, PGDATABASE, ... name. All or nothing, and only into an empty database.
set -eu
. "$(dirname "$0")/wait_for_database.sh"

cd "$FOLDER"
sha256sum -c ./*.dump.sha256
tables=$(psql --no-psqlrc --tuples-only --no-align --command "select count(*) from information_schema.tables where table_schema = 'public'")
if [ "$tables" != 0 ]; then
  echo "error: $PGDATABASE at $PGHOST has $tables tables; restore into an empty database (docs/operations.md, Restore)" >&2
  exit 1
fi
pg_restore --exit-on-error --single-transaction --no-owner --no-acl --dbname="$PGDATABASE" ./*.dump
psql --no-psqlrc --command analyze
echo "restored $(ls ./*.dump) into $PGDATABASE at $PGHOST"
