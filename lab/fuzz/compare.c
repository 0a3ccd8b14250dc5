/*
 * compare.c - two logs of one sequence: where do they part?
 *
 * Not compared is what the host's page cache does on its own: once pages of the file on disk have left the
 * cache (truncation, punching), read-ahead decides which come back, so from there on its mappings' pages are
 * passed over.
 *
 * Nor are contents, once process_vm_readv or _writev has copied between two views of one page: what is there
 * then depends on the order in which the copy goes about its pieces, which nobody promises.
 */
#include "compare.h"
#include "oracle.h"

#include <quire/abi.h>

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const struct wire_vma *vmas_of(const struct wire_record *record)
{
	return (const struct wire_vma *)(record + 1);
}

static const uint8_t *pages_of(const struct wire_record *record)
{
	return (const uint8_t *)(vmas_of(record) + record->vmas);
}

static const uint64_t *reads_of(const struct wire_record *record)
{
	return (const uint64_t *)(pages_of(record) + (record->pages + 7) / 8 * 8);
}

static bool differ(struct divergence *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool differ(struct divergence *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(out->what, sizeof(out->what), format, args);
	va_end(args);
	return true;
}

/* 1, 2, ... for a file that both know, 0 for any other. */
static unsigned known_file(uint64_t file, const struct names *names)
{
	for (unsigned i = 0; i < WIRE_DISTINCT_FILES; i++) {
		if (names->file[i] == file)
			return i + 1;
	}
	return 0;
}

struct pair {
	const struct wire_record *host, *quire;
	const struct names *host_names, *quire_names;
	uint8_t kind;
	bool cache_unknown; /* of the file on disk */
	bool bytes_unknown; /* of memory */
	struct divergence *out;
};

static const char *result_text(int64_t result, char *room, size_t bytes)
{
	const char *name = ops_errno_name(result);

	if (name)
		snprintf(room, bytes, "-%s", name);
	else
		snprintf(room, bytes, "%#" PRIx64, (uint64_t)result);
	return room;
}

static bool results_differ(const struct pair *p)
{
	char host[32], quire[32];

	if (p->host->result != p->quire->result)
		return differ(p->out, "result: Linux %s, Quire %s",
			      result_text(p->host->result, host, sizeof(host)),
			      result_text(p->quire->result, quire, sizeof(quire)));
	if (p->host->signal != p->quire->signal || p->host->code != p->quire->code)
		return differ(p->out, "signal and code: Linux %d %d, Quire %d %d", p->host->signal,
			      p->host->code, p->quire->signal, p->quire->code);
	if (p->host->value != p->quire->value && !p->bytes_unknown &&
	    !(p->cache_unknown && p->kind == WIRE_MINCORE))
		return differ(p->out, "value: Linux %#" PRIx64 ", Quire %#" PRIx64, p->host->value,
			      p->quire->value);
	return false;
}

static const char *vma_text(const struct wire_vma *vma, char *room, size_t bytes)
{
	snprintf(room, bytes, "%" PRIx64 "-%" PRIx64 " %c%c%c%c %" PRIx64, vma->start, vma->end,
		 vma->flags & WIRE_READ ? 'r' : '-', vma->flags & WIRE_WRITE ? 'w' : '-',
		 vma->flags & WIRE_EXEC ? 'x' : '-', vma->flags & WIRE_SHARED ? 's' : 'p', vma->offset);
	return room;
}

/* Names of files known to one side only must be given out alike. */
static bool names_differ(const struct pair *p, unsigned at)
{
	const struct wire_vma *host = vmas_of(p->host), *quire = vmas_of(p->quire);
	unsigned number = known_file(host[at].file, p->host_names);

	if (number != known_file(quire[at].file, p->quire_names) || !host[at].file != !quire[at].file)
		return true;
	for (unsigned i = 0; i < at; i++) {
		if ((host[i].file == host[at].file) != (quire[i].file == quire[at].file))
			return true;
	}
	return false;
}

static bool maps_differ(const struct pair *p)
{
	const struct wire_vma *host = vmas_of(p->host), *quire = vmas_of(p->quire);
	char one[96], other[96];

	for (unsigned i = 0; i < p->host->vmas && i < p->quire->vmas; i++) {
		if (host[i].start != quire[i].start || host[i].end != quire[i].end ||
		    host[i].flags != quire[i].flags || host[i].offset != quire[i].offset)
			return differ(p->out, "maps: Linux %s, Quire %s",
				      vma_text(&host[i], one, sizeof(one)),
				      vma_text(&quire[i], other, sizeof(other)));
		if (names_differ(p, i))
			return differ(p->out, "maps: another file behind %s",
				      vma_text(&host[i], one, sizeof(one)));
	}
	if (p->host->vmas != p->quire->vmas)
		return differ(p->out, "maps: Linux has %u, Quire %u", p->host->vmas, p->quire->vmas);
	return false;
}

/*
 * Linux 6.18 maps nothing round a fault past the end of a file on disk when the file's last page is all there
 * is to map and there is no page table yet. Whether that page is present is passed over.
 */
static bool is_last_of_disk_file(const struct pair *p, const struct wire_vma *vma, uint32_t page,
				 uint8_t differs)
{
	uint64_t last = wire_files[WIRE_FILES - 1].bytes / WIRE_PAGE - 1;

	return differs == WIRE_PRESENT && known_file(vma->file, p->host_names) == WIRE_DISTINCT_FILES &&
	       vma->offset / WIRE_PAGE + page == last;
}

static bool pages_differ(const struct pair *p)
{
	const struct wire_vma *vma = vmas_of(p->host);
	const uint8_t *host = pages_of(p->host), *quire = pages_of(p->quire);
	static const char *const words[] = { "not present, not resident", "present, not resident",
					     "not present, resident", "present, resident" };

	for (unsigned v = 0; v < p->host->vmas; v++) {
		bool passed = p->cache_unknown &&
			      known_file(vma[v].file, p->host_names) == WIRE_DISTINCT_FILES;

		for (uint32_t i = 0; i < vma[v].looked; i++, host++, quire++) {
			if (*host == *quire || passed || is_last_of_disk_file(p, &vma[v], i, *host ^ *quire))
				continue;
			return differ(p->out, "page %#" PRIx64 ": Linux %s; Quire %s",
				      vma[v].start + i * WIRE_PAGE, words[*host & 3], words[*quire & 3]);
		}
	}
	return false;
}

/* What the @read-th read page's address was. */
static uint64_t read_address(const struct wire_record *record, uint32_t read)
{
	const struct wire_vma *vma = vmas_of(record);

	for (unsigned v = 0; v < record->vmas; v++) {
		if (!(vma[v].flags & WIRE_READ))
			continue;
		if (read < vma[v].looked)
			return vma[v].start + read * WIRE_PAGE;
		read -= vma[v].looked;
	}
	return 0;
}

static bool reads_differ(const struct pair *p)
{
	const uint64_t *host = reads_of(p->host), *quire = reads_of(p->quire);

	if (p->host->reads != p->quire->reads)
		return differ(p->out, "pages read: Linux %u, Quire %u", p->host->reads, p->quire->reads);
	for (uint32_t i = 0; i < p->host->reads && !p->bytes_unknown; i++) {
		if (host[i] != quire[i])
			return differ(p->out,
				      "content or signal of page %#" PRIx64 ": sum %#" PRIx64
				      " on Linux, %#" PRIx64 " on Quire",
				      read_address(p->host, i), host[i], quire[i]);
	}
	return false;
}

/* May this operation take pages of the file on disk out of the cache? */
static bool empties_cache(const struct wire_op *op)
{
	if (op->kind == WIRE_MADVISE)
		return op->flags == QUIRE_MADV_REMOVE;
	if (op->kind != WIRE_TRUNCATE && op->kind != WIRE_PUNCH)
		return false;
	return wire_files[op->file].regular;
}

bool logs_differ(const struct sequence *sequence, struct log host, const struct names *host_names,
		 struct log quire, const struct names *quire_names, struct divergence *out)
{
	const uint8_t *host_at = host.at, *quire_at = quire.at;
	struct pair p = { .host_names = host_names, .quire_names = quire_names, .out = out };

	out->what[0] = '\0';
	for (out->op = 0; out->op < sequence->count; out->op++) {
		p.host = (const struct wire_record *)host_at;
		p.quire = (const struct wire_record *)quire_at;
		if (host_at == (const uint8_t *)host.at + host.bytes)
			return differ(out, "Linux stopped here");
		if (quire_at == (const uint8_t *)quire.at + quire.bytes)
			return differ(out, "Quire stopped here");
		p.kind = sequence->ops[out->op].kind;
		if (empties_cache(&sequence->ops[out->op]))
			p.cache_unknown = true;
		if (p.quire->aliased)
			p.bytes_unknown = true;
		if (results_differ(&p) || maps_differ(&p) || pages_differ(&p) || reads_differ(&p))
			return true;
		host_at += p.host->bytes;
		quire_at += p.quire->bytes;
	}
	return false;
}

const struct wire_record *log_find(struct log log, uint32_t op)
{
	const uint8_t *at = log.at, *end = at + log.bytes;

	while (at < end) {
		const struct wire_record *record = (const struct wire_record *)at;

		if (record->op == op)
			return record;
		at += record->bytes;
	}
	return NULL;
}

void log_print(FILE *to, const struct wire_record *record, const struct names *names)
{
	const struct wire_vma *vma = vmas_of(record);
	const uint8_t *page = pages_of(record);
	char room[96];

	fprintf(to, "    result %s", result_text(record->result, room, sizeof(room)));
	if (record->signal)
		fprintf(to, ", signal %d code %d", record->signal, record->code);
	fprintf(to, ", value %#" PRIx64 "\n", record->value);
	for (unsigned v = 0; v < record->vmas; v++) {
		unsigned file = known_file(vma[v].file, names);

		fprintf(to, "    %s", vma_text(&vma[v], room, sizeof(room)));
		if (vma[v].flags & WIRE_FILE)
			fprintf(to, file ? " file %u" : " shared memory", file - 1);
		fputs("  ", to);
		for (uint32_t i = 0; i < vma[v].looked; i++, page++) {
			if (i < 64)
				fputc(".Pm#"[*page & 3], to);
		}
		fputc('\n', to);
	}
}
