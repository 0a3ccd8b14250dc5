#!/bin/sh
# race_control.sh EXECUTABLE - under ThreadSanitizer: each scene that races is reported, each that does not is silent.
#
# A race is reported only when its two sides come near each other in time, which on a busy machine they sometimes do not:
# so a racing scene has many chances. A scene that is to be silent has one, and must be.
failed=0

look() {
	output=$("$1" "$2" 2>&1)
	status=$?
	if [ $status -eq 0 ]; then
		found="no report"
	elif echo "$output" | grep -q "WARNING: ThreadSanitizer: data race"; then
		found="a report"
	else
		found="exit status $status"
	fi
}

for scene in race fence fence-race rcu rcu-race; do
	case $scene in
	*race) expected="a report" chances=50 ;;
	*) expected="no report" chances=1 ;;
	esac
	look "$1" $scene
	while [ "$found" = "no report" ] && [ $chances -gt 1 ]; do
		chances=$((chances - 1))
		look "$1" $scene
	done
	if [ "$expected" = "$found" ]; then
		echo "$scene: $found, as expected"
	else
		echo "$scene: $found, expected was $expected"
		echo "$output"
		failed=1
	fi
done
exit $failed
