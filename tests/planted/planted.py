#!/usr/bin/env python3
"""planted.py - small errors planted in the core, one at a time: does `quire fuzz` find each?

Works on a copy of the source tree. Each error is a replacement of one piece of text by another, in one file; a piece
that does not occur exactly once is itself a failure, so that this list cannot go stale unnoticed.

    planted.py [--ops N] [--only NAME] [--list] [--jobs N] [SOURCE]

Exit status: 0 all found, 1 some not, 2 usage or an error that cannot be planted, 3 the host cannot be fuzzed against.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

# name, file, what is there, what is planted
ERRORS = [
	("noreplace-replaces", "core/call/mmap.c",
	 "		return -QUIRE_EEXIST;", "		return addr;"),
	("replace-forgets-flush-of-data", "core/space/unmap.c",
	 "	if (vma)\n		clear_range(door, start, end);", "	(void)clear_range;"),
	("shared-readonly-open-writable", "core/call/mmap.c",
	 "			*flags &= ~(VMA_MAY_WRITE | VMA_SHARED);", "			*flags &= ~VMA_SHARED;"),
	("locked-limit-off-by-one", "core/space/mm.c",
	 "	return page_of(bytes) + mm->locked <= page_of(mm->limits.memlock);",
	 "	return page_of(bytes) + mm->locked < page_of(mm->limits.memlock);"),
	("data-limit-counts-shared", "core/space/mm.c",
	 "	return (flags & (VMA_WRITE | VMA_SHARED | VMA_GROWSDOWN)) == VMA_WRITE;",
	 "	return (flags & (VMA_WRITE | VMA_GROWSDOWN)) == VMA_WRITE;"),
	("munmap-rounds-down", "core/space/unmap.c",
	 "	quire_vaddr end = start + align_up(length, QUIRE_PAGE_SIZE);\n	return end == start",
	 "	quire_vaddr end = start + align_down(length, QUIRE_PAGE_SIZE);\n	return end == start"),
	("mprotect-passes-holes", "core/call/mprotect.c",
	 "		if (!vma || vma->rmap.start > at)\n			return -QUIRE_ENOMEM;",
	 "		if (!vma || vma->rmap.start > at)\n			return 0;"),
	("mprotect-forgets-entries", "core/call/mprotect.c",
	 "	protect_range(door->cpu, vma, start, end);", ""),
	("mprotect-locked-no-copy", "core/call/mprotect.c",
	 "		later->end = end;", "		later->end = 0;"),
	("mremap-keeps-old-offset", "core/call/mremap.c",
	 "		fresh.pgoff = page_of(fresh.start); /* nothing was touched yet: it may as well merge there */", "		;"),
	("mremap-dontunmap-stays-locked", "core/call/mremap.c",
	 "	door_set_flags(remap->door, vma, vma->flags & ~VMA_LOCK_MASK);\n	if (vma != target",
	 "	if (vma != target"),
	("mremap-doubles-private", "core/call/mremap.c",
	 "	if (!remap->old_length && !(vma->flags & (VMA_SHARED | VMA_MAY_SHARE)))\n		return -QUIRE_EINVAL;", ""),
	("mremap-no-populate", "core/call/mremap.c",
	 "		remap->populate = remap->addr;", "		remap->populate = 0;"),
	("dontneed-on-locked", "core/call/madvise.c",
	 "(advice->kind == QUIRE_MADV_DONTNEED ? VMA_LOCKED : 0)", "0"),
	("dontfork-ignored", "core/space/life.c",
	 "	if (vma->flags & VMA_DONT_FORK)\n		return 0;", ""),
	("wipeonfork-ignored", "core/space/life.c",
	 "(vma->flags & VMA_WIPE_ON_FORK) || ", ""),
	("fork-inherits-locks", "core/space/life.c",
	 "	uint32_t flags = vma->flags & ~VMA_LOCK_MASK;", "	uint32_t flags = vma->flags;"),
	("fork-leaves-exclusive", "core/space/copy.c",
	 "			folio_clear(folio, FOLIO_EXCLUSIVE);", "			;"),
	("fork-parent-stays-writable", "core/space/copy.c",
	 "		cursor_protect(from, ENTRY_WRITE, 0);", "		;"),
	("cow-always-sole-owner", "core/space/cow.c",
	 "	return atomic_load_explicit(&folio->refs, memory_order_acquire) == 1 &&",
	 "	return atomic_load_explicit(&folio->refs, memory_order_acquire) >= 1 ||"),
	("merge-ignores-opening", "core/space/door.c",
	 " &&\n	       neighbour->opened == fresh->opened;", ";"),
	("merge-ignores-lineage", "core/space/door.c",
	 "	return theirs == ours;", "	return true;"),
	("merge-lets-fork-children", "core/space/door.c",
	 "	return vma && vma_anon(vma) && !anon_is_single(&vma->rmap);", "	return vma && false;"),
	("no-lent-lineage", "core/space/lineage.c",
	 "	return anon && anon_is_single(&vma->rmap) ? anon : NULL;", "	return anon && false ? anon : NULL;"),
	("stack-gap-halved", "core/space/grow.c",
	 "va - below->rmap.end >= QUIRE_STACK_GAP * QUIRE_PAGE_SIZE;",
	 "va - below->rmap.end >= QUIRE_STACK_GAP / 2 * QUIRE_PAGE_SIZE;"),
	("stack-limit-ignored", "core/space/grow.c",
	 "	    vma->rmap.end - va > mm->limits.stack || ", "	    "),
	("search-ignores-stack-gap", "core/space/search.c",
	 "		if (!above || vma_start_with_gap(above) >= at + length)\n			return at;\n		high",
	 "		if (!above || above->rmap.start >= at + length)\n			return at;\n		high"),
	("brk-without-distance", "core/call/brk.c",
	 "to + QUIRE_PAGE_SIZE <= vma_start_with_gap(above)", "to <= vma_start_with_gap(above)"),
	("around-too-far", "core/space/file_fault.c",
	 "	quire_vaddr end = min_u64(start + block, align_down(fault->va, QUIRE_HUGE_SIZE) + QUIRE_HUGE_SIZE);",
	 "	quire_vaddr end = min_u64(start + 2 * block, align_down(fault->va, QUIRE_HUGE_SIZE) + QUIRE_HUGE_SIZE);"),
	("punch-takes-private-copies", "core/store/truncate.c",
	 "			drop_pages(cpu, file, first, past - 1, ZAP_CACHE_ONLY);",
	 "			drop_pages(cpu, file, first, past - 1, ZAP_ALL);"),
	("truncate-keeps-tail", "core/store/truncate.c",
	 "		zero_tail(cpu, file, bytes);\n	}", "	}"),
	("mlock-wrong-error", "core/call/mlock.c",
	 "	return err == -QUIRE_ENOMEM ? -QUIRE_EAGAIN : err;", "	return err;"),
	("msync-locked-not-busy", "core/call/sync.c",
	 "		int err = part.busy ? -QUIRE_EBUSY : 0;", "		int err = 0;"),
	("mincore-only-mapped", "core/call/sync.c",
	 "	return mapped || (vma->rmap.file", "	return mapped && (vma->rmap.file"),
]


def copy_tree(source, target):
	for name in ("CMakeLists.txt", "cmake", "core", "include", "machines", "lab"):
		path = os.path.join(source, name)
		if os.path.isdir(path):
			shutil.copytree(path, os.path.join(target, name))
		else:
			shutil.copy(path, target)


def build(tree, jobs):
	return subprocess.run(["cmake", "--build", os.path.join(tree, "build"), "--target", "quire_command", "-j", str(jobs)],
			      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def configure(tree):
	# Without invariant checks: what finds the error is to be the comparison, not an assertion.
	subprocess.run(["cmake", "-S", tree, "-B", os.path.join(tree, "build"), "-DCMAKE_BUILD_TYPE=Release", "-DQUIRE_TESTS=OFF",
			"-DQUIRE_DEBUG=OFF", "-DQUIRE_WERROR=OFF"], check=True, stdout=subprocess.DEVNULL)


def fuzz(tree, ops, seed):
	"""The exit status, and the line that says what was found."""
	run = subprocess.run([os.path.join(tree, "build", "quire"), "fuzz", "--ops", str(ops), "--seed", str(seed),
			      "--no-shrink"],
			     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
	said = [line for line in run.stdout.splitlines() if line.startswith("After operation") or "stopped in" in line]
	return run.returncode, (said or [""])[0][:100]


def try_error(tree, error, options):
	name, path, old, new = error
	full = os.path.join(tree, path)
	with open(full) as file:
		text = file.read()
	if text.count(old) != 1:
		print(f"{name}: the text to replace occurs {text.count(old)} times in {path}")
		return "stale"
	with open(full, "w") as file:
		file.write(text.replace(old, new))
	try:
		built = build(tree, options.jobs)
		if built.returncode:
			print(f"{name}: does not build:\n{built.stdout[-2000:]}")
			return "stale"
		status, said = fuzz(tree, options.ops, options.seed)
	finally:
		with open(full, "w") as file:
			file.write(text)
	if status in (0, 2, 3):
		print(f"{name}: NOT FOUND (exit status {status})")
		return "missed"
	print(f"{name}: found: {said}", flush=True)
	return "found"


def main():
	parser = argparse.ArgumentParser(description="Plant errors in the core; see whether quire fuzz finds them.")
	parser.add_argument("--ops", type=int, default=100000, help="operations for each error")
	parser.add_argument("--seed", type=int, default=1)
	parser.add_argument("--only", action="append", help="these errors only")
	parser.add_argument("--list", action="store_true", help="list the errors")
	parser.add_argument("--jobs", type=int, default=2)
	parser.add_argument("source", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
	options = parser.parse_args()
	if options.list:
		print("\n".join(name for name, *_ in ERRORS))
		return 0
	errors = [error for error in ERRORS if not options.only or error[0] in options.only]
	results = []
	with tempfile.TemporaryDirectory(prefix="quire-planted-") as tree:
		copy_tree(options.source, tree)
		configure(tree)
		if build(tree, options.jobs).returncode:
			print("the tree does not build as it is")
			return 2
		status, said = fuzz(tree, options.ops, options.seed)
		if status:
			print(f"without any planted error the fuzzer says {status}: {said}")
			return 3 if status == 3 else 1
		for error in errors:
			results.append(try_error(tree, error, options))
	print(f"{results.count('found')} of {len(results)} planted errors found")
	if "stale" in results:
		return 2
	return 1 if "missed" in results else 0


if __name__ == "__main__":
	sys.exit(main())
