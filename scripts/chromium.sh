#!/bin/sh
# Print the path of the browser in which the tests look at a report: one on PATH, or Debian's chromium, which root
# installs where it is missing.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then
        exit 0
    fi
done
if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    echo "Installing Debian's chromium: a minute the first time" >&2
    apt-get update -qq >&2
    # Its fonts are only recommended, and without any a page has no letters.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >&2
    command -v chromium
    exit 0
fi
echo "No chromium, chromium-browser or google-chrome on PATH. Debian: sudo apt-get install chromium fonts-liberation |" \
    "Red Hat: sudo dnf install chromium | macOS: brew install --cask google-chrome, and a link named google-chrome on" \
    "PATH to /Applications/Google Chrome.app/Contents/MacOS/Google Chrome" >&2
exit 1
