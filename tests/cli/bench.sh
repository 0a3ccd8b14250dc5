#!/bin/sh
# bench.sh QUIRE - `quire bench`: options and exit statuses; a short measurement here; the model, which gives the same
# each time: so what it must give is in numbers.
set -u
. "$(dirname "$0")/../support/cli.sh"

# ---- options

expect 0 "$quire" bench --help
expect 0 "$quire" bench scale --help
expect 2 "$quire" bench
says err 'no benchmark is named'
expect 2 "$quire" bench no-such-benchmark
says err 'there is no benchmark no-such-benchmark'

# refuse WORDS OPTION...: they are refused, in one line with these words.
refuse() {
	words=$1
	shift
	expect 2 "$quire" bench scale "$@"
	says err "$words"
	[ "$(wc -l <err)" -eq 1 ] || complain "$*: not one line: $(cat err)"
}

refuse 'unknown option' --no-such-option
refuse 'unknown option' --plot
refuse 'what is this?' this
refuse '--cpus 1: must be 2 to 256' --cpus 1
refuse '--cpus 257: must be' --cpus 257
refuse '--cpus many: must be' --cpus many
refuse '--pages 0: must be' --pages 0
refuse '--pages 8193: must be' --pages 8193
refuse '--repeat 2: must be 3 to 101' --repeat 2
refuse '--workload idle: there is' --workload idle
refuse 'leave nothing to do' --no-host --no-model
refuse "draws the model's curves" --no-model --plot x

# ---- this computer

for workload in faults dontneed remap; do
	expect 0 "$quire" bench scale --no-model --json --repeat 3 --pages 64 --workload $workload
	python3 - out <<-'END' || complain "$workload: $(head -n 20 out)"
		import json, sys
		all = json.load(open(sys.argv[1]))
		assert all["repetitions"] == 3 and "model" not in all
		for row in all["host"]:
		    for locks in "vma_locks", "single_lock":
		        figure = row[locks]
		        assert 0 < figure["low"] <= figure["median"] <= figure["high"]
		        spread = (figure["high"] - figure["low"]) / 2 / figure["median"]
		        assert figure["word"] == ("steady" if spread <= .03 else "shaky" if spread <= .1 else "noise")
		assert all["host"][0]["cpus"] == 1
	END
done
expect 0 "$quire" bench scale --no-model --repeat 3 --pages 64
says out 'On this computer'

# ---- the model

if [ ! -x "$here/quire-model" ]; then
	expect 3 "$quire" bench scale --no-host
	says err 'quire-model is missing'
	exit $failed
fi

# Two runs give the same, and a picture.
for run in 1 2; do
	expect 0 "$quire" bench scale --no-host --json --cpus 8 --pages 64 --plot plot.$run.svg
	mv out run.$run
done
cmp -s run.1 run.2 || complain "two runs differ: $(diff run.1 run.2 | head -n 5)"
cmp -s plot.1.svg plot.2.svg || complain "two pictures differ"
python3 - plot.1.svg <<'END' || complain "the picture: $(head -n 5 plot.1.svg)"
import sys, xml.etree.ElementTree as tree
lines = [e for e in tree.parse(sys.argv[1]).getroot() if e.tag.endswith("polyline")]
assert len(lines) == 2 and all(len(line.get("points").split()) == 6 for line in lines)
END
refuse 'no-such-directory/x.svg: ' --plot no-such-directory/x.svg
if [ -w /dev/full ]; then
	refuse '/dev/full: No space left' --no-host --cpus 2 --pages 16 --plot /dev/full
fi

# What the per-VMA locks are for, and what the single lock costs; and where the latter's time goes.
expect 0 "$quire" bench scale --no-host --json --cpus 64
python3 - out <<'END' || complain "at 64 CPUs: $(cat err)"
import json, sys
model = json.load(open(sys.argv[1]))["model"]
assert len(model["settings"]) == 7
plain = model["settings"][0]
def gain(locks):
    rates = {p["cpus"]: p["rate"] for p in plain[locks]["points"]}
    return rates[64] / rates[1]
assert gain("vma_locks") >= 40, gain("vma_locks")
assert gain("single_lock") < 2, gain("single_lock")
assert plain["single_lock"]["knee"] < 4 and not plain["single_lock"]["rises"]
assert plain["vma_locks"]["knee"] >= 40 and plain["vma_locks"]["rises"]
assert max(model["knee_moves_by"].values()) < 2, model["knee_moves_by"]
lines = model["dearest_lines"]
assert lines["cpus"] == 64
assert "core/base/sync.c" in lines["single_lock"][0]["uses"][0]["code"]
assert lines["single_lock"][0]["ps"] > 100 * lines["vma_locks"][0]["ps"]
END

# Dropping pages interrupts everybody, unmapping takes the lock; tables say so.
expect 0 "$quire" bench scale --no-host --cpus 8 --pages 64 --workload dontneed
says out 'workload dontneed'
says out 'The dearest cache lines at 8 CPUs, per-VMA locks'
expect 0 "$quire" bench scale --no-host --cpus 8 --pages 64 --workload remap
says out 'single lock: the knee moves by a factor of'

# An access is so many instructions, by how many accesses a fault makes: no other number than is meant.
expect 0 "$here/quire-model" faults vma 1 512 4 300 100000 2000000 0
python3 - out <<'END' || complain "MODEL_FAULT_ACCESSES is not so any more: $(cut -c1-80 out)"
import json, sys
counts = json.load(open(sys.argv[1]))
assert abs(counts["accesses"] / counts["faults"] / counts["accesses_meant"] - 1) < 0.05
END

exit $failed
