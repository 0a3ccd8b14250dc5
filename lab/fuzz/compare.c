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

static const char *result_text(int64_t result, char *room, size_t bytes)
{
	const char *name = ops_errno_name(result);

	if (name)
		snprintf(room, bytes, "-%s", name);
	else
		snprintf(room, bytes, "%#" PRIx64, (uint64_t)result);
	return room;
}

static bool results_differ(const struct comparison *p)
{
	char host[32], quire[32];

	if (p->host->result != p->quire->result)
		return differ(p->out, "result: %s %s, %s %s", p->host_names->who,
			      result_text(p->host->result, host, sizeof(host)), p->quire_names->who,
			      result_text(p->quire->result, quire, sizeof(quire)));
	if (p->host->signal != p->quire->signal || p->host->code != p->quire->code)
		return differ(p->out, "signal and code: %s %d %d, %s %d %d", p->host_names->who,
			      p->host->signal, p->host->code, p->quire_names->who, p->quire->signal,
			      p->quire->code);
	if (p->host->value != p->quire->value && !p->bytes_unknown &&
	    !(p->cache_unknown && p->kind == WIRE_MINCORE))
		return differ(p->out, "value: %s %#" PRIx64 ", %s %#" PRIx64, p->host_names->who,
			      p->host->value, p->quire_names->who, p->quire->value);
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
static bool names_differ(const struct comparison *p, const struct wire_vma *host,
			 const struct wire_vma *quire, unsigned at)
{
	unsigned number = known_file(host[at].file, p->host_names);

	if (number != known_file(quire[at].file, p->quire_names) || !host[at].file != !quire[at].file)
		return true;
	for (unsigned i = 0; i < at; i++) {
		if ((host[i].file == host[at].file) != (quire[i].file == quire[at].file))
			return true;
	}
	return false;
}

/* The mappings of @record; what could be one anonymous mapping is one, if @loose. Returns how many. */
static unsigned list_vmas(const struct wire_record *record, bool loose, struct wire_vma *out)
{
	const struct wire_vma *vma = vmas_of(record);
	unsigned count = 0;

	for (unsigned i = 0; i < record->vmas; i++) {
		struct wire_vma *last = count ? &out[count - 1] : NULL;

		if (loose && last && last->end == vma[i].start && last->flags == vma[i].flags && !vma[i].file)
			last->end = vma[i].end;
		else
			out[count++] = vma[i];
	}
	return count;
}

static bool maps_differ(const struct comparison *p)
{
	struct wire_vma host[WIRE_VMAS], quire[WIRE_VMAS];
	unsigned hosts = list_vmas(p->host, p->loose, host), quires = list_vmas(p->quire, p->loose, quire);
	char one[96], other[96];

	for (unsigned i = 0; i < hosts && i < quires; i++) {
		if (host[i].start != quire[i].start || host[i].end != quire[i].end ||
		    host[i].flags != quire[i].flags || host[i].offset != quire[i].offset)
			return differ(p->out, "maps: %s %s, %s %s", p->host_names->who,
				      vma_text(&host[i], one, sizeof(one)), p->quire_names->who,
				      vma_text(&quire[i], other, sizeof(other)));
		if (names_differ(p, host, quire, i))
			return differ(p->out, "maps: another file behind %s",
				      vma_text(&host[i], one, sizeof(one)));
	}
	if (hosts != quires)
		return differ(p->out, "maps: %s has %u, %s %u", p->host_names->who, hosts,
			      p->quire_names->who, quires);
	return false;
}

/*
 * Linux 6.18 maps nothing round a fault past the end of a file on disk when the file's last page is all there
 * is to map and there is no page table yet. Whether that page is present is passed over.
 */
static bool is_last_of_disk_file(const struct comparison *p, const struct wire_vma *vma, uint32_t page,
				 uint8_t differs)
{
	uint64_t last = wire_files[WIRE_FILES - 1].bytes / WIRE_PAGE - 1;

	return differs == WIRE_PRESENT && known_file(vma->file, p->host_names) == WIRE_DISTINCT_FILES &&
	       vma->offset / WIRE_PAGE + page == last;
}

/*
 * A fault on a file's page maps its neighbours too. Beside other threads it may map some of them, or fail
 * on its own page when it has mapped them; nobody promises anything about that.
 */
static bool is_beside_threads(const struct comparison *p, const struct wire_vma *vma, uint8_t differs)
{
	return p->sequence->threads && differs == WIRE_PRESENT && (vma->flags & WIRE_FILE);
}

static bool pages_differ(const struct comparison *p)
{
	const struct wire_vma *vma = vmas_of(p->host);
	const uint8_t *host = pages_of(p->host), *quire = pages_of(p->quire);
	static const char *const words[] = { "not present, not resident", "present, not resident",
					     "not present, resident", "present, resident" };

	for (unsigned v = 0; v < p->host->vmas; v++) {
		bool passed = p->cache_unknown &&
			      known_file(vma[v].file, p->host_names) == WIRE_DISTINCT_FILES;

		for (uint32_t i = 0; i < vma[v].looked; i++, host++, quire++) {
			if (*host == *quire || passed ||
			    is_last_of_disk_file(p, &vma[v], i, *host ^ *quire) ||
			    is_beside_threads(p, &vma[v], *host ^ *quire))
				continue;
			return differ(p->out, "page %#" PRIx64 ": %s %s; %s %s", vma[v].start + i * WIRE_PAGE,
				      p->host_names->who, words[*host & 3], p->quire_names->who,
				      words[*quire & 3]);
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

static bool reads_differ(const struct comparison *p)
{
	const uint64_t *host = reads_of(p->host), *quire = reads_of(p->quire);

	if (p->host->reads != p->quire->reads)
		return differ(p->out, "pages read: %s %u, %s %u", p->host_names->who, p->host->reads,
			      p->quire_names->who, p->quire->reads);
	for (uint32_t i = 0; i < p->host->reads && !p->bytes_unknown; i++) {
		if (host[i] != quire[i])
			return differ(p->out,
				      "content or signal of page %#" PRIx64 ": sum %#" PRIx64 " %s, %#" PRIx64
				      " %s",
				      read_address(p->host, i), host[i], p->host_names->who, quire[i],
				      p->quire_names->who);
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

void comparison_begin(struct comparison *p, const struct sequence *sequence, const struct names *host_names,
		      const struct names *quire_names, struct divergence *out)
{
	*p = (struct comparison){
		.sequence = sequence,
		.host_names = host_names,
		.quire_names = quire_names,
		.out = out,
	};
	out->op = 0;
	out->what[0] = '\0';
}

bool comparison_step(struct comparison *p, uint32_t op, const struct wire_record *host,
		     const struct wire_record *quire)
{
	p->out->op = op;
	p->host = host;
	p->quire = quire;
	if (!host || !quire)
		return differ(p->out, "%s stopped here", host ? p->quire_names->who : p->host_names->who);
	p->kind = p->sequence->ops[op].kind;
	if (empties_cache(&p->sequence->ops[op]))
		p->cache_unknown = true;
	if (quire->aliased)
		p->bytes_unknown = true;
	return results_differ(p) || maps_differ(p) || pages_differ(p) || reads_differ(p);
}

static const struct wire_record *record_at(struct log log, size_t at)
{
	return at < log.bytes ? (const struct wire_record *)((const uint8_t *)log.at + at) : NULL;
}

bool logs_differ(const struct sequence *sequence, struct log host, const struct names *host_names,
		 struct log quire, const struct names *quire_names, struct divergence *out)
{
	size_t host_at = 0, quire_at = 0;
	struct comparison p;

	comparison_begin(&p, sequence, host_names, quire_names, out);
	for (uint32_t op = 0; op < sequence->count; op++) {
		if (comparison_step(&p, op, record_at(host, host_at), record_at(quire, quire_at)))
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
