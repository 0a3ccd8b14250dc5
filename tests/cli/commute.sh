#!/bin/sh
# commute.sh QUIRE - `quire commute`: options; what it makes of a worker that is a script and says what it is
# told to; then the real one, where it is built: which pairs share no line today, and may not tomorrow either.
set -u
. "$(dirname "$0")/../support/cli.sh"

# ---- options

expect 2 "$quire" commute read
says err 'one operation: a pair has two'
expect 2 "$quire" commute read write mmap
says err 'more than two operations'
expect 2 "$quire" commute read fly
says err 'no such operation: fly'
expect 2 "$quire" commute --only read,fly
says err 'no such operation: fly'
expect 2 "$quire" commute --only read,
expect 2 "$quire" commute --placement tables,moon
says err 'no such placement: moon'
expect 2 "$quire" commute --only read read write
says err '--only is of the matrix'
expect 2 "$quire" commute --jobs 0
expect 2 "$quire" commute --jobs 2x
expect 2 "$quire" commute --show-litmus
says err 'which two operations?'
expect 2 "$quire" commute --show-litmus --json read read
says err 'runs nothing'
expect 2 "$quire" commute --no-such-option
expect 2 "$quire" commute --html none/page.html read read
says err 'cannot write none/page.html'
expect 2 "$quire" commute --placement files read read
says err 'no pair of these can be placed so'
expect 0 "$quire" commute --help
expect 0 "$quire" commute --list
says out 'mremap '
says out 'one address space, one page table'

# A litmus file for each placement in which there is the pair, the first named first whatever the order.
expect 0 "$quire" commute --show-litmus munmap read
[ "$(grep -c '^MM read-and-munmap$' out)" = 4 ] || complain "not four files: $(grep ^MM out)"
expect 0 "$quire" commute --show-litmus munmap read -p vma
says out 'P1 @A { r0 = munmap(x1); }'
mv out pair.litmus

# ---- a worker that is a script

cp "$quire" quire || exit 1
expect 3 ./quire commute read read
says err 'no worker for geometry full'

# worker HOLDING LINES
worker() {
	lines=$(echo "$2" | tr -d '\n')
	cat >quire-check-full <<-EOF
	#!/bin/sh
	echo '{"result": {"holding": $1, "failing": 0, "stopped": "executions", "lines": [$lines]}}'
	EOF
	chmod +x quire-check-full
}
use() # COLUMN WRITES FIELD
{
	echo "{\"column\": $1, \"writes\": $2, \"field\": \"$3\","
	echo "\"where\": \"$3 of A\", \"code\": \"core/$3.c:$1 f\"}"
}

worker 1 ''
expect 0 ./quire commute read read -p tables --strict
says out 'read x read, tables: 0 lines shared'
expect 0 ./quire commute --only read,write -p tables
[ "$(grep -c ' \.$' out)" = 2 ] || complain "the matrix is not all dots: $(cat out)"
says out '3 of 3'

# A field that both touch has a reason by its name and its place; one that is only near has its own.
worker 1 "{\"meet\": true, \"uses\": [$(use 0 true folio.table.lock), $(use 1 false folio.table.lock)]},
{\"meet\": false, \"uses\": [$(use 0 true box.left), $(use 1 false box.right)]}"
expect 0 ./quire commute read read -p table
says out 'read x read, table: 2 lines shared'
says out '- one page table has one lock'
says out '- no reason known (no field of it is touched by both)'
says out 'writes box.left of A'
says out 'core/box.right.c:1 f'
expect 1 ./quire commute read read -p table --strict
expect 0 ./quire commute --only read -p tables,table
says out '     1    box.left'
says out '     1  one page table has one lock, and one count of its entries (folio)'
says out '     1    folio.table.lock'
says out 'nobody knows why: 3'
! grep -q 'box.right' out || complain 'a field that nobody writes is what a line is shared for'
worker 1 "{\"meet\": true, \"uses\": [$(use 0 true folio.table.lock), $(use 1 true folio.table.lock)]}"
expect 0 ./quire commute read read -p table --strict
expect 1 ./quire commute read read -p tables --strict

# What did not happen is not measured.
worker 0 ''
expect 1 ./quire commute read read -p tables
says err 'read x read, tables: one of the two has failed'
printf '#!/bin/sh\nexit 4\n' >quire-check-full
expect 1 ./quire commute read read -p tables
says err 'ended with status 4'

# ---- the real one

if [ ! -x "$here/quire-check-full" ]; then
	echo "the worker is not built here"
	exit $((failed ? 1 : 77))
fi

# A scene can be gone through by itself.
expect 0 "$quire" check --lines pair.litmus
says out 'Observation read-and-munmap Always 1 0'

# VMA-6: faults share nothing with each other, nor with changes of anonymous memory, in another table.
faults=read,write,private-read,private-write,shared-read,shared-write
expect 0 "$quire" commute --only $faults -p tables,mms,files --strict
says out '21 of 21'
says out '10 of 10'
expect 0 "$quire" commute --only read,mmap,munmap,mprotect,mremap,dontneed,populate -p tables --html page.html
[ "$(grep -cE '^ *[0-9]+ [a-z]+( +[0-9.]+)+$' out)" = 7 ] || complain "not seven rows: $(cat out)"
sed -n '/faults x faults/,$p' out | grep -qE '^tables +1 of 1 +6 of 6 ' || complain "faults share: $(cat out)"
says page.html '"placement":"tables"'
! grep -qE '(src|href)=' page.html || complain 'the page fetches something'

# Changes that take translations away share nothing in another table; those of one file's mappings the file.
expect 0 "$quire" commute --only shared-read,private-write,mmap-file,munmap-file,munmap -p tables --strict
sed -n '/faults x faults/,$p' out | grep -qE '^tables +3 of 3 +6 of 6 +3 of 6$' || complain "a file is shared: $(cat out)"
says out 'which mappings the one file has (vma, quire_file)'

# And in one VMA, which has one count of users.
expect 0 "$quire" commute --only read,write,dontneed -p vma
sed -n '/faults x faults/,$p' out | grep -qE '^vma +3 of 3 +2 of 2 ' || complain "faults share: $(cat out)"

# Fields have their names, by debug information, and both sides their lines.
expect 0 "$quire" commute read write -p table
says out 'read          writes folio.table.lock of frame'
grep -q '^    write .* folio.table.lock of frame [0-9]* *core/table/[a-z]*\.c:[0-9]* ' out ||
	complain "no place in the source: $(cat out)"
expect 0 "$quire" commute mmap-file mmap-file -p mms --json
says out '"field": "quire_file.rmap_lock.word"'
says out '"where": "quire_file.rmap_lock.word of f0"'
says out '"of": "changes x changes"'

exit $failed
