#!/usr/bin/env python3
"""coverage.py DIRECTORY - what gcov counted for the objects below a directory: lines run and branches taken, by file."""
import json
import pathlib
import subprocess
import sys


def counted(notes):
    """The source's name and what was counted in it, for one object."""
    output = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(notes)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    for report in output.splitlines():
        for source in json.loads(report)["files"]:
            if source["file"].endswith(".c"):
                lines = [line["count"] > 0 for line in source["lines"]]
                branches = [branch["count"] > 0 for line in source["lines"] for branch in line["branches"]]
                yield source["file"], lines, branches


def row(name, lines, branches):
    share = [100.0 * sum(part) / len(part) if part else 100.0 for part in (lines, branches)]
    print("%-34s %6.1f %% of %5d lines %6.1f %% of %5d branches" % (name, share[0], len(lines), share[1], len(branches)))


def main():
    all_lines, all_branches = [], []
    for notes in sorted(pathlib.Path(sys.argv[1]).rglob("*.gcno")):
        for name, lines, branches in counted(notes):
            row("/".join(pathlib.Path(name).parts[-3:]), lines, branches)
            all_lines += lines
            all_branches += branches
    row("all", all_lines, all_branches)


main()
