#!/bin/sh
# geometry.sh CMAKE BUILD SOURCE CC - the tests of the tables and of the space, with the miniature geometries' page and table sizes: what is
# too small to be reached at full size (a batch that overflows, a table that empties) is reached all the time there.
set -eu
cmake=$1
build=$2
source=$3
tests="test_table test_maps test_pages test_failures test_stress test_turmoil"
for geometry in 1 2; do
	directory=$build/geometry-$geometry
	"$cmake" -S "$source" -B "$directory" -DCMAKE_C_COMPILER="$4" -DCMAKE_BUILD_TYPE=Debug -DQUIRE_DEBUG=ON \
		-DQUIRE_GEOMETRY=$geometry -DQUIRE_LAB=OFF >"$directory.log" 2>&1 || { cat "$directory.log"; exit 1; }
	for test in $tests; do
		"$cmake" --build "$directory" --target "$test" >"$directory.log" 2>&1 || { cat "$directory.log"; exit 1; }
		"$directory/$test" >"$directory.log" 2>&1 || { cat "$directory.log"; exit 1; }
	done
	echo "geometry $geometry: $tests"
done
