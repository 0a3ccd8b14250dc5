#!/usr/bin/env python3
"""freestanding.py - the core compiles without a C library: -ffreestanding -nostdinc and the compiler's own headers.

Both compilers, every geometry, with and without invariant checks, warnings being errors. clang also says where the
order of an atomic access is not written down.
"""
import subprocess
import sys

import common

VARIANTS = [[], ["-DQUIRE_DEBUG"], ["-DQUIRE_LEVELS=5", "-DQUIRE_DEBUG"],
            ["-DQUIRE_GEOMETRY=1", "-DQUIRE_DEBUG"], ["-DQUIRE_GEOMETRY=1"], ["-DQUIRE_GEOMETRY=2", "-DQUIRE_DEBUG"]]


def check(compiler, sources, include, variants=VARIANTS):
    own = common.run(compiler, "-print-file-name=include").strip()
    flags = ["-std=c11", "-ffreestanding", "-nostdinc", "-isystem", own, "-I", include, "-Wall", "-Wextra", "-Wvla",
             "-Wstrict-prototypes", "-Werror", "-fsyntax-only"]
    if compiler == "clang":
        flags += ["-Watomic-implicit-seq-cst"]
    complaints = []
    for variant in variants:
        command = [compiler] + flags + variant + [str(s) for s in sources]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode:
            complaints.append("%s %s:\n%s" % (compiler, " ".join(variant), result.stderr))
    return complaints


def control(compiler):
    cases = {
        "string.h": "#include <string.h>\n",
        "comparison": "int f(int a, unsigned b);\nint f(int a, unsigned b) { return a < b; }\n",
        "mini": "#if QUIRE_GEOMETRY == 1\n#error mini\n#endif\n",
    }
    if compiler == "clang":
        cases["implicit"] = "#include <stdatomic.h>\nint f(_Atomic int *p);\nint f(_Atomic int *p) { return *p; }\n"
    with common.planted() as directory:
        for word, text in cases.items():
            path = common.pathlib.Path(directory, "bad.c")
            path.write_text(text)
            common.expect_report(word, check(compiler, [path], common.ROOT / "include"), word)


def main():
    sources = common.core_sources()
    if not sources:
        print("no source")
        sys.exit(77)
    complaints = []
    for compiler in common.compilers():
        control(compiler)
        complaints += check(compiler, sources, common.ROOT / "include")
    common.finish(complaints, "%d files, %s, %d variants" % (len(sources), " and ".join(common.compilers()),
                                                            len(VARIANTS)))


main()
