#!/bin/sh
# checkpoint.sh QUIRE - a search that is killed in its midst, and goes on from its checkpoint, ends as one that was not;
# and what is no checkpoint, or not this search's, is refused in one line.
set -u
quire=$1
[ -x "$(dirname "$quire")/quire-check-mini" ] || exit 77
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
failed=0

complain() {
	echo "checkpoint.sh: $*"
	failed=1
}

# refused WORDS COMMAND...: status 2, one line, which has the words.
refused() {
	words=$1
	shift
	"$@" >out 2>err </dev/null
	got=$?
	[ $got -eq 2 ] || complain "$*: status $got, not 2: $(cat out err)"
	[ "$(wc -l <err)" -eq 1 ] || complain "$*: not one line: $(cat err)"
	grep -qF -- "$words" err || complain "$*: no '$words' in: $(cat err)"
}

# Some 50000 executions, in which a condition that is to be false holds once in a while.
cat >many.litmus <<'EOF'
MM many
(* Result: Always
   Budget: 600 s *)
{ mm A; x: A anon rw 4 pages = 7, 8, 9, 10; mm B = fork A; }
P0 @A { fork C; }
P1 @B { store x, 1; store x+1, 1; store x+2, 1; munmap(x+3, 1); }
forall (A.x=7 /\ C.x=7 /\ B.x=1)
EOF

# What depends on the machine stands in lines of its own.
report() {
	grep -v ^Time "$1"
}

# interrupt SIGNAL FILE: begin a search, and send the signal when some of it, and not all, is in the file.
interrupt() {
	"$quire" check --jobs 2 --checkpoint "$2" many.litmus >out 2>err </dev/null &
	search=$!
	tries=0
	while [ $tries -lt 600 ]; do
		sleep 0.1
		tries=$((tries + 1))
		grep -q '"executions":[1-9]' "$2" 2>/dev/null && break
		kill -0 $search 2>/dev/null || break
	done
	kill "-$1" $search 2>/dev/null
	wait $search
}

"$quire" check many.litmus >whole 2>/dev/null || complain "the whole search: status $?"

for signal in KILL INT; do
	interrupt $signal $signal.ck
	grep -q '"over":true' $signal.ck && echo "checkpoint.sh: $signal came too late to be of interest"
	if [ $signal = INT ]; then
		grep -q 'go on with: quire check --resume INT.ck' err || complain "nothing is said: $(cat err)"
	fi
	"$quire" check --resume $signal.ck >resumed 2>err || complain "--resume after $signal: status $?: $(cat err)"
	report whole >a
	report resumed >b
	cmp -s a b || complain "after $signal: $(diff a b)"
done

# Time runs out, over and over: each time some of it is done.
tries=0
"$quire" check --seconds 1 --checkpoint time.ck many.litmus >resumed 2>/dev/null
while ! grep -q '(complete)' resumed && [ $tries -lt 100 ]; do
	"$quire" check --seconds 2 --resume time.ck >resumed 2>/dev/null
	tries=$((tries + 1))
done
report resumed >b
cmp -s a b || complain "in pieces: $(diff a b)"

# ---- what is refused

refused 'No such file' "$quire" check --resume none.ck
echo hello >text.ck
refused 'no checkpoint, or a damaged one' "$quire" check --resume text.ck
echo '{"a": 1}' >foreign.ck
refused 'not a checkpoint of quire check' "$quire" check --resume foreign.ck
for bytes in 0 1 100 500 1000; do
	head -c $bytes KILL.ck >short.ck
	refused 'no checkpoint, or a damaged one' "$quire" check --resume short.ck
done
sed 's/"version":1/"version":2/' KILL.ck >future.ck
refused 'version 2' "$quire" check --resume future.ck
sed 's/"done":\[\[[0-9]*,/"done":[[-1,/' KILL.ck >bad.ck
refused 'a damaged checkpoint' "$quire" check --resume bad.ck
sed 's/"worker":"..../"worker":"abcd/' KILL.ck >build.ck
refused 'another build' "$quire" check --resume build.ck
refused 'another memory model' "$quire" check --resume KILL.ck --model weak
refused 'other safeguards' "$quire" check --resume KILL.ck --without munmap-flush
sed 's/= 7, 8/= 7,  8/' many.litmus >other.litmus
refused 'another text' "$quire" check --resume KILL.ck other.litmus
refused 'about one file' "$quire" check --resume KILL.ck many.litmus other.litmus
refused 'is there already' "$quire" check --checkpoint other.litmus many.litmus
refused 'cannot be written' "$quire" check --checkpoint none/x.ck many.litmus
refused 'only complete searches' "$quire" check --checkpoint x.ck --bound 1 many.litmus
refused 'only complete searches' "$quire" check --checkpoint x.ck --random 100 many.litmus

[ $failed -eq 0 ] && echo "checkpoint.sh: all well"
exit $failed
