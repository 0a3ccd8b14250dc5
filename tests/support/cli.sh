# cli.sh - what scripts that test the command begin with: `. "$(dirname "$0")/../support/cli.sh"`. They are in a
# directory of their own then, which goes with them.
quire=$1
here=$(dirname "$quire")
script=$(basename "$0")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
failed=0

complain() {
	echo "$script: $*"
	failed=1
}

# expect STATUS COMMAND...: exits so; out and err are kept.
expect() {
	status=$1
	shift
	"$@" >out 2>err </dev/null
	got=$?
	[ $got -eq "$status" ] || complain "$*: status $got, not $status: $(head -n 12 out err)"
}

# says FILE WORDS: the output holds them.
says() {
	grep -qF -- "$2" "$1" || complain "no '$2' in $1: $(head -n 20 "$1")"
}
