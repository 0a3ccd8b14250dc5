#!/usr/bin/env python3
"""mutation.py - the core's concurrency, broken in one small place at a time: does the checker find each?

A mutation is a patch in this directory, NN-name.patch; its first line says what is broken and which rule that breaks,
its second the litmus file that should show it. The command is built once, the worker anew for each mutation, in a copy
of the source tree as it is now, uncommitted changes included. The file that is named runs first, then all of litmus/,
until one fails. With --fuzz, random programs run instead.

    mutation.py [--seconds N] [--only NAME]... [--first | --fuzz] [SOURCE]        apply, build, check
    mutation.py --check [SOURCE]               only see that every patch is in order and applies
    mutation.py --list                   what is broken

Exit status: 0 all found (or in order), 1 some survived, 2 usage, 3 this computer lacks something.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "planted"))
import planted  # noqa: E402  the same patches, trees and builds

planted.PARTS += ("litmus",)
FEWEST = 40
LITMUS = re.compile(r"^# litmus: (\S+)$", re.M)
GEOMETRY = re.compile(r"^\s*Geometry: (\w+)$", re.M)
MARGIN = 60  # seconds beyond those that a check was given


def litmus_of(patch):
    """The file that should show it."""
    found = LITMUS.search(patch.text)
    return found[1] if found else None


def check(source, patches):
    complaints = planted.check(source, patches)
    for patch in patches:
        name = litmus_of(patch)
        if not name:
            complaints.append(f"{patch.path.name}: the second line names no litmus file")
        elif not (source / "litmus" / f"{name}.litmus").exists():
            complaints.append(f"{patch.path.name}: there is no litmus/{name}.litmus")
    return complaints


def run_check(source, patches):
    complaints = check(source, patches)
    if len(patches) < FEWEST:
        complaints.append(f"{len(patches)} mutations are too few: {FEWEST} at least")
    else:
        complaints += planted.check_controls(source, patches[0])
    for complaint in complaints:
        print(complaint)
    print(f"{len(patches)} patches, {len(complaints)} complaints")
    return 1 if complaints else 0


# ---- building and checking -----------------------------------------------------------------------

def build(tree, targets):
    """None, or the compiler's words."""
    done = planted.run(["cmake", "--build", tree / "build", "-j2", "--target", *targets])
    return done.stdout[-2000:] if done.returncode else None


class Checking:
    """One run of the command, and what came of it."""

    def __init__(self, tree, words, seconds):
        command = [tree / "build" / "quire", *words]
        began = time.monotonic()
        try:
            done = planted.run(command, timeout=seconds + MARGIN)
            self.status, self.said = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            self.status, self.said = None, ""
        self.seconds = time.monotonic() - began

    def found(self):
        return self.status == 1

    def what(self):
        """The line that says what is wrong."""
        for line in self.said.splitlines():
            if re.search(r"VIOLATION|^Observation", line):
                return line.strip()
        return ""


def files_of(tree, patch, options):
    """Litmus files to be run, until one fails."""
    if options.fuzz:
        return []
    first = tree / "litmus" / f"{litmus_of(patch)}.litmus"
    others = [] if options.first else sorted(set((tree / "litmus").glob("*.litmus")) - {first})
    return [first, *others]


def workers_for(files):
    """What runs them: a worker for each geometry."""
    found = [GEOMETRY.search(file.read_text()) for file in files]
    return sorted({f"quire-check-{geometry[1] if geometry else 'mini'}" for geometry in found} or {"quire-check-mini"})


def runs_of(tree, files, options):
    """What is to be run, until something fails: name, Checking."""
    if options.fuzz:
        yield "quire fuzz --check", Checking(tree, ["fuzz", "--check", "--seconds", options.seconds], options.seconds)
    for file in files:
        yield file.stem, Checking(tree, ["check", "--seconds", options.seconds, file], options.seconds)


def try_patch(tree, patch, options):
    """Is it found? Says where."""
    files = files_of(tree, patch, options)
    with planted.planted(tree, patch) as why:
        words = why or build(tree, workers_for(files))
        if words:
            print(f"{patch.name}: cannot be tried:\n{words}")
            return False
        began = time.monotonic()
        for name, checking in runs_of(tree, files, options):
            if checking.found():
                print(f"{patch.name}: found by {name} after {time.monotonic() - began:.1f} s: "
                      f"{checking.what()[:110]}", flush=True)
                return True
            if checking.status is None or checking.status > 1:
                print(f"{patch.name}: {name} ended with status {checking.status}: "
                      f"{checking.said.strip()[-300:]}", flush=True)
    print(f"{patch.name}: SURVIVED [{time.monotonic() - began:.1f} s]", flush=True)
    return False


def run_all(source, patches, options):
    with tempfile.TemporaryDirectory(prefix="quire-mutation-") as name:
        tree = pathlib.Path(name)
        planted.copy_tree(source, tree)
        planted.configure(tree)
        words = build(tree, ["quire_command"])
        if words:
            print(f"the tree does not build as it is:\n{words}")
            return 1
        found = sum(try_patch(tree, patch, options) for patch in patches)
    print(f"{found} of {len(patches)} found")
    return 0 if found == len(patches) else 1


def main():
    parser = argparse.ArgumentParser(description="Break the core's concurrency: does quire check find each?")
    parser.add_argument("--seconds", type=int, default=10, help="for each litmus file (10)")
    parser.add_argument("--first", action="store_true", help="run only the file that each patch names")
    parser.add_argument("--fuzz", action="store_true", help="random programs instead of litmus files")
    parser.add_argument("--only", action="append", metavar="NAME", help="this mutation only; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the mutations")
    parser.add_argument("--check", action="store_true", help="only see that every patch applies")
    parser.add_argument("source", nargs="?", default=HERE.parent.parent, type=pathlib.Path)
    options = parser.parse_args()

    patches = planted.patches_in(HERE)
    for name in options.only or []:
        if not any(patch.is_called(name) for patch in patches):
            parser.error(f"no mutation is called {name}")
    if options.only:
        patches = [patch for patch in patches if any(patch.is_called(name) for name in options.only)]
    if options.list:
        for patch in patches:
            print(f"{patch.name}: {patch.title[2:]}")
        return 0
    try:
        if options.check:
            return run_check(options.source, patches)
        return run_all(options.source, patches, options)
    except planted.Missing as missing:
        print(f"mutation.py: {missing}")
        return planted.SKIPPED if options.check else 3


if __name__ == "__main__":
    sys.exit(main())
