#!/usr/bin/env python3
"""habits.py - what docs/design.md and docs/style.md promise of the source and a program can see.

In the core: sizes come from geometry.h, memory order is explicit, no inline assembly, no thread-locals. Everywhere: files
under 800 lines, of at most 110 columns, that open with a comment.
"""
import re

import common

LONGEST = 800
WIDEST = 110

CORE = [
    (r"\b(?:4096|4095|0x1000|0xfff|512|511)[ul]*\b|(?<!1u )(?:<<|>>)\s*(?:9|12|21)\b", "a size that geometry.h should give"),
    (r"\batomic_(?:load|store|exchange|compare_exchange_(?:strong|weak)|fetch_[a-z]+|flag_[a-z_]+)\s*\(",
     "memory order is not explicit"),
    (r"\b(?:__)?asm(?:__)?\b\s*(?:volatile|__volatile__)?\s*\(", "inline assembly"),
    (r"\b(?:_Thread_local|__thread)\b", "a thread-local"),
    (r"\b__(?:sync|atomic)_[a-z_]+\s*\(", "an atomic that is not C11's"),
]
# The one file of each kind that is about the matter itself.
EXEMPT = {"include/quire/geometry.h", "include/quire/abi.h", "core/table/entry.h"}


def check_text(name, text):
    complaints = []
    lines = text.count("\n")
    if lines >= LONGEST:
        complaints.append("%s: %d lines, %d are allowed" % (name, lines, LONGEST - 1))
    for number, line in enumerate(text.split("\n"), 1):
        # A string that would have to be cut stays whole.
        if len(line.expandtabs(8)) > WIDEST and '"' not in line:
            complaints.append("%s:%d: %d columns" % (name, number, len(line.expandtabs(8))))
    if not text.startswith("/*"):
        complaints.append("%s: does not open with what it is for" % name)
    if name.startswith(("core/", "include/")) and name not in EXEMPT:
        for number, line in enumerate(common.without_comments(text).split("\n"), 1):
            for pattern, what in CORE:
                if re.search(pattern, line):
                    complaints.append("%s:%d: %s: %s" % (name, number, what, line.strip()))
    return complaints


def control():
    head = "/* x */\n"
    for text, word in ((head + "int x = 4096;\n", "geometry"), (head + "y = va >> 12;\n", "geometry"),
                       (head + "atomic_load(&x);\n", "order"), (head + "__asm__ volatile (\"nop\");\n", "assembly"),
                       (head + "static _Thread_local int x;\n", "thread-local"),
                       (head + "__sync_synchronize();\n", "C11"), (head + "\n" * 800, "lines"),
                       ("int x;\n", "open"),
                       (head + "x = " + "y + " * 30 + "z;\n", "columns")):
        common.expect_report(repr(text[:40]), check_text("core/base/bad.c", text), "bad.c", word)
    fine = head + "/* 4096, 512 */ atomic_load_explicit(&x, memory_order_relaxed); f(\"asm(4096)\"); y = 0x10000;\n"
    common.expect_nothing("a comment about 4096", check_text("core/base/good.c", fine))


def main():
    control()
    complaints, count = [], 0
    for directory in ("core", "include", "machines", "lab", "tests", "examples", "bench"):
        for path in sorted((common.ROOT / directory).rglob("*.[ch]")):
            complaints += check_text(str(path.relative_to(common.ROOT)), path.read_text())
            count += 1
    common.finish(complaints, "%d files" % count)


main()
