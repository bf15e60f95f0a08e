#!/usr/bin/env bash
# What `make demo-serve` shows: predictions go to PostgreSQL and Redis, are looked up there, and are answered by REST. Both
# servers and the service are of the demo's own, on 127.0.0.1, and are stopped in the end.
#
#     examples/demo_serve.sh [LAKE [DAY]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${BIN:-$root/.venv/bin}
lake=${1:-$root/lake}
day=${2:-2026-03-01}

# A program of PostgreSQL's server, on PATH or where Debian puts it.
program() {
    command -v "$1" || ls -d /usr/lib/postgresql/*/bin/"$1" 2>/dev/null | sort -V | tail -n 1
}

initdb=$(program initdb)
redis=$(command -v redis-server || true)
if [ -z "$initdb" ] || [ -z "$redis" ]; then
    echo "wanted the programs initdb and redis-server; found ${initdb:-no initdb} and ${redis:-no redis-server}" >&2
    echo "Next: Debian: sudo apt-get install postgresql redis-server | macOS: brew install postgresql@17 redis" >&2
    exit 1
fi
pg_ctl=$(dirname "$initdb")/pg_ctl

if [ ! -d "$lake/credit_risk/predictions/date=$day" ]; then
    "$root/examples/demo.sh" "$lake"
    echo
fi
lake=$(cd "$lake" && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/daystone-demo.XXXXXX")
redis_pid='' service_pid='' has_postgres=''
# PostgreSQL refuses to run as root; Debian has the user postgres for it.
as_server=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi

stop() {
    status=$?
    trap - EXIT
    [ -z "$service_pid" ] || { kill "$service_pid" && wait "$service_pid"; } 2>/dev/null || true
    [ -z "$redis_pid" ] || { kill "$redis_pid" && wait "$redis_pid"; } 2>/dev/null || true
    [ -z "$has_postgres" ] || (cd / && "${as_server[@]}" "$pg_ctl" -D "$work/postgres" -m fast -w stop) >/dev/null || true
    rm -rf "$work"
    exit $status
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
    "$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Runs a command until it succeeds, for at most a minute.
await() {
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "nothing came of: $*" >&2
    return 1
}

answers() {
    "$bin/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' "$1"
}

echo "1. An empty PostgreSQL and an empty Redis on 127.0.0.1, each with a password in the environment alone"
PGPASSWORD=$("$bin/python" -c 'import secrets; print(secrets.token_urlsafe())')
REDISCLI_AUTH=$PGPASSWORD
export PGPASSWORD REDISCLI_AUTH
postgres_port=$(free_port) redis_port=$(free_port)
mkdir "$work/postgres" "$work/socket"
(umask 077 && printf '%s\n' "$PGPASSWORD" >"$work/password")
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$work"
    chown postgres:postgres "$work/postgres" "$work/socket" "$work/password"
fi
(
    cd /
    "${as_server[@]}" "$initdb" -D "$work/postgres" -A scram-sha-256 -U demo --pwfile="$work/password" -E UTF8 --locale=C
    "${as_server[@]}" "$pg_ctl" -D "$work/postgres" -w -l "$work/socket/log" \
        -o "-h 127.0.0.1 -p $postgres_port -k $work/socket" start
) >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}
has_postgres=yes
printf 'bind 127.0.0.1\nport %s\nsave ""\nappendonly no\nrequirepass %s\n' "$redis_port" "$REDISCLI_AUTH" |
    (cd "$work" && exec "$redis" -) >"$work/redis.log" 2>&1 &
redis_pid=$!
await "$bin/python" -c "import os, redis; redis.Redis(port=$redis_port, password=os.environ['REDISCLI_AUTH']).ping()"

cat >"$work/luigi.cfg" <<CONFIGURATION
[lake]
root = $lake
[publication]
targets = risk_db, cache
[target.risk_db]
kind = postgres
conninfo = host=127.0.0.1 port=$postgres_port dbname=postgres user=demo
[target.cache]
kind = redis
url = redis://127.0.0.1:$redis_port/0
[lookup]
fallback = prior
max_age_days = 7
[serve]
port = 0
CONFIGURATION
export LUIGI_CONFIG_PATH=$work/luigi.cfg
cd "$work"
sed 's/^/    /' luigi.cfg

shown() {
    echo
    echo "    \$ $*"
}

echo
echo "2. Publication of $day. Where the day is held, a person has to release it before"
shown daystone publish --date $day
if "$bin/daystone" publish --date $day; then
    :
elif [ $? = 45 ]; then
    shown daystone release --date $day --why '"I have looked at it"'
    "$bin/daystone" release --date $day --why "I have looked at it"
    shown daystone publish --date $day
    "$bin/daystone" publish --date $day
else
    exit 1
fi

customer=$("$bin/python" - "$lake" "$day" <<'PYTHON'
import sys
from datetime import date

import spark_lib

lake, day = sys.argv[1:]
print(spark_lib.read_pandas(lake, "credit_risk", "predictions", date.fromisoformat(day)).customer_id[0])
PYTHON
)
echo
echo "3. Look-ups: a customer with a score, on that day, and one without"
shown daystone lookup "$customer" --on $day
"$bin/daystone" lookup "$customer" --on $day
shown daystone lookup C0000000000 --target cache
"$bin/daystone" lookup C0000000000 --target cache

echo
echo "4. The same by REST. There the age of a score is measured from today: the sample's is stale"
shown daystone serve --target cache
"$bin/daystone" serve --target cache 2>"$work/service.log" &
service_pid=$!
await grep -q 'serving .* at http' "$work/service.log" || {
    cat "$work/service.log" >&2
    exit 1
}
url=$(sed -n 's/^serving .* at \(http.*\)$/\1/p' "$work/service.log")
await answers "$url/health"
for path in "/scores/$customer" /scores/C0000000000; do
    shown curl -s "$url$path"
    "$bin/python" -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url$path"
done

echo
echo "5. The service and both servers are stopped"
