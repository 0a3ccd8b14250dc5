/*
 * notes.c - what a step did that its location does not tell: kept as numbers, put into words when somebody
 * asks.
 *
 * An execution's notes are thrown away when the next begins.
 */
#include "inside.h"

#include <stdio.h>

enum { NOTES = 4096, TEXTS = 16, TEXT_BYTES = 120 };

static struct {
	uint32_t step;
	uint8_t kind;
	uint64_t a, b, c;
} notes[NOTES];
static unsigned noted;

void notes_reset(void)
{
	noted = 0;
}

/* They are only added. */
void notes_image(struct image *image)
{
	image_add(image, &noted, sizeof(noted));
}

void note(enum note_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	if (!engine_now || noted == NOTES)
		return;
	notes[noted].step = engine_step_now();
	notes[noted].kind = (uint8_t)kind;
	notes[noted].a = a;
	notes[noted].b = b;
	notes[noted++].c = c;
}

static void put(unsigned i, char *out)
{
	unsigned long a = notes[i].a, b = notes[i].b, c = notes[i].c;
	const char *va = describe_va(a);

	switch (notes[i].kind) {
	case NOTE_FAULT:
		snprintf(out, TEXT_BYTES, "page fault at %s", va);
		break;
	case NOTE_CACHED:
		snprintf(out, TEXT_BYTES, "TLB hit %s -> frame %lu (entry of step %lu)", va, b, c);
		break;
	case NOTE_WALK:
		snprintf(out, TEXT_BYTES, "%s -> frame %lu", va, b);
		break;
	case NOTE_ACCESSED:
		snprintf(out, TEXT_BYTES, "accessed bit of level %lu for %s", b, va);
		break;
	case NOTE_DIRTY:
		snprintf(out, TEXT_BYTES, "dirty bit for %s", va);
		break;
	case NOTE_GIVEN_BACK:
		snprintf(out, TEXT_BYTES, "frame %lu is free", a);
		break;
	case NOTE_TAKEN:
		snprintf(out, TEXT_BYTES, "frame %lu is taken", a);
		break;
	case NOTE_ROOT:
		snprintf(out, TEXT_BYTES, "root %lu under tag %lu", b, c);
		break;
	case NOTE_FLUSH:
		snprintf(out, TEXT_BYTES, "flush of %s, %lu pages", describe_va(b),
			 (c - b) >> QUIRE_PAGE_SHIFT);
		break;
	case NOTE_FLUSH_ALL:
		snprintf(out, TEXT_BYTES, "flush of all of tag %lu", b);
		break;
	case NOTE_RETURN:
		snprintf(out, TEXT_BYTES, "%s returns", (const char *)a);
		break;
	default:
		out[0] = '\0';
	}
}

size_t machine_notes(struct machine *machine, size_t step, const char **out, size_t most)
{
	static char text[TEXTS][TEXT_BYTES];
	size_t found = 0;

	(void)machine;
	for (unsigned i = 0; i < noted && found < most && found < TEXTS; i++) {
		if (notes[i].step != step)
			continue;
		put(i, text[found]);
		out[found] = text[found];
		found++;
	}
	return found;
}

const char *machine_step_name(unsigned what)
{
	static const char *const names[STEP_MACHINE_END - STEP_LOCK] = {
		[STEP_LOCK - STEP_LOCK] = "lock",
		[STEP_TRYLOCK - STEP_LOCK] = "try to lock",
		[STEP_UNLOCK - STEP_LOCK] = "unlock",
		[STEP_READ_LOCK - STEP_LOCK] = "read lock",
		[STEP_WRITE_LOCK - STEP_LOCK] = "write lock",
		[STEP_WRITER_WAITS - STEP_LOCK] = "writer waits",
		[STEP_READ_UNLOCK - STEP_LOCK] = "read unlock",
		[STEP_WRITE_UNLOCK - STEP_LOCK] = "write unlock",
		[STEP_SLEEP - STEP_LOCK] = "woken",
		[STEP_WAKE - STEP_LOCK] = "wake",
		[STEP_RELAX - STEP_LOCK] = "short wait",
		[STEP_IPI_SEND - STEP_LOCK] = "interrupt",
		[STEP_IPI - STEP_LOCK] = "handler",
		[STEP_IPI_WAIT - STEP_LOCK] = "interrupts done",
		[STEP_RCU_LOCK - STEP_LOCK] = "rcu read section",
		[STEP_RCU_CALL - STEP_LOCK] = "call_rcu",
		[STEP_GRACE_BEGIN - STEP_LOCK] = "grace period begins",
		[STEP_GRACE_END - STEP_LOCK] = "grace period ends",
		[STEP_ROOT - STEP_LOCK] = "load root",
		[STEP_FLUSH - STEP_LOCK] = "flush",
		[STEP_FLUSH_ALL - STEP_LOCK] = "flush all",
		[STEP_LOAD - STEP_LOCK] = "load",
		[STEP_STORE - STEP_LOCK] = "store",
		[STEP_FETCH - STEP_LOCK] = "fetch",
		[STEP_COPY - STEP_LOCK] = "copy",
		[STEP_ZERO - STEP_LOCK] = "zero",
		[STEP_RETURN - STEP_LOCK] = "return",
		[STEP_SPECULATE - STEP_LOCK] = "speculative walk",
		[STEP_DEVICE_LOAD - STEP_LOCK] = "device load",
		[STEP_DEVICE_STORE - STEP_LOCK] = "device store",
		[STEP_DEVICE_LOCK - STEP_LOCK] = "device lock",
		[STEP_POST - STEP_LOCK] = "post",
		[STEP_EVENT_WAIT - STEP_LOCK] = "wait",
	};

	return what >= STEP_LOCK && what < STEP_MACHINE_END ? names[what - STEP_LOCK] : NULL;
}
