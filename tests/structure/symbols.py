#!/usr/bin/env python3
"""symbols.py OBJECT - the library's one object shows quire_* alone, needs the port and four functions, and keeps no state.

No global symbol that does not begin with quire_; nothing undefined but memcpy, memmove, memset, memcmp and what
include/quire/port.h declares; no writable data, no thread-local storage, no constructor.
"""
import re
import sys

import common

ALLOWED = {"memcpy", "memmove", "memset", "memcmp"}


def port_functions(header):
    text = common.without_comments(header)
    return set(re.findall(r"\b(quire_[a-z_]+)\s*\(", text))


def check(obj, allowed):
    complaints = []
    for line in common.run("nm", "--format=posix", obj).splitlines():
        name, kind = line.split()[:2]
        if kind in "Uw":
            if name not in allowed:
                complaints.append("%s: undefined and not of the port: %s" % (obj, name))
        elif kind.isupper() and not name.startswith("quire_"):
            complaints.append("%s: global but not quire_*: %s (%s)" % (obj, name, kind))
    for line in common.run("readelf", "-SW", obj).splitlines():
        match = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+(\S+)\s+\S+\s+\S+\s+([0-9a-f]+)\s+\S+\s+([A-Zo]*)\s", line)
        if not match:
            continue
        section, kind, size, flags = match.group(1), match.group(2), int(match.group(3), 16), match.group(4)
        if size == 0 or section.startswith(".data.rel.ro"):
            continue
        if "T" in flags:
            complaints.append("%s: thread-local storage: %s, %d bytes" % (obj, section, size))
        elif kind in ("INIT_ARRAY", "FINI_ARRAY"):
            complaints.append("%s: code that runs by itself: %s" % (obj, section))
        elif "W" in flags:
            complaints.append("%s: writable data, that is global state: %s, %d bytes" % (obj, section, size))
    return complaints


def control():
    with common.planted() as directory:
        source = """
            void other(void);
            int leaked(void) { other(); return 0; }
            int quire_counter = 1;
            _Thread_local int quire_mine;
            __attribute__((constructor)) static void early(void) { }
        """
        obj = common.compile_planted(directory, {"bad.c": source})["bad.c"]
        found = check(obj, ALLOWED)
        common.expect_report("a foreign global", found, "leaked")
        common.expect_report("a foreign undefined symbol", found, "other")
        common.expect_report("writable data", found, "writable", ".data")
        common.expect_report("a thread-local", found, "thread-local")
        common.expect_report("a constructor", found, "runs by itself")
        source = """
            void *memcpy(void *, const void *, unsigned long);
            void quire_port_relax(void *);
            static const char *const names[] = {"a", "b"};
            const char *quire_ok(int i, void *p) { quire_port_relax(p); memcpy(p, p, 3); return names[i]; }
        """
        obj = common.compile_planted(directory, {"good.c": source})["good.c"]
        common.expect_nothing("a well-behaved object", check(obj, ALLOWED | {"quire_port_relax"}))


def main():
    control()
    port = port_functions((common.ROOT / "include/quire/port.h").read_text())
    if "quire_port_alloc" not in port or "quire_port_ipi" not in port:
        sys.exit("port.h was not understood: %s" % sorted(port))
    common.finish(check(sys.argv[1], ALLOWED | port), "global: quire_* alone; undefined: the port alone; no state")


main()
