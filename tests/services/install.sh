#!/usr/bin/env bash
# Installs the services that tests start and that are not Python packages: Azurite, from npm, into the environment in .venv, and
# PostgreSQL, from Debian. Does nothing where they are there.
set -euo pipefail
node=$(dirname "$0")/../../.venv/node
if [ ! -d "$node/node_modules/azurite" ]; then
    if command -v npm > /dev/null; then
        npm install --prefix "$node" --no-fund --no-audit --ignore-scripts --silent azurite@3.37.0
    else
        echo "there is no npm to install Azurite: tests of Azure Blob Storage are skipped" >&2
    fi
fi
if compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "PostgreSQL is not installed and cannot be from here: its tests are skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# The servers of tests are their own: no cluster that starts by itself.
mkdir -p /etc/postgresql-common
test -e /etc/postgresql-common/createcluster.conf || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends postgresql > /dev/null
