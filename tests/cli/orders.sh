#!/bin/sh
# orders.sh QUIRE - locks that are taken in two orders, in parts of a search that different workers are at, or that lie
# before and behind a checkpoint: it is found, and the report is the same every time.
set -u
. "$(dirname "$0")/../support/cli.sh"

# ---- workers that are scripts: each has seen one of the two orders

cat >one.litmus <<'END'
MM one
(* Result: Never *)
{ event e; event f; }
P0 @none { lock e; lock f; }
P1 @none { lock f; lock e; }
exists (0:r0 = 9)
END

# result STOPPED ORDERS: as a worker writes it.
result() {
	tr -d '\n' <<END
{"result": {"geometry": "mini", "model": "sc", "search": "complete", "stopped": $1, "complete": true, "bound": -1,
"executions": 43, "blocked": 2, "transitions": 900, "longest": 30, "holding": 0, "failing": 43, "violations": 0,
"hot": [], "states": [], "witness": null, "orders": [$2]}}
END
	echo
}

# order PART HELD TAKEN TEXT
order() {
	echo "{\"part\": $1, \"held\": $2, \"taken\": $3, \"how\": 0, \"text\": \"$4\", \"schedule\": \"v1:0*$1.1\"}"
}

cp "$quire" quire || exit 1
cat >quire-check-mini <<'END'
#!/bin/sh
echo "$@" >>arguments
case $* in
*--order=*) cat shown ;;
*--claims*) if mkdir first 2>/dev/null; then cat one; else cat other; fi ;;
*) cat share ;;
esac
END
chmod +x quire-check-mini
result '"share"' '' >share
cat >shown <<'END'
{"result": {"witness": {"kind": "violation", "text": "order of locks: P1 takes e with f held", "schedule": "v1:1*3",
"threads": ["P0", "P1"], "steps": []}}}
END
tr -d '\n' <shown >line
echo >>line
mv line shown

swap() {
	mv one line && mv other one && mv line other
}

# scripts: what two of them tell, either way round.
scripts() {
	rm -rf first arguments
	./quire check -j 2 one.litmus >out 2>err </dev/null
	status=$?
	swap
	rm -rf first
	./quire check -j 2 one.litmus >again 2>>err </dev/null
	swap
	grep -v ^Time out >out.kept
	grep -v ^Time again >again.kept
	cmp -s out.kept again.kept || complain "the other way round: $(diff out again)"
}

result null "$(order 3 16 17 'P0 takes f with e held')" >one
result null "$(order 7 17 16 'P1 takes e with f held'), $(order 9 16 17 'P9 takes f with e held')" >other
scripts
[ $status -eq 1 ] || complain "status $status, not 1: $(cat out err)"
grep -qx 'VIOLATION order of locks: P1 takes e with f held; elsewhere P0 takes f with e held' out ||
	complain "no violation: $(cat out err)"
grep -q -e '--replay=v1:0\*7.1 --order=17,16,0' arguments || complain "not shown: $(cat arguments)"
grep -q '^Replay .*--replay v1:1\*3$' out || complain "no replay: $(cat out)"
grep -q '^Elsewhere .*--replay v1:0\*3.1$' out || complain "not the other: $(cat out)"

# Two orders that agree are none; nor are two that share both locks.
result null "$(order 7 16 17 'P1 takes f with e held')" >other
scripts
[ $status -eq 0 ] || complain "one order: status $status: $(cat out err)"
result null "$(order 3 16 17 'P0 takes f with e held' | sed 's/"how": 0/"how": 3/')" >one
result null "$(order 7 17 16 'P1 takes e with f held' | sed 's/"how": 0/"how": 3/')" >other
scripts
[ $status -eq 0 ] || complain "readers: status $status: $(cat out err)"

# A violation in an earlier part, or in the same, comes first; in a later one it does not.
for part in 6 7 8; do
	result null "$(order 3 16 17 'P0 takes f with e held')" >one
	result '"violation"' "$(order 7 17 16 'P1 takes e with f held')" |
		sed "s/\"complete\": true/\"complete\": false, \"found_in\": $part/; s/\"violations\": 0/\"violations\": 1/
			s/\"witness\": null/\"witness\": {\"kind\": \"violation\", \"text\": \"deadlock\", \"steps\": []}/" >other
	scripts
	[ $part -gt 7 ] && words='order of locks' || words=deadlock
	grep -q "^VIOLATION $words" out || complain "a violation in part $part: $(cat out err)"
done

# ---- the real workers

if [ ! -x "$here/quire-check-mini" ]; then
	[ $failed -eq 0 ] && echo 'orders.sh: no workers here: only reports were tested'
	exit $failed
fi

# Each of the two orders is taken in one execution of 250000; between the two lie most of the others. What P0 does at
# first is for the cut: behind it come a few of the additions, and the rest is in the parts.
cat >two.litmus <<'END'
MM two
(* Result: Never
   Model: sc
   Budget: 600 s *)
{ a = 0; c = 0; d = 0; event e; event f; event g; }
P0 @none {
	store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1;
	store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1;
	store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1; store c, 1;
	post g;
	r0 = add a, 1; r1 = add a, 1; r2 = add a, 1; r3 = add a, 1;
	if (r3 = 3) { store d, 1; }
	if (r0 = 10) { r5 = load d; if (r5 = 2) { lock f; lock e; unlock e; unlock f; } } }
P1 @none { wait g; r0 = add a, 1; r1 = add a, 1; r2 = add a, 1; r3 = add a, 1; r4 = add a, 1;
	if (r0 = 5) { store d, 2; }
	if (r0 = 4 /\ r4 = 8) { r5 = load d; if (r5 = 1) { lock e; lock f; unlock f; unlock e; } } }
P2 @none { wait g; r0 = add a, 1; r1 = add a, 1; r2 = add a, 1; r3 = add a, 1; r4 = add a, 1; }
exists (a = 0)
END

# report OPTIONS...: what does not depend on the machine.
report() {
	"$quire" check "$@" >out 2>err </dev/null
	status=$?
	grep -v ^Time out
}

report --jobs 1 two.litmus >expected
[ $status -eq 1 ] || complain "one worker: status $status: $(cat out err)"
grep -q '^VIOLATION order of locks: P0 takes event e with event f held; elsewhere P1 takes event f with event e' expected ||
	complain "no violation: $(cat expected)"
grep -q '<== order of locks' expected || complain "no witness: $(cat expected)"
for options in '--jobs 2' '--jobs 2' '--jobs 3' '--jobs 2 --shard 0/1'; do
	report $options two.litmus >got
	cmp -s expected got || complain "$options: $(diff expected got)"
done
for one in 's/lock f; lock e;/lock e; lock f;/' 's/lock e; lock f;/lock f; lock e;/'; do
	sed "$one" two.litmus >same.litmus
	report --jobs 2 same.litmus >got
	[ $status -eq 0 ] || complain "one order: status $status: $(cat got)"
done

# The one order in parts that are done when the search is killed, the other behind them.
"$quire" check --jobs 1 --checkpoint two.ck two.litmus >out 2>err </dev/null &
search=$!
tries=0
until grep -q '"executions":[1-9]' two.ck 2>/dev/null || [ $tries -gt 600 ] || ! kill -0 $search 2>/dev/null; do
	sleep 0.05
	tries=$((tries + 1))
done
kill -KILL $search 2>/dev/null
wait $search 2>/dev/null
if grep -q VIOLATION out; then
	echo 'orders.sh: the signal came too late to be of interest'
else
	grep -q 'P1 takes event f' two.ck || complain "the order is not in the checkpoint"
fi
for options in '--jobs 1' '--jobs 2'; do
	report $options --resume two.ck >got
	cmp -s expected got || complain "resumed with $options: $(diff expected got)"
done

[ $failed -eq 0 ] && echo 'orders.sh: all well'
exit $failed
