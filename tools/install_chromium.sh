#!/bin/sh
# Install Debian's Chromium for the tests that open a report, when it is missing and we may.
# Exit 0: it is there. Exit 1: it is not, and the tests marked `browser` will be skipped.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
say() { echo "chromium: $1; tests marked 'browser' will be skipped" >&2; exit 1; }
command -v apt-get >/dev/null 2>&1 || say "not installed, and this is not a Debian machine"
[ "$(id -u)" = 0 ] || say "not installed; as root: apt-get install chromium"
echo "installing Debian's chromium for the tests of reports"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; say "apt-get could not install it"; }
