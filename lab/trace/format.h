/*
 * format.h - what the writer and the reader of traces share: the bytes of a block, numbers of variable
 * length, and the state that both keep in step (threads, address spaces, the last address of each thread).
 *
 * The writer applies an event to its state before it encodes it, the reader after it has decoded it, with the
 * same function. So what the reader would refuse is refused at writing already, and what can be derived (an
 * event's mm, whether an mm dies) is not stored.
 */
#ifndef LAB_TRACE_FORMAT_H
#define LAB_TRACE_FORMAT_H

#include "trace.h"

#define TRACE_MAGIC "QUIRETRC"

enum {
	TRACE_MAGIC_SIZE = 8,
	TRACE_BLOCK_HEAD = 9,	    /* type, payload's length, checksum */
	TRACE_BLOCK_MAX = 64 << 10, /* bytes of payload */
	TRACE_RECORD_MAX = 6 << 10, /* bytes of one encoded record, at most */
	TRACE_ADDRESS_BITS = 56,    /* user addresses in layouts lie below (five levels) */
	TRACE_BLOCK_HEADER = 'H',
	TRACE_BLOCK_EVENTS = 'E',
	TRACE_BLOCK_END = 'Z',
};

/* A record's first byte: its kind, and flags above. Kinds 1 to 9 are enum trace_kind. */
enum {
	RECORD_FAULT_PRESENT = 10, /* TRACE_FAULT whose `present` is true */
	RECORD_FILE = 11,	   /* a definition, not an event */
	RECORD_KIND = 0x0f,
	RECORD_SAME_THREAD = 0x10,
	RECORD_CALL_ADDRESS = 0x40, /* CALL: the result is an address, stored as a difference */
	RECORD_CALL_FILE = 0x80,
	RECORD_FAULT_KERNEL = 0x20,
	RECORD_FAULT_ACCESS = 6, /* two bits from here */
};

struct state_thread {
	uint32_t mm;
	bool alive;
	uint64_t address; /* the last one stored: the base of the next difference */
};

struct trace_state {
	struct state_thread *threads;
	uint32_t nr_threads, room_threads;
	uint32_t *mm_users; /* living threads in each mm */
	uint32_t nr_mms, room_mms;
	uint32_t nr_files;
	uint32_t page_size;
	uint64_t time, index;
	/* LAYOUT events still due after an EXEC, whose they are, and where the last one ended */
	uint32_t layouts_due, layout_thread, layout_mm;
	uint64_t layout_end;
	uint32_t last_thread; /* of the last record that had one: RECORD_SAME_THREAD */
};

/*
 * Check @event against the state, move the state on, and fill in what is derived. NULL, or what is wrong. The
 * base for differences of the event's thread stays as it is: the coder moves it.
 */
const char *trace_state_apply(struct trace_state *s, struct trace_event *event);
void trace_state_free(struct trace_state *s);

const char *trace_header_check(const struct trace_header *header);
const char *trace_file_check(const struct trace_file *file);

/*
 * How the arguments of a call are stored, one letter each: 'a' an address (difference), 'u' a number, 's' a
 * signed number. NULL for a number that is no call.
 */
const char *trace_call_signature(uint32_t nr);
bool trace_call_has_peer(uint32_t nr);

uint32_t trace_checksum(uint32_t start, const void *bytes, size_t size);

static inline uint64_t zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t unzigzag(uint64_t stored)
{
	return stored >> 1 ^ (0 - (stored & 1));
}

static inline uint32_t load_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void store_le32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

#endif
