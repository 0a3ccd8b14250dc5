#!/usr/bin/env python3
"""layers.py OBJECT... - the core's objects call downwards only, and no files call each other in a circle.

Reads the symbols that the objects define and need. An object's layer and file are in its path: .../core/LAYER/FILE.c.o
"""
import re
import sys

import common


def place(obj):
    match = re.search(r"core/([^/]+)/([^/]+)\.c\.o(?:bj)?$", str(obj))
    if not match:
        sys.exit("%s: not an object of the core" % obj)
    return match.group(1), "%s/%s.c" % (match.group(1), match.group(2))


def read(objects):
    """Who defines what, and the calls between files: {file: {file: symbol}}."""
    defined, needed = {}, {}
    for obj in objects:
        layer, name = place(obj)
        needed[name] = set()
        for line in common.run("nm", "--format=posix", obj).splitlines():
            symbol, kind = line.split()[:2]
            if kind in "Uw":
                needed[name].add(symbol)
            elif kind.isupper():
                defined[symbol] = name
    return {name: {defined[s]: s for s in sorted(symbols) if s in defined and defined[s] != name}
            for name, symbols in needed.items()}


def circles(calls):
    """Groups of files that reach each other (strongly connected components of more than one)."""
    index, low, stack, groups = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for callee in calls.get(name, {}):
            if callee not in index:
                visit(callee)
                low[name] = min(low[name], low[callee])
            elif callee in stack:
                low[name] = min(low[name], index[callee])
        if low[name] == index[name]:
            group = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for name in calls:
        if name not in index:
            visit(name)
    return groups


def check(objects):
    calls = read(objects)
    complaints = []
    for caller, callees in sorted(calls.items()):
        layer = caller.split("/")[0]
        if layer not in common.LAYERS:
            complaints.append("%s: no such layer: %s" % (caller, layer))
            continue
        for callee, symbol in sorted(callees.items()):
            other = callee.split("/")[0]
            if other in common.LAYERS and common.LAYERS.index(other) > common.LAYERS.index(layer):
                complaints.append("%s calls upwards: %s() of %s" % (caller, symbol, callee))
    for group in circles(calls):
        inside = ["%s -> %s by %s()" % (a, b, s) for a in group for b, s in sorted(calls[a].items()) if b in group]
        complaints.append("circle: " + "; ".join(inside))
    return complaints


def control():
    with common.planted() as directory:
        objects = common.compile_planted(directory, {
            "core/base/low.c": "void high(void); void low(void) { high(); }",
            "core/space/high.c": "void high(void) { }",
            "core/table/one.c": "void two(void); void one(void) { two(); }",
            "core/table/two.c": "void three(void); void two(void) { three(); }",
            "core/table/three.c": "void one(void); void three(void) { one(); }",
            "core/store/fine.c": "void one(void); void fine(void) { one(); }",
            "core/attic/old.c": "void old(void) { }",
        })
        found = check(objects.values())
        common.expect_report("a call upwards", found, "base/low.c calls upwards", "high()")
        common.expect_report("a circle of three", found, "circle", "table/one.c", "table/three.c -> table/one.c")
        common.expect_report("an unknown layer", found, "attic")
        common.expect_nothing("the file that calls downwards", [line for line in found if "fine" in line])


def main():
    control()
    objects = sys.argv[1:]
    common.finish(check(objects), "%d objects: calls go down, no circles" % len(objects))


main()
