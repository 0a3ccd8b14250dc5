#!/bin/sh
# replay.sh - `quire replay`: exit status and messages for good and bad input; every bundled trace on one CPU and on several.
quire=$1
traces=$QUIRE_SOURCE/traces
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

fail()
{
	echo "FAIL: $*"
	failed=1
}

# expect STATUS ARGUMENT...: exits so, and with anything but 0 or 1 says why in one line.
expect()
{
	status=$1
	shift
	"$quire" "$@" > "$scratch/out" 2> "$scratch/err"
	got=$?
	[ $got -eq "$status" ] || fail "quire $*: exit status $got, expected $status: $(head -n 3 "$scratch/err")"
	[ "$status" -ne 2 ] || [ "$(wc -l < "$scratch/err")" -eq 1 ] ||
		fail "quire $*: not one line: $(cat "$scratch/err")"
}

python=$traces/python3.trace

# The command itself.
expect 0 --help
expect 0 --version
expect 2
expect 2 no-such-command
expect 0 replay --help

# Options.
expect 2 replay
expect 2 replay --cpus 0 "$python"
expect 2 replay --cpus 256 "$python"
expect 2 replay --cpus many "$python"
expect 2 replay --memory 0 "$python"
expect 2 replay --memory 12Q "$python"
expect 2 replay --memory -1 "$python"
expect 2 replay --without everything "$python"
expect 2 replay --no-such-option "$python"
expect 2 replay --memory 1M "$python"
grep -q 'out of memory' "$scratch/err" || fail "too little memory is not said to be: $(cat "$scratch/err")"

# Input.
expect 2 replay "$scratch/missing"
expect 2 replay "$scratch"
: > "$scratch/empty"
expect 2 replay "$scratch/empty"
head -c 1000 "$python" > "$scratch/truncated"
expect 2 replay "$scratch/truncated"
head -c 100000 /dev/zero > "$scratch/zero"
expect 2 replay "$scratch/zero"
expect 2 replay "$quire"

# Output that cannot be written is not taken for shown.
if [ -w /dev/full ]; then
	"$quire" replay "$traces/redis.trace" > /dev/full 2> "$scratch/err"
	got=$?
	[ $got -eq 3 ] || fail "a full disk: exit status $got, expected 3"
	grep -q 'cannot write' "$scratch/err" || fail "a full disk is not said to be: $(cat "$scratch/err")"
fi

# The bundled traces.
for trace in "$traces"/*.trace; do
	for cpus in 1 4; do
		"$quire" replay --cpus $cpus "$trace" > "$scratch/out" 2> "$scratch/err" ||
			fail "$(basename "$trace") on $cpus CPUs: $(head -n 3 "$scratch/err") $(tail -n 2 "$scratch/out")"
	done
done
"$quire" replay --json --without order --cpus 16 "$python" > "$scratch/json" || fail "--without order"
python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); assert a[0]["differences"] == 0 and a[0]["left_over"] is None' \
	"$scratch/json" || fail "--json"

# A name that is not UTF-8 is in the JSON all the same.
odd=$scratch/$(printf 'odd\377name')
if cp "$traces/redis.trace" "$odd" 2> /dev/null; then
	"$quire" replay --json "$odd" > "$scratch/json" || fail "--json of a name that is not UTF-8"
	python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))[0]["trace"].endswith("odd\\xffname")' \
		"$scratch/json" || fail "--json drops a name that is not UTF-8"
fi

# The same on one CPU, twice.
for run in 1 2; do
	"$quire" replay --json "$traces/redis.trace" | grep -v nanoseconds > "$scratch/once.$run"
done
cmp -s "$scratch/once.1" "$scratch/once.2" || fail "one CPU is not deterministic"

exit $failed
