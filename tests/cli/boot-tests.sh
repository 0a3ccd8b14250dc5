#!/bin/sh
# boot-tests.sh - the kernel for tests: the core's tests inside it; and stale translations, which real TLBs
# show when a flush is left out, and only then.
quire=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

fail()
{
	echo "FAIL: $*"
	failed=1
}

# expect STATUS ARGUMENT...: exits so, in time.
expect()
{
	status=$1
	shift
	timeout 300 "$quire" boot "$@" > "$scratch/out" 2> "$scratch/err" < /dev/null
	got=$?
	[ $got -eq "$status" ] && return
	fail "quire boot $*: exit status $got, expected $status"
	head -n 3 "$scratch/err"
	grep -v '^ok' "$scratch/out" | head -n 5
}

# says FILE PATTERN: it has such a line.
says()
{
	grep -q "$2" "$scratch/$1" || fail "no line '$2': $(head -n 5 "$scratch/$1")"
}

[ -f "$(dirname "$quire")/quire-test-kernel" ] || { echo "no kernel for tests in this build"; exit 77; }
command -v qemu-system-x86_64 > /dev/null || { echo "qemu-system-x86_64 is not here"; exit 77; }

# Tests of the tests: one that fails, one that hangs, none at all.
expect 0 --test=control_passes
expect 1 --test=control_fails
says out '^not ok 1 - control_fails'
expect 1 --test=control_hangs --cpus 2 --limit 1
says err 'control_hangs takes longer than its limit'
expect 1 --test=control_spins --cpus 1 --limit 1
says err 'did not come to its end, in control_spins'
expect 1 --test=no_such_test

# At 4 CPUs all can run.
expect 0 --test --cpus 4 --limit 200
count=$(sed -n 's/^1\.\.//p' "$scratch/out")
passed=$(grep -c '^ok [0-9]* - [a-z0-9_]*$' "$scratch/out")
[ "${count:-0}" -ge 100 ] && [ "$passed" = "$count" ] || fail "of ${count:-no} tests $passed passed"
expect 0 --test=base_1_munmap --cpus 1

# A flush left out shows in them.
expect 1 --test=base_3_replace --without cow-flush

source=$QUIRE_SOURCE/tests/boot/stale.c
if ! "${CC:-cc}" -O2 -static -pthread -o "$scratch/stale" "$source" 2> "$scratch/err"; then
	fail "stale.c: $(cat "$scratch/err")"
	exit 1
fi

# stale WAY SAFEGUARD CPUS...: seen without the flush, and only then; neither in the kernel that has nothing to
# switch off, nor in the other when it does without something else.
stale()
{
	way=$1
	safeguard=$2
	shift 2
	for cpus; do
		expect 0 --cpus "$cpus" -- "$scratch/stale" "$way"
		expect 0 --cpus "$cpus" --without walk-dead -- "$scratch/stale" "$way"
		expect 9 --cpus "$cpus" --without "$safeguard" -- "$scratch/stale" "$way"
	done
}
stale munmap munmap-flush 1 2 4
stale mprotect protect-flush 1 2 4
stale cow cow-flush 2 4
stale fork fork-flush 1 2 4

[ $failed -eq 0 ] || exit 1
echo "$passed tests of the core hold in the kernel; four flushes left out are seen"
