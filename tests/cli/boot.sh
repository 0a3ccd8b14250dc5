#!/bin/sh
# boot.sh - `quire boot`: options and messages; then programs on the kernel: Debian's busybox, threads, bad addresses.
quire=$1
kernel=$(dirname "$quire")/quire-kernel
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

fail()
{
	echo "FAIL: $*"
	failed=1
}

# expect STATUS ARGUMENT...: exits so, in time, without input.
expect()
{
	status=$1
	shift
	timeout 60 "$quire" boot "$@" > "$scratch/out" 2> "$scratch/err" < /dev/null
	got=$?
	[ $got -eq "$status" ] ||
		fail "quire boot $*: exit status $got, expected $status: $(head -n 3 "$scratch/err"; tail -n 3 "$scratch/out")"
}

# says TEXT: the last program's output is that.
says()
{
	[ "$(cat "$scratch/out")" = "$1" ] || fail "expected '$1', got: $(head -n 5 "$scratch/out")"
}

# Options, which need neither QEMU nor the kernel.
expect 0 --help
expect 2
expect 2 --
for bad in "--cpus 0" "--cpus 5" "--cpus many" "--memory 0" "--memory 1M" "--memory 12Q" "--limit 0" \
	"--without everything" "--no-such-option" "--cpus" "--test --test=x"; do
	# shellcheck disable=SC2086
	expect 2 $bad -- /bin/true
	[ "$(wc -l < "$scratch/err")" -eq 1 ] || fail "quire boot $bad: not one line: $(cat "$scratch/err")"
done
expect 2 "--test=two words"
[ -f "$kernel" ] || { [ $failed -eq 0 ] && echo "no kernel in this build" && exit 77; exit 1; }
expect 2 -- "$scratch/missing"
expect 2 -- "$scratch"
expect 2 --root "$scratch/missing" -- /bin/true

# Without QEMU: said in one line.
mkdir "$scratch/empty"
(PATH=$scratch/empty; "$quire" boot -- "$quire" < /dev/null 2> "$scratch/err")
[ $? -eq 3 ] || fail "without QEMU the exit status is not 3"
grep -q 'qemu-system-x86' "$scratch/err" || fail "without QEMU it does not say so: $(cat "$scratch/err")"
[ $failed -eq 0 ] || exit 1

command -v qemu-system-x86_64 > /dev/null || { echo "qemu-system-x86_64 is not here"; exit 77; }

# What is linked dynamically is refused.
expect 127 -- "$quire"

# Debian's busybox, as it is.
busybox=/bin/busybox
if [ -x $busybox ] && file=$(head -c 4 $busybox) && ! ldd $busybox > /dev/null 2>&1; then
	for cpus in 1 4; do
		# shellcheck disable=SC2016
		expect 7 --cpus $cpus -- $busybox sh -c 'echo $((6*7)); exit 7'
		says 42
	done
	mkdir -p "$scratch/root/bin"
	cp $busybox "$scratch/root/bin/busybox"
	for name in sh cat ls seq sort head sleep awk dd md5sum rm; do
		ln -s busybox "$scratch/root/bin/$name"
	done
	# shellcheck disable=SC2016
	expect 3 --cpus 2 --root "$scratch/root" -- /bin/sh -c \
		'seq 100 | sort -rn | head -n 1; (sleep 0.1; echo later) & wait; cd /tmp; echo x > y; cat y; rm y; ls; exit 3'
	says "100
later
x"
	sum=$(md5sum < $busybox)
	expect 0 --root "$scratch/root" -- /bin/sh -c 'cat /bin/busybox | md5sum'
	says "$sum"
	sum=$(seq 1000 | timeout 60 "$quire" boot --root "$scratch/root" -- /bin/md5sum 2> /dev/null)
	[ "$sum" = "$(seq 1000 | md5sum)" ] ||
		fail "standard input does not arrive"
	# No memory left ends the program that wanted it, and no other.
	expect 0 --memory 32M --root "$scratch/root" -- /bin/sh -c 'awk "BEGIN { for (;;) a[i++] = i }"; echo $?'
	grep -q '^137$' "$scratch/out" || fail "running out of memory does not end the program: $(cat "$scratch/out")"
	# Arguments come as they are, empty ones too.
	# shellcheck disable=SC2016
	expect 0 -- $busybox sh -c 'echo $#,"$1","$2","$3"' sh "" "two words" ""
	says '3,,two words,'
	# A program by a relative path.
	here=$PWD
	cd "$scratch/root/bin" || exit 1
	expect 0 -- ./busybox echo here
	says here
	expect 0 -- ../bin/busybox echo there
	says there
	cd "$here" || exit 1
	# Who reads the output goes: that is the end. One who has no input has none.
	timeout 60 "$quire" boot --root "$scratch/root" -- /bin/busybox yes < /dev/null 2> /dev/null | head -n 1 \
		> "$scratch/out"
	says y
	sum=$(timeout 60 "$quire" boot -- $busybox cat <&- 2> "$scratch/err")
	[ $? -eq 0 ] || fail "with standard input closed: $(cat "$scratch/err")"
	# Output that nobody takes: said in one line, and no success; but only when there is some.
	lost()
	{
		[ "$1" -eq 3 ] || fail "output that is $2: exit status $1, expected 3"
		[ "$(grep -vc 'unknown system call' "$scratch/err")" -eq 1 ] &&
			grep -q 'cannot write to standard output' "$scratch/err" ||
			fail "output that is $2: not that one line: $(cat "$scratch/err")"
	}
	timeout 60 "$quire" boot -- $busybox yes < /dev/null > /dev/full 2> "$scratch/err"
	lost $? full
	timeout 60 "$quire" boot -- $busybox true < /dev/null >&- 2> "$scratch/err"
	lost $? closed
	timeout 60 "$quire" boot --test=control_passes < /dev/null > /dev/full 2> "$scratch/err"
	lost $? "full, of tests,"
	timeout 60 "$quire" boot -- $busybox sh -c 'exit 5' < /dev/null > /dev/full 2> "$scratch/err"
	[ $? -eq 5 ] || fail "nothing is printed to what is full, and it fails: $(cat "$scratch/err")"
	# All that was printed has come, also through a pipe that is read late.
	timeout 60 "$quire" boot -- $busybox seq 20000 < /dev/null 2> "$scratch/err" |
		(sleep 1; md5sum) > "$scratch/out"
	says "$(seq 20000 | md5sum)"
	# Files that do not fit.
	truncate -s 100M "$scratch/root/sparse"
	expect 2 --memory 64M --root "$scratch/root" -- /bin/sh -c true
	grep -q 'too large for the machine' "$scratch/err" || fail "files that do not fit: $(cat "$scratch/err")"
	rm "$scratch/root/sparse"
	# The end of the first process is the end of all.
	expect 5 --cpus 2 --root "$scratch/root" -- /bin/sh -c 'sleep 1000 & sleep 1000 & exit 5'
	expect 143 --root "$scratch/root" -- /bin/sh -c 'kill $$'
	expect 1 --limit 1 --cpus 2 --root "$scratch/root" -- /bin/sh -c 'while :; do :; done'
	grep -q 'longer than its limit' "$scratch/err" || fail "the limit is not named: $(cat "$scratch/err")"
	grep -q '^CPU 1' "$scratch/out" || fail "the CPUs do not tell what they were doing"
else
	echo "no static busybox here (Debian: busybox-static)"
fi

# Our own.
for name in threads pointers shootdown calls forks greedy; do
	source=$QUIRE_SOURCE/tests/boot/$name.c
	if "${CC:-cc}" -O2 -static -pthread -o "$scratch/$name" "$source" 2> "$scratch/err"; then
		rounds=5
		[ $name = shootdown ] && rounds=90
		expect 0 --cpus 1 --memory 64M -- "$scratch/$name" $rounds
		expect 0 --cpus 4 --memory 64M --stats -- "$scratch/$name" $rounds
		cp "$scratch/out" "$scratch/$name.out"
		cp "$scratch/err" "$scratch/$name.err"
	else
		fail "$name.c: $(cat "$scratch/err")"
	fi
done
grep -q 'faults' "$scratch/greedy.err" || fail "--stats prints none"
grep -q '^quire: forks [0-9]* makes no more tasks' "$scratch/forks.out" ||
	fail "forking without end is not reported"
grep -q '^quire: greedy [0-9]* ended: there is no memory left' "$scratch/greedy.out" ||
	fail "running out of memory is not reported"

# Threads for a time: the counts they keep agree, and every frame comes back.
expect 0 --cpus 4 --limit 300 -- "$scratch/threads" "$([ -n "$QUIRE_SOAK" ] && echo 30s || echo 2s)"

# Calls that are not there are told without being asked for.
expect 0 -- "$scratch/calls"
for line in '169: 3' '511: 1' '512 or above: 3'; do
	grep -q "^quire boot: unknown system call $line\$" "$scratch/err" ||
		fail "unknown calls are not listed, $line: $(cat "$scratch/err")"
done

[ $failed -eq 0 ] || exit 1
[ -x $busybox ] || exit 77
echo "programs run on the kernel, and it gives every frame back"
