#!/bin/sh
# record.sh QUIRE - `quire record`: what it writes is read again, by both methods; what is wrong is one line and a status.
set -u
quire=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failed=0

complain() {
	echo "record.sh: $*"
	failed=1
}

# expect STATUS WORDS COMMAND...: the status, one line of error (argp adds a second), the words in it
expect() {
	status=$1 words=$2
	shift 2
	"$@" >"$place/out" 2>"$place/err" </dev/null
	got=$?
	[ $got -eq "$status" ] || complain "$*: status $got, not $status"
	grep -q "$words" "$place/err" || complain "$*: no '$words' in: $(cat "$place/err")"
	[ "$(grep -vc '^Try ' "$place/err")" -eq 1 ] || complain "$*: more than one line: $(cat "$place/err")"
}

expect 2 '^quire record: needs -o' "$quire" record
expect 2 'needs -o' "$quire" record true
expect 2 'no such method' "$quire" record -m magic -o "$place/t" -- true
expect 2 'cannot write' "$quire" record -o "$place/none/t" -- true
expect 2 'cannot open' "$quire" record --dump "$place/none"
expect 2 'not a trace' "$quire" record --dump "$0"

# A shell with a child of its own, which ends badly.
program='(true); ls / >/dev/null; exit 3'
recorded=0
for method in perf ptrace; do
	# ThreadSanitizer starts a thread of its own in the child between fork and exec: another program than the one traced.
	[ $method = ptrace ] && [ "${QUIRE_SANITIZE:-}" = thread ] && continue
	trace=$place/$method
	"$quire" record -m $method -o "$trace" -- sh -c "$program" 2>"$place/err"
	status=$?
	if [ $status -eq 3 ]; then
		echo "record.sh: $method: $(cat "$place/err")"
		continue
	fi
	[ $status -eq 0 ] || complain "$method: status $status: $(cat "$place/err")"
	grep -q 'exited with status 3' "$place/err" || complain "$method: the program's status is not told"
	"$quire" record --dump "$trace" >"$place/text" || complain "$method: the trace cannot be read"
	[ "$(grep -c ': exec ' "$place/text")" -ge 2 ] || complain "$method: no second exec"
	[ "$(grep -c 'last of its mm' "$place/text")" -ge 2 ] || complain "$method: address spaces do not end"
	for what in ': mmap(' ': brk(' ': munmap(' ': mprotect(' ' stack growsdown' ' vdso' 'clone flags'; do
		grep -qF "$what" "$place/text" || complain "$method: no '$what'"
	done
	head -c 300 "$trace" >"$place/cut"
	expect 2 truncated "$quire" record --dump "$place/cut"
	recorded=1
done
# Limits, also of a program that runs as somebody else.
limited='ulimit -S -l 64; ulimit -S -s 4096; exec true'
if [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
	limited='ulimit -S -l 64; ulimit -S -s 4096; exec setpriv --reuid=65534 --clear-groups true'
fi
if [ $recorded -eq 1 ]; then
	"$quire" record -o "$place/limited" -- sh -c "$limited" 2>"$place/err" || complain "limits: $(cat "$place/err")"
	"$quire" record --dump "$place/limited" | grep ': exec ' | tail -n 1 >"$place/text"
	grep -q 'stack at most 4194304, locked at most 65536' "$place/text" ||
		complain "limits are not recorded: $(cat "$place/text")"
	expect 2 'cannot run' "$quire" record -o "$place/t" -- "$place/none"
	[ ! -e "$place/t" ] || complain 'a trace of nothing was left'
fi
[ $failed -eq 0 ] && [ $recorded -eq 0 ] && exit 77
exit $failed
