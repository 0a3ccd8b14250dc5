#!/bin/sh
# run.sh - the first look: replay a bundled trace on one emulated CPU.
cd "$(dirname "$0")/.." || exit 1
trace=traces/python3.trace
[ -e "$trace" ] || trace=$(ls traces/*.trace 2>/dev/null | head -n 1)
if [ -z "$trace" ]; then
	echo "no trace in traces/" >&2
	exit 3
fi
echo "build/quire replay --cpus 1 $trace"
exec build/quire replay --cpus 1 "$trace"
