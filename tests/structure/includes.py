#!/usr/bin/env python3
"""includes.py - includes point down the house, and the core includes only its own headers and five of the compiler's."""
import re
import sys

import common


def room(path, root):
    """(height, name) of a file: larger is higher; what is lower may be included."""
    parts = path.relative_to(root).parts
    if parts[0] == "include":
        return 0, "include"
    if parts[0] == "core":
        if parts[1] not in common.LAYERS:
            return None, "/".join(parts[:2])
        return 1 + common.LAYERS.index(parts[1]), "core/" + parts[1]
    if parts[0] == "machines":
        return (20 if parts[1] in ("softmmu", "lockorder", "safeguards", "coroutine") else 21), "machines/" + parts[1]
    if parts[0] == "lab":
        return 30, "lab"
    return 40, parts[0]


def resolve(path, name, quoted, root):
    places = [path.parent] if quoted else []
    places += [root / "include", root]
    if path.relative_to(root).parts[0] == "lab":
        places += [root / "lab", root / "machines/hosted"]
    for place in places:
        target = (place / name).resolve()
        if target.is_file() and root in target.parents:
            return target
    return None


def check(root):
    complaints = []
    files = [p for d in ("include", "core", "machines", "lab") for p in sorted((root / d).rglob("*.[ch]"))]
    for path in files:
        where = path.relative_to(root)
        height, name = room(path, root)
        if height is None:
            complaints.append("%s: no such layer" % where)
            continue
        freestanding = name.startswith(("core", "include"))
        for line in re.findall(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"]+[>"])', path.read_text(), flags=re.M):
            target = resolve(path, line[1:-1], line[0] == '"', root)
            if target is None:
                if freestanding and line[1:-1] not in common.FREESTANDING_HEADERS:
                    complaints.append("%s: not the core's and not freestanding: %s" % (where, line))
                continue
            other_height, other = room(target, root)
            if other_height is None or other_height > height:
                complaints.append("%s includes upwards: %s" % (where, line))
            elif other != name and other_height == height:
                complaints.append("%s: %s and %s do not know each other: %s" % (where, name, other, line))
    return complaints


def control():
    with common.planted() as directory:
        root = common.pathlib.Path(directory).resolve()
        for name, text in {
                "include/quire/a.h": "#include <stdint.h>\n#include <quire/b.h>\n",
                "include/quire/b.h": '#include "../../core/base/x.h"\n',
                "core/base/x.h": '#include "../space/y.h"\n',
                "core/space/y.h": '#include "../base/x.h"\n#include <string.h>\n',
                "machines/check/c.c": '#include "../hosted/h.h"\n#include <stdio.h>\n',
                "machines/hosted/h.h": '#include "../softmmu/s.h"\n#include <quire/a.h>\n',
                "machines/softmmu/s.h": '#include "lab/l.h"\n',
                "lab/l.h": "#include <hosted.h>\n",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = check(root)
        common.expect_report("a public header that includes the core", found, "b.h", "upwards")
        common.expect_report("a layer that includes a higher one", found, "core/base/x.h", "upwards")
        common.expect_report("a header of the C library in the core", found, "core/space/y.h", "string.h")
        common.expect_report("a machine that knows another", found, "machines/check", "do not know")
        common.expect_report("a machine that includes the lab", found, "machines/softmmu", "upwards")
        if len(found) != 5:
            sys.exit("control failed: five violations were planted, reported were: %s" % found)


def main():
    control()
    common.finish(check(common.ROOT.resolve()), "includes point down")


main()
