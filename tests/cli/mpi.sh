#!/bin/sh
# mpi.sh QUIRE - the processes of an MPI job search as one does. Skipped where the build has no MPI.
set -u
. "$(dirname "$0")/../support/cli.sh"
job=$here/quire-check-mpi-mini
[ -x "$job" ] && command -v mpirun >/dev/null || exit 77

cat >some.litmus <<'EOF'
MM some
(* Result: Sometimes
   Budget: 600 s *)
{ mm A; x: A anon rw 2 pages = 7, 8; }
P0 @A { store x, 1; munmap(x); munmap(x+1); }
P1 @A { r0 = load x; store x+1, 9; store x, 9; }
exists (1:r0=1)
EOF

# report PROCESSES OPTIONS...: what does not depend on the machine; the status in status.
report() {
	processes=$1
	shift
	mpirun --allow-run-as-root --oversubscribe -n "$processes" "$job" "$@" some.litmus >out 2>err </dev/null
	echo $? >status
	grep -v ^Time out
}

report 1 >one
[ "$(cat status)" -eq 0 ] || complain "one process: status $(cat status): $(cat out err)"
grep -q 'Observation some Sometimes' one || complain "no report: $(cat out err)"
for processes in 2 4; do
	report $processes >many
	[ "$(cat status)" -eq 0 ] || complain "$processes processes: status $(cat status): $(cat out err)"
	cmp -s one many || complain "$processes processes: $(diff one many)"
done

# The command finds the same states; it does not share so small a search, and needs fewer executions.
states() {
	sed -n 's/^[0-9]* *\([*:]>\)/\1/p' "$1"
}
"$quire" check some.litmus >command
states one >expected
states command | cmp -s expected - || complain "the command: $(diff one command)"

report 3 --model sc >many
[ "$(cat status)" -eq 0 ] || complain "sc: status $(cat status): $(cat out err)"
grep -q 'model SC' many || complain "another model: $(cat many)"

# Locks taken in two orders, by different executions: no process need see both, and the report is the command's.
cp some.litmus some.kept
cat >some.litmus <<'EOF'
MM two
(* Result: Never *)
{ a = 0; b = 0; event e; event f; }
P0 @none { r0 = load a; r1 = load b; r2 = load a; r3 = load b;
	if (r0 = 0 /\ r3 = 0) { lock e; lock f; unlock f; unlock e; }
	if (r0 = 3 /\ r3 = 3) { lock f; lock e; unlock e; unlock f; } }
P1 @none { store a, 1; store a, 2; store a, 3; }
P2 @none { store b, 1; store b, 2; store b, 3; }
exists (a = 9)
EOF
"$quire" check --shard 0/1 some.litmus | grep -v ^Time >command
grep -q '^VIOLATION order of locks' command || complain "two orders, the command: $(cat command)"
for processes in 1 3; do
	report $processes >many
	[ "$(cat status)" -eq 1 ] || complain "two orders: status $(cat status): $(cat out err)"
	cmp -s command many || complain "two orders, $processes processes: $(diff command many)"
done
cp some.kept some.litmus

# A violation ends it everywhere; a mistake in the file is told once.
report 3 --without free-after-flush >many
[ "$(cat status)" -eq 1 ] || complain "a violation: status $(cat status): $(cat out err)"
grep -q '^VIOLATION' many || complain "no violation: $(cat many)"
echo 'P2 @B { }' >>some.litmus
report 3 >many
[ "$(cat status)" -ne 0 ] || complain 'a mistake: status 0'
[ "$(grep -c '^some.litmus:' err)" -eq 1 ] || complain "a mistake: $(cat err)"

[ $failed -eq 0 ] && echo "mpi.sh: all well"
exit $failed
