#!/bin/sh
# boot-stress.sh QUIRE [SECONDS [SEED]] - threads that make random calls on one address space
# (tests/boot/stress.c): on this computer's kernel, which is the judge of the program; on ours, on four CPUs;
# and on one that forgets a flush.
quire=$1
seconds=${2:-5}
seed=${3:-1}
source=${QUIRE_SOURCE:-.}/tests/boot/stress.c
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "FAIL: $*"
	cat "$scratch/out"
	exit 1
}

# run STATUS COMMAND...: exits so, in time; what it printed is in out.
run()
{
	status=$1
	shift
	timeout $((seconds * 2 + 60)) "$@" > "$scratch/out" 2>&1 < /dev/null
	got=$?
	[ $got -eq "$status" ] || fail "$*: exit status $got, expected $status"
}

[ -f "$(dirname "$quire")/quire-kernel" ] || { echo "no kernel in this build"; exit 77; }
command -v qemu-system-x86_64 > /dev/null || { echo "qemu-system-x86_64 is not here"; exit 77; }
"${CC:-cc}" -O2 -static -pthread -o "$scratch/stress" "$source" > "$scratch/out" 2>&1 || fail "$source"

run 0 "$scratch/stress" 1 "$seed"
run 1 "$quire" boot --cpus 4 --without protect-flush -- "$scratch/stress" 20 "$seed"
grep -q '^stress: thread .* again: ' "$scratch/out" || fail "without a flush nothing is seen"
run 0 "$quire" boot --cpus 4 --limit $((seconds + 60)) -- "$scratch/stress" "$seconds" "$seed"
grep ' operations, ' "$scratch/out" || fail "the program does not say what it did"
