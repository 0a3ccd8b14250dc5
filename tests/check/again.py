#!/usr/bin/env python3
"""again.py QUIRE-COMMAND LITMUS-DIRECTORY - executions that are brought back are those that are run.

The check machine does not run again what an execution has in common with the one before, nor an end that was gone through
before: it brings their states back. Whatever part of the state is forgotten there shows here: each litmus file is searched
both ways (a few hundred executions), and the counts, the states and the witness must be the same.
"""
import json
import pathlib
import re
import subprocess
import sys

EXECUTIONS = 400
# What differs: how long it took, what was run, and the names of places after the last end was, or was not, torn down.
ASIDE = ("seconds", "cpu", "run", "hot")


def search(worker, path, options):
    command = [worker, "--seconds=600", "--executions=%d" % EXECUTIONS, *options, str(path)]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    answer = json.loads(lines[-1]) if lines else {}
    result = answer.get("result")
    if not result:
        sys.exit("%s: no result: %s" % (" ".join(command), answer))
    return {key: value for key, value in result.items() if key not in ASIDE}


def main():
    quire, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    bad = count = 0
    for path in sorted(directory.glob("*.litmus")):
        found = re.search(r"Geometry:\s*(\w+)", path.read_text())
        worker = str(quire.parent / ("quire-check-" + (found.group(1) if found else "mini")))
        for options in ([], ["--model=weak"], ["--bound=1"]):
            kept, again = (search(worker, path, options + more) for more in ([], ["--again"]))
            count += 1
            if kept == again:
                continue
            bad += 1
            for key in kept:
                if kept[key] != again.get(key):
                    print("%s %s: %s: %s brought back, %s run again" %
                          (path.name, " ".join(options), key, str(kept[key])[:200], str(again.get(key))[:200]))
    print("%d searches, %d differ" % (count, bad))
    sys.exit(bad > 0)


main()
