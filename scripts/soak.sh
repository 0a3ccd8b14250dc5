#!/bin/sh
# soak.sh - the long forms of the tests: about an hour on two processors. The last line says whether all held; what
# the last run said stands in docs/testing.md.
set -u
cd "$(dirname "$0")/.." || exit 1
QUIRE_SOAK=1
export QUIRE_SOAK
failed=0

# part WHAT COMMAND... - one part; its time and whether it held.
part()
{
	what=$1
	shift
	echo "== $what: $*"
	began=$(date +%s)
	if "$@"; then held=held; else held=FAILED failed=$((failed + 1)); fi
	echo "== $what: $held, $(($(date +%s) - began)) s"
}

echo "== commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(uname -sr), $(nproc) processors"
scripts/build.sh release || exit 1
part "differential fuzzing" build/quire fuzz --ops 10000000 --seed "${QUIRE_SOAK_SEED:-1}" --findings 20
part "differential fuzzing, several threads" build/quire fuzz --threads 3 --ops 3000000 \
	--seed "${QUIRE_SOAK_SEED:-1}" --findings 20
part "planted errors" python3 tests/planted/planted.py
part "litmus files, every safeguard on and off" build/quire check --zoo --strict litmus
# Words of $vma are files.
vma=$(grep -l '^   Rule:.*VMA-' litmus/*.litmus)
# shellcheck disable=SC2086
for model in sc tso weak; do
	part "races of the VMA rules to the end, $model" build/quire check --strict --model $model --seconds 1200 $vma
done
part "litmus files, the weak model" build/quire check --zoo --model weak --seconds 900 litmus
part "what is too large for more than few preemptions" build/quire check --bound 3 --seconds 3600 \
	litmus/invalidate-vs-dontneed.litmus litmus/unregister-vs-truncate.litmus
part "random concurrent programs" build/quire fuzz --check --seconds 600
part "random concurrent programs, the weak model" build/quire fuzz --check --model weak --seconds 600
part "random programs over the check machine's port" build/check_machine_programs
part "threads on one address space, in the kernel" sh tests/cli/boot-stress.sh build/quire 600 "$(date +%s)"
part "mutations of the core's concurrency" python3 tests/mutation/mutation.py
if command -v mpicc >/dev/null; then
	part "searches by the processes of an MPI job" sh -c 'cmake --preset release -B build/mpi -DQUIRE_MPI=ON >/dev/null &&
		cmake --build build/mpi -j "$(nproc)" >/dev/null && ctest --test-dir build/mpi -R cli.mpi --output-on-failure'
fi
for trace in traces/*.trace; do
	for cpus in 1 2 4 16; do
		part "replay" build/quire replay --cpus $cpus "$trace"
	done
done
part "all tests, long forms, the fuzz targets too" scripts/test.sh release debug asan tsan fuzz
if [ $failed -eq 0 ]; then echo "all held"; else echo "$failed parts failed"; fi
[ $failed -eq 0 ]
