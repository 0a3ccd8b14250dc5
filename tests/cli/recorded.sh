#!/bin/sh
# recorded.sh QUIRE - programs recorded here and now are replayed without a difference: the scenes of recorded.c.
set -u
quire=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failed=0

# ThreadSanitizer starts a thread of its own in the child between fork and exec: another program than the one traced.
[ "${QUIRE_SANITIZE:-}" = thread ] && exit 77
"${CC:-cc}" -O1 -o "$place/recorded" "$QUIRE_SOURCE/tests/cli/recorded.c" 2>"$place/err" || {
	echo "no compiler for what is to be recorded: $(head -n 3 "$place/err")"
	exit 77
}
cd "$place" || exit 1
for scene in $(./recorded); do
	"$quire" record -o trace -- ./recorded "$scene" >out 2>err
	status=$?
	if [ $status -eq 3 ]; then
		echo "recorded.sh: $(cat err)"
		exit 77
	fi
	[ $status -eq 0 ] && grep -q 'exited with status 0' err || {
		echo "recorded.sh: $scene: $(cat err)"
		failed=1
	}
	for cpus in 1 3; do
		"$quire" replay --cpus $cpus trace >out 2>err || {
			echo "recorded.sh: $scene on $cpus CPUs: $(head -n 3 err) $(tail -n 2 out)"
			failed=1
		}
	done
done
exit $failed
