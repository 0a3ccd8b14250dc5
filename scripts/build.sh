#!/bin/sh
# build.sh PRESET [TARGET] - configure when needed and build, everything or one target; quiet unless something is wrong.
set -eu
cd "$(dirname "$0")/.."
preset=$1
jobs=$(nproc 2>/dev/null || echo 2)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
if ! cmake --build --preset "$preset" -j "$jobs" ${2:+--target "$2"} -- -k >"$log" 2>&1; then
	grep -vE '^\[ *[0-9]+%\] (Building|Built|Linking)|^make\[' "$log" >&2 || true
	exit 1
fi
