#!/bin/sh
# coverage.sh COMMAND [ARGUMENT...] - which branches of the core a run of build/quire takes: per file and over all.
# For example:  scripts/coverage.sh fuzz --ops 1000000
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: coverage.sh COMMAND [ARGUMENT...]" >&2; exit 2; }
scripts/build.sh coverage
find build/coverage -name '*.gcda' -delete
status=0
build/coverage/quire "$@" || status=$?
python3 scripts/coverage.py build/coverage/CMakeFiles/quire_core.dir/core
exit $status
