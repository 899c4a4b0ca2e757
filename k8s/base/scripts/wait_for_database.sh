#!/bin/sh
# Waits for the server that PGHOST, PGPORT, ... name, up to FINEST_PATIENCE_SECONDS (not at all where that is not set): a pod's network
# policies may open only seconds after it has started. A server that refuses is not waited for: what it says is the error.
set -eu

patience=${FINEST_PATIENCE_SECONDS:-0}
case $patience in
  *[!0-9]*) echo "error: FINEST_PATIENCE_SECONDS is '$patience'; write whole seconds, like 120" >&2; exit 1 ;;
esac

answers() {
  # A server whose certificate is refused is there all the same.
  pg_isready --quiet --timeout=2 || PGSSLMODE=disable pg_isready --quiet --timeout=2
}

sign_in() { psql --no-psqlrc --no-password --quiet --command ''; }

end=$(($(date +%s) + patience))
told=
until answers; do
  cause=$(LC_ALL=C PGCONNECT_TIMEOUT=2 sign_in 2>&1 | sed -n '1s/^psql: error: //p')
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "error: the database has not answered within $patience s: $cause; does it run, and do network policies let this pod reach it?" >&2
    exit 1
  fi
  [ "$told" ] || echo "waiting up to $patience s for the database: $cause"
  told=yes
  sleep 1
done
sign_in || exit 1
