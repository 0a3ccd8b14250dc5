#!/bin/sh
# check.sh QUIRE - `quire check`: options, exit statuses, mistakes in files; then reports, first with workers that are
# scripts and say what they are told to, then with the real ones, where they are built.
set -u
. "$(dirname "$0")/../support/cli.sh"

# ---- options

expect 2 "$quire" check
says err 'no file given'
expect 2 "$quire" check --no-such-option x
expect 2 "$quire" check --model pso x
says err 'no such memory model: pso'
expect 2 "$quire" check --without no-such-safeguard x
says err 'no such safeguard: no-such-safeguard'
expect 2 "$quire" check --bound many x
expect 2 "$quire" check --bound 65 x
expect 2 "$quire" check --random 0 x
expect 2 "$quire" check --seconds -1 x
expect 2 "$quire" check --jobs 0 x
for shard in 1 1/ /2 2/2 -1/2 1/0 a/b; do
	expect 2 "$quire" check --shard=$shard x
	says err 'shard is I/N'
done
for how in --pct --pos --seed=3; do
	expect 2 "$quire" check $how x
	says err 'say how to sample: --random says how often'
done
for how in --random=10 --bound=1 --optimal --shard=0/2; do
	expect 2 "$quire" check $how --replay v1:0 x
	says err '--replay is one execution'
done
expect 0 "$quire" check --help
expect 0 "$quire" check --list-safeguards
says out munmap-flush
expect 0 "$quire" check --list-safeguards --json
says out '"name": "munmap-flush"'

# ---- files

expect 2 "$quire" check no-such-file.litmus
says err 'no-such-file.litmus: No such file'
mkdir empty
expect 2 "$quire" check empty
says err 'no litmus file in it'
cat >bad.litmus <<'END'
MM bad
{ mm A; x: A anon rw 1 page; }
P0 @A { lod x; }
END
expect 2 "$quire" check bad.litmus
says err "bad.litmus:3:9: expected a statement, found 'lod'"

cat >one.litmus <<'END'
MM one
(* Result: Never
   Safeguard: munmap-flush *)
{ mm A; x: A anon rw 1 page = 7; }
P0 @A { munmap(x); }
P1 @A { r0 = load x; }
exists (1:r0 = 9)
END

# ---- workers that are scripts: beside a command of our own

# worker LINE...: the next worker says these.
worker() {
	printf '#!/bin/sh\necho "$@" >>arguments\n' >quire-check-mini
	for line in "$@"; do
		printf "cat <<'END'\n%s\nEND\n" "$line" >>quire-check-mini
	done
	chmod +x quire-check-mini
	rm -f arguments
}

# result STOPPED COMPLETE HOLDING FAILING VIOLATIONS WITNESS
result() {
	cat <<END
{"result": {"geometry": "mini", "model": "tso", "search": "complete", "stopped": $1, "complete": $2, "bound": -1,
"executions": 43, "blocked": 2, "transitions": 900, "instrumented": 5, "longest": 30, "seconds": 0.5, "holding": $3,
"failing": $4, "violations": $5, "hot": [{"where": "mm A lock", "races": 3, "code": ["core/a.c:1 f", "core/b.c:2 g"]}],
"states": [{"state": "1:r0=7;", "count": $4, "holds": false}, {"state": "1:r0=9;", "count": $3, "holds": true}],
"witness": $6}}
END
}

# The same on one line, as a worker writes it.
line() {
	result "$@" | tr -d '\n'
	echo
}

witness='{"kind": "violation", "text": "stale frame: P1 reads x", "schedule": "v1:0*2.1", "preemptions": 1,
"threads": ["P0", "P1", "P0 interrupts"], "steps": [
{"step": 0, "thread": 0, "what": "load", "code": "core/a.c:1 f", "value": 0, "choices": 0, "notes": [], "where": "word"},
{"step": 1, "thread": 0, "what": "store", "code": "core/a.c:2 f", "value": 0, "choices": 0, "notes": [],
 "where": "entry of x", "line": 5, "statement": "munmap(x)"},
{"step": 2, "thread": 1, "what": "user load", "code": "", "value": 7, "choices": 1, "notes": ["stale: frame 5"],
 "line": 6, "statement": "r0 = load x"}]}'

cp "$quire" quire || exit 1
expect 3 ./quire check one.litmus
says err 'no worker for geometry mini'

worker "$(line null true 0 43 0 null)"
expect 0 ./quire check one.litmus
says out 'Test one Forbidden'
says out 'Observation one Never 0 43'
says out 'Result Never (complete), as expected'
says out 'Search complete, model TSO, 43 executions, at most 30 steps, 2 begun in vain'
expect 0 ./quire check --model weak --without munmap_flush --seconds 3 --bound 2 one.litmus
says arguments '--model=weak --without=munmap_flush'
says arguments '--bound=2 --seconds=3'
expect 0 ./quire check --json one.litmus
says out '"verdict": "holds"'

worker "$(line null true 2 41 0 null)"
expect 1 ./quire check one.litmus
says out 'Observation one Sometimes 2 41'
says out 'Result Sometimes (complete), expected Never'

# CHK-6: a violation is told in columns, with source lines, and how to see it again.
worker "$(line '"violation"' false 0 41 1 "$witness")"
expect 1 ./quire check one.litmus
says out 'VIOLATION stale frame: P1 reads x'
says out 'Replay quire check one.litmus --replay v1:0*2.1'
says out '> munmap(x)  (line 5)'
says out 'store entry of x = 0'
says out 'stale: frame 5'
! grep -q 'P0 interrupts' out || complain 'a column for a thread that does nothing'
! grep -q 'load word' out || complain 'a step of no interest is shown'
expect 1 ./quire check -v one.litmus
says out 'load word = 0'
says out 'Space mm A lock: 3 reversed'
expect 1 ./quire check --html page.html --dot graph.dot one.litmus
says page.html 'stale frame: P1 reads x'
! grep -qE '(src|href)=' page.html || complain 'the page fetches something'
says graph.dot 'digraph "one"'
expect 1 ./quire check --zoo one.litmus

# Out of time: not contradicted, and that is said; --strict does not take it.
worker "$(line '"time"' false 0 41 0 null)"
expect 0 ./quire check one.litmus
says out 'Result Never (time ran out after 43 executions), not contradicted'
says out 'Space mm A lock'
expect 1 ./quire check --strict one.litmus

# Executions were given up: what they would have become is not known, and that is said.
worker "$(line null true 0 43 0 null | sed 's/"blocked": 2/"blocked": 2, "given_up": 5/')"
expect 0 ./quire check one.litmus
says out 'Result Never (complete but for 5 given up), not contradicted'
says out 'Search complete but for 5 given up, model TSO'
expect 0 ./quire check --json one.litmus
says out '"given_up": 5'
says out '"how": "complete but for 5 given up"'
expect 1 ./quire check --strict one.litmus
worker "$(line '"time"' false 0 43 0 null | sed 's/"blocked": 2/"blocked": 2, "given_up": 5/')"
expect 0 ./quire check one.litmus
says out 'Result Never (time ran out after 43 executions, 5 given up), not contradicted'

# The first stage gives up: all workers begin again, take parts, and their counts add up.
cat >quire-check-mini <<'END'
#!/bin/sh
echo "$@" >>arguments
case $* in
*--claims*) cat all ;;
*) cat share ;;
esac
END
line '"share"' false 0 41 0 null >share
line null true 0 43 0 null | sed 's/"blocked": 2/"blocked": 2, "given_up": 5/' >all
rm -f arguments
expect 0 ./quire check -j 3 one.litmus
says out 'Observation one Never 0 129'
says out 'complete but for 15 given up'
[ "$(grep -c -e --claims= arguments)" -eq 3 ] || complain "not three workers: $(cat arguments)"
rm -f arguments
expect 0 ./quire check -j 2 --shard 1/4 one.litmus
[ "$(grep -c -e '--claims=[0-9]* --shard=1 --shards=4' arguments)" -eq 2 ] || complain "the share: $(cat arguments)"

worker '{"mistake": {"line": 4, "column": 9, "text": "set-up of x failed"}}'
expect 2 ./quire check one.litmus
says err 'one.litmus:4:9: set-up of x failed'
worker 'nonsense'
expect 2 ./quire check one.litmus
says err 'the worker ended with status 0 and no result'
printf '#!/bin/sh\nkill -SEGV $$\n' >quire-check-mini
expect 2 ./quire check one.litmus
says err 'the worker died of signal 11'

# ---- the real workers

if [ ! -x "$here/quire-check-mini" ]; then
	[ $failed -eq 0 ] && echo 'check.sh: no workers here: only reports were tested'
	exit $failed
fi
cat >sb.litmus <<'END'
MM sb
(* Result: Never
   Model: sc *)
{ a = 0; b = 0; }
P0 @none { store.relaxed a, 1; r0 = load.relaxed b; }
P1 @none { store.relaxed b, 1; r0 = load.relaxed a; }
exists (0:r0 = 0 /\ 1:r0 = 0)
END
expect 0 "$quire" check sb.litmus
says out 'Observation sb Never 0 3'
expect 1 "$quire" check --model tso sb.litmus
says out 'Result Sometimes'
id=$(sed -n 's/^Replay .*--replay //p' out) # CHK-6: that is all it takes
expect 1 "$quire" check --model tso --replay "$id" sb.litmus
says out 'one execution, replayed'
expect 2 "$quire" check --replay v1:9.9.9 sb.litmus

# Two events that are taken in two orders, though never at once.
cat >two.litmus <<'END'
MM two
(* Result: Never *)
{ event e; event f; event g; }
P0 @none { lock e; lock f; unlock f; unlock e; post g; }
P1 @none { wait g; lock f; lock e; unlock e; unlock f; }
exists (0:r0 = 1)
END
expect 1 "$quire" check two.litmus
says out 'VIOLATION order of locks: P1 takes event e with event f held'
sed 's/lock f; lock e; unlock e; unlock f/lock e; lock f; unlock f; unlock e/' two.litmus >one-order.litmus
expect 0 "$quire" check one-order.litmus

# One of every kind of operation, sampled: they do what the language says, in every order.
cat >all.litmus <<'END'
MM all
(* Result: Always
   Options: rcu *)
{ mm A; file f 2 pages = 1, 2; file g 2 pages stored = 5; event e; event l; a = 0; p = 2 plain; device d: A;
  x: A anon rw 1 page = 7; y: A hole 1 page; z: A file f+1 shared rw 1 page = read; w: A file g private r 1 page = 3;
  h: A anon r 8 pages at huge = -, read; t: A anon rw 1 page at top = 4; k: A anon rw 1 page = 8;
  @A { brk(heap+1); store heap, 6; madvise(t, WIPEONFORK); } }
P0 @A { r0 = mmap(1 page, anon rw); store r0[1], 5; r1 = load r0[1]; fork C; r2 = mremap(x, y);
	r3 = translate d, y, write; dstore d, y, 11; r4 = dload d, y; drop d; unregister d;
	r6 = mprotect(k, none); K: load k; r7 = peek k; mlock(t); munlock(t); post e; L: r5 = load x; }
P1 @none { wait e; run @C; r0 = load x; r1 = load t; r2 = process_vm_readv(x, A.y); r3 = C.peek x; write g, 9;
	r4 = read g; truncate(f+1); r5 = A.copy_from z; store p, 3; r6 = cas a, 0, 5; lock l; unlock l;
	if (r6 = 0) { r7 = add a, 2; } else { r7 = 99; } idle; leave; C.exit; }
forall (1:r0 = 7 /\ 0:r4 = 11 /\ A.x = unmapped /\ A.y = 11 /\ fault(0:L) /\ signal(0:L) = SIGSEGV /\ f+1 = unmapped
	/\ g = 9 /\ A.w = 3 /\ p = 3 /\ a = 7 /\ 1:r1 = 0 /\ 1:r2 = 8 /\ 1:r3 = 11 /\ 1:r7 = 5 /\ 0:r1 = 5
	/\ A.heap = 6 /\ signal(0:K) = SIGSEGV /\ 0:r7 = 8)
END
expect 0 "$quire" check --random 300 all.litmus
says out 'Observation all Always 300 0'

# A device is told to translate again, over and over: in the end it is given up.
cat >again.litmus <<'END'
MM again
(* Result: Sometimes *)
{ mm A; device d: A; x: A anon rw 1 page = 7; }
P0 @none { r0 = translate d, x; r1 = dload d, x; }
P1 @A { madvise(x, DONTNEED); madvise(x, DONTNEED); madvise(x, DONTNEED); madvise(x, DONTNEED); madvise(x, DONTNEED);
	madvise(x, DONTNEED); madvise(x, DONTNEED); madvise(x, DONTNEED); madvise(x, DONTNEED); }
exists (0:r1=7)
END
expect 0 "$quire" check --random 1000 --pos again.litmus
says out 'given up'

"$quire" check --without free-after-flush --html page.html --dot graph.dot "$QUIRE_SOURCE/litmus/munmap-vs-store.litmus" >first
[ $? -eq 1 ] || complain "munmap-vs-store without free-after-flush: $(head -n 20 first)"
says first 'VIOLATION'
says first 'missing: a flush of x on P1'
grep -q '^     P0  *P1$' first || complain 'CHK-6: no columns'
grep -q '^  *at core/table/cursor.c:[0-9]* take_entry' first || complain 'CHK-6: no source lines'
says first 'rmw folio 3 refs = 0'
says graph.dot 'level 2'
"$quire" check --without free-after-flush -j 1 "$QUIRE_SOURCE/litmus/munmap-vs-store.litmus" >second
grep -v ^Time first >first.kept
grep -v ^Time second >second.kept
cmp -s first.kept second.kept || complain "two runs differ: $(diff first.kept second.kept | head -n 5)"

expect 2 "$quire" check --html none/page.html "$QUIRE_SOURCE/litmus/munmap-vs-store.litmus"
says err 'cannot write none/page.html'
expect 2 "$quire" check --dot none/graph.dot "$QUIRE_SOURCE/litmus/munmap-vs-store.litmus"
[ ! -s out ] || complain "searched before it was found out that nothing can be written: $(cat out)"

# All of a search that is shared says the same for any number of workers, but how long it took.
for jobs in 1 2 3; do
	"$quire" check --json --jobs $jobs "$QUIRE_SOURCE/litmus/exec-vs-truncate.litmus" |
		grep -v '"seconds"\|"cpu"\|"run"\|"found_in"' >jobs.$jobs
	cmp -s jobs.1 jobs.$jobs || complain "--jobs $jobs: $(diff jobs.1 jobs.$jobs | head -n 5)"
done

# ---- cache lines: a fault shares none with another, nor with changes elsewhere (VMA-6); changes do

lines() # FIRST SECOND: a file of the two, in mappings whose tables are there
{
	cat >lines.litmus <<-END
	MM lines
	(* Result: Always
	   Rule: VMA-6
	   Geometry: full *)
	{ mm A; x: A anon rw 8 pages at level 1; y: A anon rw 8 pages at level 1; @A { store x, 1; store y, 1; } }
	P0 @A { $1; }
	P1 @A { $2; }
	forall (0:r9=0)
	END
	expect 0 "$quire" check --lines lines.litmus
}
for change in 'r0 = load x+1' 'munmap(x)' 'mprotect(x, r)' 'madvise(x, DONTNEED)'; do
	lines "$change" 'r1 = load y+1'
	says out 'Lines 0 shared'
done
lines 'mprotect(x, r)' 'mprotect(y, r)'
says out 'writes range_head.lock.word'
says out ' lock_leaf'
expect 2 "$quire" check --lines --random 5 lines.litmus

# ---- the documents' files: as they are, and without what they say protects them

sed -n '/^MM munmap-vs-access/,/^```/p' "$QUIRE_SOURCE/docs/litmus-format.md" | grep -v '^```' >munmap-vs-access.litmus
expect 0 "$quire" check --zoo munmap-vs-access.litmus
says out '2 checks: 2 as expected'
sed -n '/^   MM my-hunch/,/^   ```/p' "$QUIRE_SOURCE/docs/checker.md" | grep -v '```' >my-hunch.litmus
expect 0 "$quire" check my-hunch.litmus
says out 'Result Never (complete)'
expect 1 "$quire" check --without free-after-flush my-hunch.litmus
says out 'VIOLATION'

# ---- README's excerpt: every line of it that "..." does not cut is what is printed

sed -n '/^\$ build\/quire check --without /,/^\$ /p' "$QUIRE_SOURCE/README.md" | grep -v '^\$' >excerpt
[ -s excerpt ] || complain 'README has no excerpt of quire check'
(cd "$QUIRE_SOURCE" && "$quire" check --without protect-flush litmus/mprotect-vs-store.litmus) >out
sed 's/ *\.\.\.$//' excerpt | while IFS= read -r line; do
	grep -qF -- "$line" out || echo "$line"
done >stale
[ ! -s stale ] || complain "README shows what is not printed any more: $(cat stale)"

exit $failed
