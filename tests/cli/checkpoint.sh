#!/bin/sh
# checkpoint.sh QUIRE - a search that is killed in its midst, and goes on from its checkpoint, ends as one that was not;
# and what is no checkpoint, or not this search's, is refused in one line.
set -u
. "$(dirname "$0")/../support/cli.sh"
[ -x "$here/quire-check-mini" ] || exit 77

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
	"$quire" check --jobs 1 --checkpoint "$2" many.litmus >out 2>err </dev/null &
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
	if grep -q '"over":true' $signal.ck; then
		echo "checkpoint.sh: $signal came too late to be of interest"
	elif [ $signal = INT ]; then
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
	"$quire" check --seconds $((tries + 2)) --resume time.ck >resumed 2>/dev/null # on a slow machine too
	tries=$((tries + 1))
done
report resumed >b
cmp -s a b || complain "in pieces: $(diff a b)"

# over FILE REPORT: what is over is told again, and not searched.
over() {
	grep -q '"over":true' "$1" || complain "$1 is not over"
	"$quire" check --resume "$1" >again 2>err || complain "$1, over: $(cat err)"
	report "$2" >b
	report again >c
	cmp -s b c || complain "$1, over: $(diff b c)"
	took=$(sed -n 's/^Time \([0-9]*\)\.\([0-9]*\) s, .*/\1\2/p' again)
	[ "${took:-999}" -lt 20 ] || complain "$1, over, is searched again"
}

for name in KILL INT time; do
	over $name.ck whole
done

# A share in pieces: more of it each time, until it is over, and both shares together are the whole.
for share in 0 1; do
	"$quire" check --jobs 1 --seconds 1 --shard $share/2 --checkpoint share.ck many.litmus >resumed 2>err
	tries=0
	before=0
	while ! grep -q '"over":true' share.ck && [ $tries -lt 30 ]; do
		"$quire" check --jobs 1 --seconds $((tries + 2)) --resume share.ck >resumed 2>err ||
			complain "share $share: $(cat err)"
		after=$(grep -o '"executions":[0-9]*' share.ck | head -n 1 | cut -d: -f2)
		if [ "${after:-0}" -lt "$before" ]; then
			complain "share $share: less than the $before that were done: ${after:-nothing}"
			break
		fi
		before=${after:-0}
		tries=$((tries + 1))
	done
	sed -n 's/^Observation many [A-Z][a-z]* //p' resumed >share.$share
	over share.ck resumed
	rm -f share.ck
done
sed -n 's/^Observation many [A-Z][a-z]* //p' whole >share.all
cat share.0 share.1 | awk '{ a += $1; b += $2 } END { print a, b }' >share.sum
cmp -s share.all share.sum || complain "the shares are not the whole: $(cat share.all share.0 share.1)"

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
sed 's/"version":3/"version":4/' KILL.ck >future.ck
refused 'version 4' "$quire" check --resume future.ck
sed 's/"done":\[\[[0-9]*,/"done":[[-1,/' KILL.ck >bad.ck
refused 'altered or cut' "$quire" check --resume bad.ck
sed 's/"without":\[\]/"without":["bogus"]/' KILL.ck >bad.ck
refused 'altered or cut' "$quire" check --resume bad.ck
sed 's/,"seal".*/}/' KILL.ck >bad.ck
refused 'altered or cut' "$quire" check --resume bad.ck

# altered STATEMENT: KILL.ck with another content and a seal that fits.
altered() {
	python3 - "$1" >bad.ck <<'EOF'
import json, sys
d = json.load(open("KILL.ck"))
def sealed(d):
    text = json.dumps(d, separators=(",", ":"), ensure_ascii=False)
    seal = 0xcbf29ce484222325
    for byte in text.encode():
        seal = (seal ^ byte) * 0x100000001b3 % 2**64
    return text[:-1] + ',"seal":"%016x"}' % seal
cpu = d["end"]["cpu"] = d["result"]["cpu"] = d["end"]["seconds"] = 1.5 # a number that all write alike
del d["seal"]
exec(sys.argv[1])
print(sealed(d))
EOF
}

if command -v python3 >/dev/null; then
	altered 'pass'
	"$quire" check --resume bad.ck >resumed 2>err || complain "sealed by hand: $(cat err)"
	for what in 'd["shard"] = 5; d["shards"] = 4' 'd["shard"] = 4; d["shards"] = 4' 'd["shard"] = 1' \
		'd["shards"] = 2**32' 'd["shard"] = -1' 'd["shards"] = 2' 'd["done"].append(d["done"][0])' \
		'd["done"].append([2**40, "0" * 16])' 'd["done"].append(5)' 'd["done"] = None' \
		'd["frontier"] = 0' 'd["frontier"] = 2**32 + 64' 'd["result"]["executions"] = 2**63 - 1' \
		'd["result"]["violations"] = -3' \
		'd["result"]["cpu"] = "abc"' 'd["result"]["hot"] = 7' 'd["result"]["witness"] = 5' \
		'd["result"]["states"] = [5]' 'd["result"]["orders"] = [5]' \
		'd["result"]["orders"] = [dict(part=0, held=99, taken=1, how=0, text="x", schedule="v1:0")]' \
		'del d["result"]["orders"]' 'd["found"] = 5' 'd["over"] = "yes"' 'd["end"] = None' \
		'd["without"] = ["bogus"]' 'd["without"] = [{}]' 'd["asked"] = "bogus"' 'd["asked"] = 3' \
		'd["file"] = 7'; do
		altered "$what"
		refused 'a damaged checkpoint' timeout 60 "$quire" check --resume bad.ck
	done
fi
mkdir build
cp "$quire" "$(dirname "$quire")/quire-check-mini" build
echo >>build/quire-check-mini
refused 'another build' build/quire check --resume KILL.ck
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
