#!/bin/sh
# soak.sh - the long forms of the tests: hours rather than minutes.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh release
QUIRE_SOAK=1
export QUIRE_SOAK
echo "== differential fuzzing, ten million operations"
build/quire fuzz --ops 10000000
echo "== planted errors, each to be found within 100,000 operations"
python3 tests/planted/planted.py
for trace in traces/*.trace; do
	for cpus in 1 2 4 16; do
		echo "== $trace at $cpus CPUs"
		build/quire replay --cpus $cpus "$trace"
	done
done
echo "== errors planted in the core, each to be found"
python3 tests/planted/planted.py
echo "== all tests, long forms, the fuzz targets too"
scripts/test.sh release debug asan tsan fuzz
