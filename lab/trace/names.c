/*
 * names.c - the calls of a trace by name and by shape, and events as text for people.
 */
#include <inttypes.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#include "format.h"

/* One line a call; the numbers are the format's. */
static const struct call {
	const char *name;
	const char *signature; /* see trace_call_signature() */
	bool takes;	       /* takes something away, whatever its arguments */
	bool peer;
} calls[TRACE_CALL_END] = {
	[TRACE_MMAP] = { "mmap", "auuusu", false, false },
	[TRACE_MUNMAP] = { "munmap", "au", true, false },
	[TRACE_MPROTECT] = { "mprotect", "auu", false, false },
	[TRACE_MREMAP] = { "mremap", "auuua", false, false },
	[TRACE_MADVISE] = { "madvise", "aus", false, false },
	[TRACE_BRK] = { "brk", "a", false, false },
	[TRACE_MLOCK] = { "mlock", "au", false, false },
	[TRACE_MLOCK2] = { "mlock2", "aus", false, false },
	[TRACE_MUNLOCK] = { "munlock", "au", false, false },
	[TRACE_MLOCKALL] = { "mlockall", "s", false, false },
	[TRACE_MUNLOCKALL] = { "munlockall", "", false, false },
	[TRACE_MSYNC] = { "msync", "aus", false, false },
	[TRACE_MINCORE] = { "mincore", "aua", false, false },
	[TRACE_PROCESS_VM_READV] = { "process_vm_readv", "sauauu", false, true },
	[TRACE_PROCESS_VM_WRITEV] = { "process_vm_writev", "sauauu", false, true },
	[TRACE_FTRUNCATE] = { "ftruncate", "su", false, false },
	[TRACE_FALLOCATE] = { "fallocate", "ssuu", false, false },
	[TRACE_PKEY_MPROTECT] = { "pkey_mprotect", "auus", false, false },
	[TRACE_SHMAT] = { "shmat", "sas", false, false },
	[TRACE_SHMDT] = { "shmdt", "a", true, false },
	[TRACE_REMAP_FILE_PAGES] = { "remap_file_pages", "auuuu", false, false },
	[TRACE_MSEAL] = { "mseal", "auu", false, false },
	[TRACE_PROCESS_MADVISE] = { "process_madvise", "sausu", false, true },
};

const char *trace_call_signature(uint32_t nr)
{
	return nr < TRACE_CALL_END ? calls[nr].signature : NULL;
}

bool trace_call_has_peer(uint32_t nr)
{
	return nr < TRACE_CALL_END && calls[nr].peer;
}

const char *trace_call_name(enum trace_call nr)
{
	return nr < TRACE_CALL_END && calls[nr].name ? calls[nr].name : "?";
}

const char *trace_region_name(enum trace_region region)
{
	static const char *const names[TRACE_REGIONS] = { "file", "anon", "heap",   "stack",
							  "vdso", "vvar", "special" };
	return region < TRACE_REGIONS ? names[region] : "?";
}

const char *trace_access_name(enum trace_access access)
{
	static const char *const names[TRACE_ACCESSES] = { "touch", "read", "write", "exec" };
	return access < TRACE_ACCESSES ? names[access] : "?";
}

bool trace_call_takes(const struct trace_event *event)
{
	const uint64_t *args = event->call.args;

	switch (event->call.nr) {
	case TRACE_MREMAP:
		/* Shrinking in place. One that moves gives as well: others wait for the new address. */
		return args[2] < args[1] && event->call.result == (int64_t)args[0];
	case TRACE_MADVISE:
		return args[2] == MADV_DONTNEED || args[2] == MADV_REMOVE || args[2] == MADV_FREE ||
		       args[2] == MADV_DONTNEED_LOCKED;
	default:
		return event->call.nr < TRACE_CALL_END && calls[event->call.nr].takes;
	}
}

static void print_file(const struct trace_reader *r, uint32_t number, FILE *out)
{
	const struct trace_file *file = trace_reader_file(r, number);
	if (file)
		fprintf(out, " file %u %s", number, file->path);
}

static void print_call(const struct trace_reader *r, const struct trace_event *event, FILE *out)
{
	const char *signature = trace_call_signature(event->call.nr);

	fprintf(out, "%s(", trace_call_name(event->call.nr));
	for (int i = 0; signature && signature[i]; i++) {
		const char *comma = i ? ", " : "";
		if (signature[i] == 's')
			fprintf(out, "%s%" PRId64, comma, (int64_t)event->call.args[i]);
		else
			fprintf(out, "%s0x%" PRIx64, comma, event->call.args[i]);
	}
	if (event->call.result < 0 || event->call.result > 0xffff)
		fprintf(out, ") = %s0x%" PRIx64, event->call.result < 0 ? "-" : "",
			event->call.result < 0 ? 0 - (uint64_t)event->call.result
					       : (uint64_t)event->call.result);
	else
		fprintf(out, ") = %" PRId64, event->call.result);
	fprintf(out, " <%" PRIu64 " ns>", event->exit - event->entry);
	print_file(r, event->call.file, out);
	if (event->call.peer != TRACE_NONE)
		fprintf(out, " of thread %u", event->call.peer);
}

static void print_layout(const struct trace_reader *r, const struct trace_event *event, FILE *out)
{
	fprintf(out, "layout 0x%" PRIx64 "-0x%" PRIx64 " %c%c%c%c offset 0x%" PRIx64 " %s%s",
		event->layout.start, event->layout.end, event->layout.prot & PROT_READ ? 'r' : '-',
		event->layout.prot & PROT_WRITE ? 'w' : '-', event->layout.prot & PROT_EXEC ? 'x' : '-',
		(event->layout.flags & MAP_TYPE) == MAP_SHARED ? 's' : 'p', event->layout.offset,
		trace_region_name(event->layout.region),
		event->layout.flags & MAP_GROWSDOWN ? " growsdown" : "");
	print_file(r, event->layout.file, out);
}

static void print_clone(const struct trace_event *event, FILE *out)
{
	fprintf(out, "clone flags 0x%" PRIx64 " -> thread %u mm %u (tid %u) <%" PRIu64 " ns>",
		event->clone.flags, event->clone.child, event->clone.child_mm, event->clone.tid,
		event->exit - event->entry);
}

static void print_exit(const struct trace_event *event, FILE *out)
{
	fprintf(out,
		"exit%s minor %" PRIu64 " major %" PRIu64 " peak %" PRIu64 " pages tables %" PRIu64 " bytes",
		event->exited.last ? ", last of its mm," : "", event->exited.minor, event->exited.major,
		event->exited.peak_rss_pages, event->exited.table_bytes);
}

static void print_exec(const struct trace_event *event, FILE *out)
{
	static const char *const names[TRACE_LIMITS] = {
		[TRACE_LIMIT_AS] = "space",
		[TRACE_LIMIT_DATA] = "data",
		[TRACE_LIMIT_STACK] = "stack",
		[TRACE_LIMIT_MEMLOCK] = "locked",
	};

	fprintf(out, "exec pid %u, %u mappings, brk 0x%" PRIx64, event->exec.pid, event->exec.mappings,
		event->exec.brk);
	for (int i = 0; i < TRACE_LIMITS; i++)
		if (event->exec.limits[i] != TRACE_SIZE_UNKNOWN)
			fprintf(out, ", %s at most %" PRIu64, names[i], event->exec.limits[i]);
}

void trace_event_print(const struct trace_reader *r, const struct trace_event *event, FILE *out)
{
	fprintf(out, "%" PRIu64 " %" PRIu64 ".%09" PRIu64 " ", event->index, event->time / 1000000000,
		event->time % 1000000000);
	if (event->thread != TRACE_NONE)
		fprintf(out, "thread %u mm %u: ", event->thread, event->mm);
	switch (event->kind) {
	case TRACE_EXEC:
		print_exec(event, out);
		break;
	case TRACE_LAYOUT:
		print_layout(r, event, out);
		break;
	case TRACE_CLONE:
		print_clone(event, out);
		break;
	case TRACE_EXIT:
		print_exit(event, out);
		break;
	case TRACE_CALL:
		print_call(r, event, out);
		break;
	case TRACE_FAULT:
		fprintf(out, "fault 0x%" PRIx64 " %s%s%s", event->fault.address,
			trace_access_name(event->fault.access), event->fault.kernel ? " by the kernel" : "",
			event->fault.present ? " (present)" : "");
		break;
	case TRACE_SIGNAL:
		fprintf(out, "signal %u code %d", event->signal.signal, event->signal.code);
		break;
	case TRACE_FILE_SIZE:
		fprintf(out, "size %" PRIu64, event->file_size.size);
		print_file(r, event->file_size.file, out);
		break;
	default:
		fprintf(out, "%" PRIu64 " events lost", event->lost.count);
		break;
	}
}
