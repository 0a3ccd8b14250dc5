#!/usr/bin/env python3
"""zoo.py - every safeguard of the core is in the zoo's table and has a litmus file, and nothing else is (CHK-7).

The core says QUIRE_SAFEGUARD(some_name); the table in lab/check/zoo.c says what happens without it and which file shows
it; that file says "Safeguard: some-name". Every litmus file names a rule of docs/spec.md.

And the safeguard's is the only hook: the core is the same source everywhere, whatever machine it is compiled for (CHK-1).
"""
import re

import common

ENTRY = re.compile(r'\{\s*"([a-z0-9-]+)",\s*(?:NULL|"[^"]*"),\s*"([^"]*)",\s*"[^"]*",\s*"([^"]*)",\s*(\d+)\s*\}')


def safeguards_of_core(texts):
    found = set()
    for name, text in texts.items():
        if name.endswith("safeguard.h"):
            continue
        found |= {word.replace("_", "-") for word in re.findall(r"\bQUIRE_SAFEGUARD\((\w+)\)",
                                                                 common.without_comments(text))}
    return found


def special_cases(texts):
    """What the core is compiled differently for, but for debug builds, is the safeguard's alone."""
    complaints = []
    for name, text in sorted(texts.items()):
        allowed = {"QUIRE_DEBUG"} | ({"QUIRE_CHECKED"} if name.endswith("base/safeguard.h") else set())
        for line in re.findall(r"^[ \t]*#[ \t]*(?:el)?if[^\n]*", common.without_comments(text), re.M):
            # a header's guard
            words = set(re.findall(r"[A-Za-z_]\w+", line)) - {"if", "ifdef", "ifndef", "elif", "defined"}
            if not all(word in allowed or word.endswith("_H") for word in words):
                complaints.append("%s: a special case: %s" % (name, line.strip()))
    return complaints


def table_of(text):
    """name -> (rules, file, agents), as the table has them."""
    return {name: (rules, file, int(agents)) for name, rules, file, agents in ENTRY.findall(text)}


def words_of(text, header):
    return [word for line in re.findall(r"^[\s(*]*%s: ([^\n]*?)(?: *\*\))?$" % header, text, re.M)
            for word in re.split(r",\s*", line.strip())]


def check(core, zoo, litmus, rules):
    complaints = []
    used, table = safeguards_of_core(core), table_of(zoo)
    for name in sorted(used - set(table)):
        complaints.append("%s is a safeguard of the core and not in the table" % name)
    for name in sorted(set(table) - used):
        complaints.append("%s is in the table and not in the core" % name)
    for name, (rule, file, agents) in sorted(table.items()):
        if rule not in rules:
            complaints.append("%s: there is no rule %s" % (name, rule))
        if file not in litmus:
            complaints.append("%s: there is no file %s" % (name, file))
        elif name not in words_of(litmus[file], "Safeguard"):
            complaints.append("%s: %s does not name it" % (name, file))
        if not 1 <= agents <= 3:
            complaints.append("%s: %d agents" % (name, agents))
    for file, text in sorted(litmus.items()):
        for name in words_of(text, "Safeguard"):
            if name not in table:
                complaints.append("%s.litmus: %s is no safeguard" % (file, name))
        for rule in words_of(text, "Rule") or ["no rule"]:
            if rule not in rules:
                complaints.append("%s.litmus: %s is no rule" % (file, rule))
    return complaints


def control():
    core = {"core/a/b.c": "if (QUIRE_SAFEGUARD(one_two)) f(); /* QUIRE_SAFEGUARD(prose) */",
            "core/base/safeguard.h": "QUIRE_SAFEGUARD(munmap_flush)"}
    zoo = '{ "one-two", NULL, "BASE-1", "it breaks", "file", 2 },\n'
    litmus = {"file": "MM file\n(* Rule: BASE-1\n   Safeguard: one-two *)\n"}
    rules = {"BASE-1"}
    common.expect_nothing("a table in order", check(core, zoo, litmus, rules))
    common.expect_nothing("a guard", special_cases({"core/a.h": "#ifndef CORE_A_H\n#ifdef QUIRE_DEBUG\n#endif\n#endif\n"}))
    common.expect_report("a special case", special_cases({"core/a.c": "x;\n#if defined(__SANITIZE_THREAD__)\n#endif\n"}),
                         "core/a.c", "special case")
    common.expect_report("a hook elsewhere", special_cases({"core/a.c": "#ifdef QUIRE_CHECKED\n#endif\n"}), "special case")
    common.expect_report("a missing entry", check(core, "", litmus, rules), "one-two", "not in the table")
    common.expect_report("an entry too many", check({}, zoo, litmus, rules), "one-two", "not in the core")
    common.expect_report("a missing file", check(core, zoo, {}, rules), "no file file")
    common.expect_report("a file that names it not",
                         check(core, zoo, {"file": "(* Rule: BASE-1 *)"}, rules), "does not name it")
    common.expect_report("an unknown rule", check(core, zoo, litmus, set()), "no rule BASE-1")
    common.expect_report("a file without a rule", check(core, zoo, dict(litmus, x="MM x"), rules), "x.litmus", "no rule")
    common.expect_report("a file that names another",
                         check(core, zoo, dict(litmus, x="(* Rule: BASE-1\n Safeguard: two *)"), rules),
                         "x.litmus", "two is no safeguard")


def read(pattern, key):
    return {key(path): path.read_text() for path in sorted(common.ROOT.glob(pattern))}


def main():
    control()
    core = {**read("core/*/*.c", str), **read("core/*/*.h", str)}
    litmus = read("litmus/*.litmus", lambda path: path.stem)
    rules = set(re.findall(r"\*\*([A-Z]+-\d+)\*\*", (common.ROOT / "docs/spec.md").read_text()))
    zoo = (common.ROOT / "lab/check/zoo.c").read_text()
    common.finish(check(core, zoo, litmus, rules) + special_cases(core),
                  "%d safeguards, %d litmus files" % (len(table_of(zoo)), len(litmus)))


main()
