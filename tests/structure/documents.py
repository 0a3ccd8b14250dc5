#!/usr/bin/env python3
"""documents.py - the documents' C examples are code that is compiled, and their links lead somewhere.

A ```c block of README.md or docs/porting.md must stand, but for its layout, in a file of examples/, all of which are built
and run by the tests.
"""
import re

import common


def blocks(text):
    return re.findall(r"^```c\n(.*?)^```", text, flags=re.S | re.M)


def squeeze(text):
    return " ".join(text.split())


def check_examples(name, text, sources):
    return ["%s: not in any file of examples/:\n%s" % (name, block) for block in blocks(text)
            if not any(squeeze(block) in squeeze(source) for source in sources)]


def check_links(path, text):
    complaints = []
    for target in re.findall(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (path.parent / target).exists():
            complaints.append("%s: leads nowhere: %s" % (path.name, target))
    return complaints


def control():
    source = ["int main(void)\n{\n\treturn f(1);\n}\n"]
    common.expect_report("an example that is not compiled", check_examples("x", "```c\nreturn f(2);\n```\n", source),
                         "f(2)")
    common.expect_nothing("one that is", check_examples("x", "```c\n    return f(1);\n```\n", source))
    common.expect_report("a dead link", check_links(common.ROOT / "README.md", "[x](docs/no-such-page.md)"), "no-such-page")


def main():
    control()
    sources = [p.read_text() for p in sorted((common.ROOT / "examples").rglob("*.c"))]
    complaints, pages = [], [common.ROOT / "README.md", common.ROOT / "CONTRIBUTING.md"]
    pages += sorted((common.ROOT / "docs").glob("*.md"))
    for page in pages:
        text = page.read_text()
        complaints += check_links(page, text)
        if page.name in ("README.md", "porting.md"):
            complaints += check_examples(page.name, text, sources)
    common.finish(complaints, "%d pages" % len(pages))


main()
