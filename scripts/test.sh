#!/bin/sh
# test.sh [PRESET...] - build and test every preset named; all that matter without arguments. The last line is the
# sum over all of them, a preset that does not build counting as one failure.
cd "$(dirname "$0")/.." || exit 1
presets=${*:-release asan tsan}
jobs=$(nproc 2>/dev/null || echo 2)
passed=0
failed=0
skipped=0

for preset in $presets; do
	case $preset in
	release) dir=build ;;
	*) dir=build/$preset ;;
	esac
	echo "== $preset: build"
	if ! scripts/build.sh "$preset"; then
		echo "== $preset: does not build"
		failed=$((failed + 1))
		[ -e $dir/CTestTestfile.cmake ] || continue
	fi
	echo "== $preset: test"
	rm -f "$dir/results.xml"
	ctest --test-dir "$dir" -j "$jobs" --output-on-failure --output-junit results.xml 2>&1 |
		grep --line-buffered -vE '^ *Start +[0-9]+:|^Internal ctest|^Test project|^$'
	# <testsuite name="..." tests="12" failures="0" disabled="0" skipped="1" ...>
	count()
	{
		n=$(sed -n "s/^.*[^a-z]$1=\"\([0-9]*\)\".*/\1/p" "$dir/results.xml" 2>/dev/null | head -n 1)
		echo "${n:-0}"
	}
	tests=$(count tests)
	if [ "$tests" -eq 0 ]; then
		echo "== $preset: no test ran"
		failed=$((failed + 1))
		continue
	fi
	f=$(count failures)
	s=$(count skipped)
	failed=$((failed + f))
	skipped=$((skipped + s))
	passed=$((passed + tests - f - s))
done

[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
