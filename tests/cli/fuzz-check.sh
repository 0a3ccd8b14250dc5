#!/bin/sh
# fuzz-check.sh QUIRE - `quire fuzz --check`: options, exit statuses, the same programs for the same seed; a safeguard that
# is off is found, and what is printed shows it; and nothing is found in a short run with all of them on.
set -u
. "$(dirname "$0")/../support/cli.sh"

# ---- options

expect 0 "$quire" fuzz --check --help
expect 0 "$quire" fuzz --help
says out '--check'
for wrong in '--no-such-option' '--programs 0' '--programs many' '--seconds -1' '--seed x' '--jobs 0' '--jobs 1000' \
	'--geometry huge' '--model pso' '--without no-such-safeguard' '--findings 0' '--executions 0' \
	'--out no/such/directory' 'surplus'; do
	# shellcheck disable=SC2086
	expect 2 "$quire" fuzz --check $wrong
done
says err 'what is surplus?'

# ---- programs: a function of seed and number, and all of them litmus files

expect 0 "$quire" fuzz --check --list --seed 5 --programs 40
mv out first
expect 0 "$quire" fuzz --check --list --seed 5 --programs 40
cmp -s first out || complain 'the same seed makes other programs'
expect 0 "$quire" fuzz --check --list --seed 6 --programs 40
cmp -s first out && complain 'another seed makes the same programs'
expect 0 "$quire" fuzz --check --list --seed 5 --first 39 --programs 1
tail -n "$(wc -l <out)" first | cmp -s - out || complain 'a program depends on those before it'
[ "$(grep -c '^MM fuzz-5-' first)" -eq 40 ] || complain 'not 40 programs'
grep -qE '^(exists|forall)' first && complain 'a program expects something'

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

ln -s "$quire" quire
cp "$quire" ./quire-copy
expect 3 ./quire-copy fuzz --check --geometry four
says err 'no worker for geometry four'
worker '{"at": {"number": 0, "programs": 0}}' '{"ended": {"programs": 7, "unusable": 1, "executions": 99, "transitions": 5}}'
expect 0 ./quire-copy fuzz --check -j 2 --programs 14 --without munmap-flush --seed 3
says out 'Seed 3, model tso, geometry mini: 0 found'
says out '14 programs (2 of them with too little memory)'
says arguments '--first=0 --step=2 --programs=14'
says arguments '--first=1 --step=2 --programs=14'
says arguments '--without=munmap-flush'
# One that dies names its program.
printf '#!/bin/sh\necho "{\\"at\\": {\\"number\\": 12, \\"programs\\": 1}}"\nkill -SEGV $$\n' >quire-check-mini
expect 1 ./quire-copy fuzz --check -j 1 --first 12 --programs 5
says out 'Program 12: the worker died of signal 11'
says out '--seed 1 --first 12 --programs 1'
expect 1 ./quire-copy fuzz --check -j 1 --first 12 --programs 5 --json
says out '"text": "the worker died of signal 11"'
rm -f quire-check-mini

# ---- the real workers

if [ ! -x "$here/quire-check-mini" ]; then
	[ $failed -eq 0 ] && echo 'fuzz-check.sh: no workers here: only options were tested'
	exit $failed
fi

# Without its flush munmap is found out soon: the smallest number, however many workers there are.
mkdir found
expect 1 "$quire" fuzz --check --without munmap-flush --programs 400 --seed 11 --out found
number=$(sed -n 's/^Program \([0-9]*\): stale.*/\1/p' out)
[ -n "$number" ] || complain "no stale translation: $(head -n 5 out)"
says out 'VIOLATION'
says out ' at core/'
grep -v ^Time out >first
expect 1 "$quire" fuzz --check --without munmap-flush --programs 400 --seed 11 --out found --jobs 1
grep -v ^Time out >second
cmp -s first second || complain "two runs differ: $(diff first second | head -n 5)"
file=found/fuzz-11-$number.litmus
[ -s $file ] || complain "no file $file"
says $file 'Safeguard: munmap-flush'
[ "$(grep -c '^P[0-9] ' $file)" -le 2 ] || complain "not small: $(cat $file)"
[ "$(grep '^P[0-9] ' $file | tr -cd ';' | wc -c)" -le 4 ] || complain "not small: $(cat $file)"
expect 1 "$quire" check --without munmap-flush $file
says out 'VIOLATION'
expect 0 "$quire" check --zoo $file
id=$(sed -n 's/^Replay .*--replay //p' first)
expect 1 "$quire" check --without munmap-flush --replay "$id" $file

expect 1 "$quire" fuzz --check --without munmap-flush --programs 400 --seed 11 --findings 3 --no-shrink --json
[ "$(grep -c '"class"' out)" -eq 3 ] || complain "not three findings: $(head -n 20 out)"

# With everything on there is nothing, under any model.
for model in tso weak; do
	expect 0 "$quire" fuzz --check --seconds "${QUIRE_FUZZ_SECONDS:-6}" --seed 12 --model $model
done
for geometry in four full; do
	[ -x "$here/quire-check-$geometry" ] || continue
	expect 0 "$quire" fuzz --check --programs 40 --seed 13 --geometry $geometry
done
exit $failed
