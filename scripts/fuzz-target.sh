#!/bin/sh
# fuzz-target.sh EXECUTABLE CORPUS [OPTION...] - run a fuzz target over its corpus, on a copy: new inputs stay out of
# the source tree.
set -eu
target=$1
corpus=$2
shift 2
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# The long form. The last of an option counts.
[ -z "${QUIRE_SOAK:-}" ] || [ $# -eq 0 ] || set -- "$@" -runs=-1 -max_total_time=180
[ ! -d "$corpus" ] || cp -r "$corpus/." "$copy"
"$target" "$@" "$copy"
