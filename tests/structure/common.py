"""common.py - what the structure tests share: where things are, how to run a tool, how a test ends.

Each test is a function that returns a list of complaints. It is run twice: over planted violations, every one of
which it must report (the control), and over the project, where it must report nothing.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("QUIRE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))

# From the bottom upwards: a layer of the core uses only those before it.
LAYERS = ["base", "phys", "table", "store", "space", "huge", "pressure", "probe", "call"]

FREESTANDING_HEADERS = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "stdatomic.h"}


def run(*command, cwd=None):
    """Standard output; the command failing is an error of the test."""
    result = subprocess.run([str(word) for word in command], cwd=cwd, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit("%s\n%s%s" % (" ".join(map(str, command)), result.stdout, result.stderr))
    return result.stdout


def compilers():
    found = [name for name in ("gcc", "clang") if shutil.which(name)]
    if not found:
        print("neither gcc nor clang is here")
        sys.exit(77)
    return found


def core_sources():
    return sorted(ROOT.glob("core/*/*.c"))


def without_comments(text):
    """C source with comments and the contents of strings blanked, line numbers kept."""

    def blank(match):
        word = match.group(0)
        if word[0] in "\"'":
            return word[0] + word[0]
        return " " + "\n" * word.count("\n")

    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.S)


def compile_planted(directory, files):
    """Write {name: text} under @directory and compile what ends in .c; the objects' paths by name."""
    objects = {}
    for name, text in files.items():
        path = pathlib.Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in files:
        if name.endswith(".c"):
            objects[name] = pathlib.Path(directory, name + ".o")
            run(compilers()[0], "-c", "-std=c11", "-ffreestanding", "-O0", "-o", objects[name],
                pathlib.Path(directory, name))
    return objects


def planted():
    return tempfile.TemporaryDirectory(prefix="quire-planted-")


def expect_report(what, complaints, *words):
    """The control: some complaint names all the words."""
    if not any(all(word in line for word in words) for line in complaints):
        sys.exit("control failed: %s was not reported (looking for %s)\nreported: %s" %
                 (what, words, complaints))


def expect_nothing(what, complaints):
    if complaints:
        sys.exit("control failed: %s is in order but was reported: %s" % (what, complaints))


def finish(complaints, summary):
    for line in complaints:
        print(line)
    if complaints:
        print("%d violations" % len(complaints))
        sys.exit(1)
    print(summary)
