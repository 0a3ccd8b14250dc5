#!/usr/bin/env python3
"""planted.py - small errors planted in the core, one at a time: does `quire fuzz` find each?

An error is a patch in this directory, NN-name.patch; its first line says what is broken and which rule that
breaks. One that only threads can meet says so in its second line, "# threads: N", and how many operations they are given
at least, "# threads: N, OPS": it is fuzzed with --threads N. What is tested is a copy of the source tree as it is now, uncommitted changes included, built without
invariant checks: what finds the error is to be the comparison with the host's kernel, not an assertion.

    planted.py [--ops N] [--only NAME]... [SOURCE]        plant, build, fuzz
    planted.py --check [SOURCE]                only see that every patch is in order and applies
    planted.py --list                    what is broken

Exit status: 0 all found (or in order), 1 some not, 2 usage, 3 this computer lacks something.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ("CMakeLists.txt", "cmake", "core", "include", "machines", "lab", "bench", "tests")
FEWEST = 24
FIRST_LINE = re.compile(r"# .+ \([A-Z]+-\d.*\)$")
THREADS = re.compile(r"^# threads: ([2-4]), (\d+)$", re.M)
PATIENCE = 120  # seconds for one run: an error may also hang what it breaks
PATIENCE_THREADS = 600
SKIPPED = 77


class Missing(Exception):
    """Something that this computer lacks."""


def run(command, **options):
    try:
        return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None


# ---- patches -------------------------------------------------------------------------------------

class Patch:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        self.text = path.read_text()
        self.title = self.text.splitlines()[0] if self.text else ""
        self.files = re.findall(r"^\+\+\+ b/(\S+)", self.text, re.M)
        said = THREADS.search(self.text)
        self.threads, self.ops = (int(said[1]), int(said[2])) if said else (0, 0)

    def is_called(self, name):
        return name in (self.name, self.path.name, re.sub(r"^\d+-", "", self.name))

    def complaints(self):
        if not FIRST_LINE.match(self.title):
            yield "the first line does not say what is broken, and in brackets the rule"
        if not self.files:
            yield "it is no patch"
        for file in self.files:
            if not file.startswith("core/"):
                yield f"it changes {file}, which is not in the core"


def patches_in(directory):
    return [Patch(path) for path in sorted(directory.glob("*.patch"))]


def apply(tree, patch, *options):
    """None, or why not. The tree is no repository, nor is what it lies in to be taken for one."""
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(pathlib.Path(tree).resolve().parent))
    done = run(["git", "apply", "-p1", *options, patch.path.resolve()], cwd=tree, env=environment)
    return done.stdout.strip() if done.returncode else None


@contextlib.contextmanager
def planted(tree, patch):
    """The tree with the error in it. Afterwards the files are new ones, for make to see."""
    old = {file: (tree / file).read_text() for file in patch.files}
    why = apply(tree, patch)
    try:
        yield why
    finally:
        for file, text in old.items():
            (tree / file).write_text(text)


# ---- the tree ------------------------------------------------------------------------------------

def files_of(source):
    listed = run(["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
                  *PARTS])
    names = sorted(set(name for name in listed.stdout.split("\0") if name))
    if listed.returncode == 0 and names:
        return names
    found = []
    for part in PARTS:  # an unpacked archive
        path = source / part
        found += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return [str(file.relative_to(source)) for file in found]


def copy_tree(source, target, prefix=""):
    for name in files_of(source):
        if name.startswith(prefix) and (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def configure(tree):
    done = run(["cmake", "-S", tree, "-B", tree / "build", "-DCMAKE_BUILD_TYPE=Release", "-DQUIRE_DEBUG=OFF",
                "-DQUIRE_TESTS=OFF", "-DQUIRE_WERROR=OFF"])
    if done.returncode:
        raise Missing("cmake does not configure the tree:\n" + done.stdout[-2000:])


def build(tree):
    """None, or the compiler's words."""
    done = run(["cmake", "--build", tree / "build", "--target", "quire_command", "-j", os.cpu_count() or 1])
    return done.stdout[-2000:] if done.returncode else None


class Fuzzing:
    """One run, and what came of it."""

    def __init__(self, tree, options, threads=0, ops=0):
        words = ["--threads", threads] if threads else []
        try:
            done = run([tree / "build" / "quire", "fuzz", "--no-shrink", "--ops", max(options.ops, ops),
                        "--seed", options.seed, *words],
                       timeout=PATIENCE_THREADS if threads else PATIENCE)
            self.status, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            self.status, said = None, ""
        counted = re.search(r"^(\d+) operations in", said, re.M)
        differs = re.search(r"^After operation \d+, (.*)", said, re.M)
        self.ops = int(counted[1]) if counted else None
        self.what = differs[1] if differs else said.strip().splitlines()[-1] if said.strip() else ""
        # An error may also stop Quire. The fuzzer has then told in which sequence.
        self.stopped = bool(self.status and self.status < 0 and
                            re.search("Quire (stopped|got stuck) in this sequence", said))

    def found(self):
        return self.status == 1 or self.stopped

    def __str__(self):
        if self.status is None:
            return "no end in time"
        if self.stopped:
            return f"Quire was stopped by signal {-self.status}"
        where = f"after {self.ops} operations: " if self.ops is not None else ""
        return where + (self.what[:110] if self.status == 1 else f"exit status {self.status}")


# ---- what can be asked for -----------------------------------------------------------------------

def check(source, patches):
    """Complaints about patches that are not in order or do not apply."""
    complaints = []
    with tempfile.TemporaryDirectory(prefix="quire-planted-") as name:
        tree = pathlib.Path(name)
        copy_tree(source, tree, "core/")
        for patch in patches:
            complaints += [f"{patch.path.name}: {complaint}" for complaint in patch.complaints()]
            why = apply(tree, patch, "--check")
            if why:
                complaints.append(f"{patch.path.name}: does not apply any more:\n{why}")
    return complaints


def check_controls(source, patch):
    """Does check() see what it is for? Spoilt copies of @patch must each be complained about."""
    spoilt = {
        "context": patch.text.replace("\n ", "\n  this is not there "),
        "title": patch.text.split("\n", 1)[1],
        "file": patch.text.replace("/core/", "/lab/"),
    }
    with tempfile.TemporaryDirectory(prefix="quire-planted-") as name:
        for what, text in spoilt.items():
            path = pathlib.Path(name) / f"{what}.patch"
            path.write_text(text)
            if not check(source, [Patch(path)]):
                yield f"control failed: a patch with a spoilt {what} was not reported"


def run_check(source, patches):
    complaints = check(source, patches)
    if len(patches) < FEWEST:
        complaints.append(f"{len(patches)} planted errors are too few: {FEWEST} at least")
    else:
        complaints += check_controls(source, patches[0])
    for complaint in complaints:
        print(complaint)
    print(f"{len(patches)} patches, {len(complaints)} complaints")
    return 1 if complaints else 0


def try_patch(tree, patch, options):
    """Is the error found?"""
    with planted(tree, patch) as why:
        if why:
            print(f"{patch.name}: does not apply any more:\n{why}")
            return False
        words = build(tree)
        if words:
            print(f"{patch.name}: does not build:\n{words}")
            return False
        began = time.monotonic()
        fuzzing = Fuzzing(tree, options, patch.threads, patch.ops)
    print(f"{patch.name}: {'found' if fuzzing.found() else 'NOT FOUND'}, {fuzzing} "
          f"[{time.monotonic() - began:.1f} s]", flush=True)
    return fuzzing.found()


def clean(tree, patches, options):
    """Does the tree without any planted error hold, in every way in which @patches are looked for?"""
    held = True
    for threads in sorted({patch.threads for patch in patches}):
        fuzzing = Fuzzing(tree, options, threads, max(patch.ops for patch in patches if patch.threads == threads))
        what = f"without any planted error{f', {threads} threads' if threads else ''}"
        if fuzzing.status == 3:
            raise Missing(fuzzing.what)
        if fuzzing.status != 0:
            held = False
            print(f"{what}: {fuzzing}\nWhat is found below may be that, and proves nothing.")
        else:
            print(f"{what}: {fuzzing.ops} operations, no divergence", flush=True)
    return held


def run_all(source, patches, options):
    with tempfile.TemporaryDirectory(prefix="quire-planted-") as name:
        tree = pathlib.Path(name)
        copy_tree(source, tree)
        configure(tree)
        words = build(tree)
        if words:
            print(f"the tree does not build as it is:\n{words}")
            return 1
        held = clean(tree, patches, options)
        found = sum(try_patch(tree, patch, options) for patch in patches)
    print(f"{found} of {len(patches)} found")
    return 0 if found == len(patches) and held else 1


def main():
    parser = argparse.ArgumentParser(description="Plant errors in the core: does quire fuzz find each?")
    parser.add_argument("--ops", type=int, default=100000, help="operations for each error (100000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="NAME", help="this error only; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the errors")
    parser.add_argument("--check", action="store_true", help="only see that every patch applies")
    parser.add_argument("source", nargs="?", default=HERE.parent.parent, type=pathlib.Path)
    options = parser.parse_args()

    patches = patches_in(HERE)
    for name in options.only or []:
        if not any(patch.is_called(name) for patch in patches):
            parser.error(f"no planted error is called {name}")
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
    except Missing as missing:
        print(f"planted.py: {missing}")
        return SKIPPED if options.check else 3


if __name__ == "__main__":
    sys.exit(main())
