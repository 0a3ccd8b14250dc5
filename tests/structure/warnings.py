#!/usr/bin/env python3
"""warnings.py - everything outside the core is free of warnings under both compilers too."""
import subprocess
import sys

import common


def main():
    sources = sorted(p for d in ("machines", "lab", "tests", "examples") for p in common.ROOT.joinpath(d).rglob("*.c"))
    sources = [p for p in sources if not p.name.startswith("planted_")]
    complaints = []
    for compiler in common.compilers():
        flags = ["-std=gnu11", "-D_GNU_SOURCE=", '-DQUIRE_VERSION="0"', '-DQUIRE_FUZZ_AGENT="/dev/null"', "-Wall", "-Wextra", "-Wvla", "-Wstrict-prototypes",
                 "-Werror", "-fsyntax-only"]
        for place in ("include", ".", "machines/hosted", "lab", "tests/support"):
            flags += ["-I", str(common.ROOT / place)]
        result = subprocess.run([compiler] + flags + [str(s) for s in sources], stderr=subprocess.PIPE, text=True,
                                check=False)
        if result.returncode:
            complaints.append("%s:\n%s" % (compiler, result.stderr))
    common.finish(complaints, "%d files, %s" % (len(sources), " and ".join(common.compilers())))


main()
