#!/bin/sh
# quire fuzz: options, exit statuses, repetition by seed and by bytes, and a short run against this computer's kernel.
set -u
quire=$1
failed=0

# expect STATUS WHAT COMMAND... - the command's exit status is STATUS.
expect() {
	status=$1
	what=$2
	shift 2
	"$@" >out.$$ 2>err.$$
	got=$?
	if [ "$got" -ne "$status" ]; then
		echo "$what: exit status $got instead of $status: $*"
		cat out.$$ err.$$
		failed=1
	fi
}

cd "$(mktemp -d)" || exit 1
trap 'rm -rf "$PWD"' EXIT

expect 0 "list" "$quire" fuzz --list
grep -qx mremap out.$$ || { echo "--list does not name mremap"; failed=1; }
expect 2 "unknown option" "$quire" fuzz --no-such-option
expect 2 "not a number" "$quire" fuzz --ops many
expect 2 "no operations" "$quire" fuzz --ops 0
expect 2 "negative number" "$quire" fuzz --ops -1
expect 2 "length out of range" "$quire" fuzz --length 100000
expect 2 "no findings" "$quire" fuzz --findings 0
expect 2 "no time" "$quire" fuzz --seconds 0
expect 2 "a program of no sequence" "$quire" fuzz --program --ops 10
expect 2 "every operation of no sequence" "$quire" fuzz --verbose --ops 10
expect 2 "one thread" "$quire" fuzz --threads 1
expect 2 "too many threads" "$quire" fuzz --threads 5
expect 2 "a program of threads" "$quire" fuzz --threads 2 --program --replay 00
expect 2 "threads against themselves" "$quire" fuzz --threads 2 --against-itself
expect 2 "surplus argument" "$quire" fuzz what
expect 2 "missing file" "$quire" fuzz --replay /no/such/file

"$quire" fuzz --against-itself --ops 3000 >out.$$ 2>err.$$
case $? in
3)	echo "skipped: $(cat err.$$)"
	exit $((failed ? 1 : 77)) ;;
0)	;;
*)	echo "the kernel against itself:"
	cat out.$$ err.$$
	failed=1 ;;
esac

# Sanitizers make each operation several times as slow.
operations=100000
[ -z "${QUIRE_SANITIZE:-}" ] || operations=15000
expect 0 "a short run" "$quire" fuzz --ops "${QUIRE_FUZZ_OPS:-$operations}" --seed 4
expect 0 "json" "$quire" fuzz --ops 2000 --json
grep -q '"divergences": 0' out.$$ || { echo "--json does not say how many divergences"; failed=1; }
expect 0 "replay of bytes" "$quire" fuzz --replay 000000000000000000000000
head -c 1200 "$quire" >bytes
expect 0 "replay of a file" "$quire" fuzz --replay bytes

# Several threads at once: two, three and four of them.
operations=20000
[ -z "${QUIRE_SANITIZE:-}" ] || operations=4000
[ -z "${QUIRE_SOAK:-}" ] || operations=200000
for threads in 2 3 4; do
	expect 0 "$threads threads" "$quire" fuzz --threads $threads --ops $operations --seed 4
	grep -q "^[0-9]* of them in [1-9][0-9]* stretches" out.$$ ||
		{ echo "$threads threads: no stretches"; failed=1; }
	! grep -q " 0 orders tried" out.$$ || { echo "$threads threads: nothing was judged"; failed=1; }
done
expect 0 "threads in json" "$quire" fuzz --threads 3 --ops 1000 --json
grep -q '"undecided"' out.$$ || { echo "--json does not tell of stretches"; failed=1; }
head -c 600 "$quire" >bytes
expect 0 "replay of threads" "$quire" fuzz --threads 3 --replay bytes

# Agents that die, the zygote first and then one of its children, are replaced, and the run goes on.
children() {
	cat "/proc/$1/task/$1/children" 2>/dev/null
}
kill_one() { # a child of process $1, or of its first child
	for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		sleep 0.1
		of=$1
		[ "$2" = child ] || of=$(children "$of")
		victim=$(children "${of%% *}")
		[ -z "$victim" ] || ! kill -KILL "${victim%% *}" 2>/dev/null || return 0
	done
}
"$quire" fuzz --seconds 5 --seed 5 --json >out.$$ 2>err.$$ &
run=$!
kill_one $run child
kill_one $run grandchild
wait $run
got=$?
if [ "$got" -ne 0 ] || grep -q '"agents_restarted": 0' out.$$; then
	echo "agents killed: exit status $got"
	cat out.$$ err.$$
	failed=1
fi
expect 0 "program" "$quire" fuzz --replay bytes --program
exit $failed
