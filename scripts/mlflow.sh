#!/bin/sh
# Print the path of the Python that has MLflow's server, which the tests start. It is installed into .tools where it is
# not there yet.
set -eu
cd "$(dirname "$0")/.."
pinned=$PWD/scripts/mlflow.txt
# Other versions are another environment.
environment=$PWD/.tools/mlflow-$(cksum <"$pinned" | cut -d ' ' -f 1)
if [ ! -x "$environment/bin/python" ]; then
    mkdir -p .tools
    echo "Installing MLflow's server into .tools: a few minutes the first time" >&2
    # A directory of its own and a rename: two test sessions may install at once.
    building=$(mktemp -d .tools/building.XXXXXX)
    "${PYTHON:-.venv/bin/python}" -m venv "$building" >&2
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$pinned" >&2
    # Where another session was first, its environment stays. (mv would move ours below it.)
    "$building/bin/python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$building" "$environment" 2>/dev/null ||
        rm -rf "$building"
fi
echo "$environment/bin/python"
