#!/usr/bin/env python3
"""warnings.py - everything outside the core is free of warnings under both compilers too."""
import itertools
import subprocess
import sys

import common


def main():
    sources = sorted(p for d in ("machines", "lab", "tests", "examples", "bench") for p in common.ROOT.joinpath(d).rglob("*.c"))
    # mpi.h may be missing.
    sources = [p for p in sources if not p.name.startswith("planted_") and "mpi" not in p.parts]
    # The check machine, what runs on it, and safeguards are built with the core as the checker has it.
    checked = [p for p in sources if p.is_relative_to(common.ROOT / "machines/check") or
               p.is_relative_to(common.ROOT / "machines/safeguards") or
               p.is_relative_to(common.ROOT / "lab/check/worker") or
               p.is_relative_to(common.ROOT / "tests/check/machine")]
    # The model has locks and a fence of its own.
    modelled = [p for p in sources if p.is_relative_to(common.ROOT / "machines/model") or
                p.is_relative_to(common.ROOT / "lab/bench/worker")]
    groups = [p for p in sources if p not in checked and p not in modelled], checked, modelled
    complaints = []
    for compiler, group in itertools.product(common.compilers(), groups):
        flags = ["-std=gnu11", "-D_GNU_SOURCE=", '-DQUIRE_VERSION="0"', '-DQUIRE_FUZZ_AGENT="/dev/null"',
                 '-DQUIRE_CHECK_PAGE="/dev/null"', '-DQUIRE_COMMUTE_PAGE="/dev/null"', "-Wall", "-Wextra", "-Wvla",
                 "-Wstrict-prototypes", "-Werror", "-fsyntax-only"]
        if group is checked:
            flags += ["-DQUIRE_CHECKED", "-DQUIRE_PORT_OWN_FENCE", "-DQUIRE_PORT_OWN_SPIN", "-DQUIRE_DEBUG",
                      "-DQUIRE_GEOMETRY=1", '-DQUIRE_GEOMETRY_NAME="mini"']
        if group is modelled:
            flags += ["-DQUIRE_PORT_OWN_FENCE", "-DQUIRE_PORT_OWN_SPIN"]
        for place in ("include", ".", "machines/hosted", "lab", "tests/support"):
            flags += ["-I", str(common.ROOT / place)]
        result = subprocess.run([compiler] + flags + [str(s) for s in group], stderr=subprocess.PIPE, text=True,
                                check=False)
        if result.returncode:
            complaints.append("%s:\n%s" % (compiler, result.stderr))
    common.finish(complaints, "%d files, %s" % (len(sources), " and ".join(common.compilers())))


main()
