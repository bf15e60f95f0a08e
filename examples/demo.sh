#!/usr/bin/env bash
# What `make demo` shows: sample days in, predictions out, and a second run that has nothing to do.
#
#     examples/demo.sh [LAKE]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${BIN:-$root/.venv/bin}
lake=${1:-$root/lake}
day=2026-03-01

mkdir -p "$lake"
lake=$(cd "$lake" && pwd)
log=$root/logs/demo.log
mkdir -p "$root/logs"

# Reads Luigi's log, shows one line for each finished task.
progress() {
    local line task rest
    while IFS= read -r line; do
        case $line in
        *" Worker Worker("*") done "*)
            task=${line##*) done}
            task=${task#"${task%%[! ]*}"}
            rest=${task#*date=}
            echo "    ${task%%(*} ${rest%%[,)]*}"
            ;;
        esac
    done
}

echo "1. Sixty days of sample data land in $lake"
"$bin/daystone" sample --lake-root "$lake" --from 2026-01-01 --days 60 --rows-per-day 500 --seed 0

echo
echo "2. luigi --module tasks BatchInference --date $day --lake-root $lake"
echo "   builds what is missing, in a minute or two. Its log: $log"
"$bin/luigi" --module tasks BatchInference --date "$day" --lake-root "$lake" 2>&1 | tee "$log" | progress || {
    status=$?
    echo "The chain failed. The end of its log, $log:" >&2
    tail -n 40 "$log" >&2
    exit $status
}

echo
echo "3. Predictions of $day, the first five and where they lie"
"$bin/python" - "$lake" "$day" <<'PYTHON'
import sys
from datetime import date

import spark_lib

lake, day = sys.argv[1:]
predictions = spark_lib.read_pandas(lake, "credit_risk", "predictions", date.fromisoformat(day))
print(predictions.head().to_string(index=False))
print(f"... {len(predictions):,} rows")
PYTHON
"$bin/daystone" files predictions --date "$day" --lake-root "$lake"

echo
echo "4. The same again"
"$bin/daystone" run BatchInference --date "$day" --lake-root "$lake"
