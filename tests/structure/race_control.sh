#!/bin/sh
# race_control.sh EXECUTABLE - under ThreadSanitizer: each scene that races is reported, each that does not is silent.
failed=0
for scene in race fence fence-race rcu rcu-race; do
	output=$("$1" $scene 2>&1)
	status=$?
	case $scene in
	*race) expected="a report" ;;
	*) expected="no report" ;;
	esac
	if [ $status -eq 0 ]; then
		found="no report"
	elif echo "$output" | grep -q "WARNING: ThreadSanitizer: data race"; then
		found="a report"
	else
		found="exit status $status"
	fi
	if [ "$expected" = "$found" ]; then
		echo "$scene: $found, as expected"
	else
		echo "$scene: $found, expected was $expected"
		echo "$output"
		failed=1
	fi
done
exit $failed
