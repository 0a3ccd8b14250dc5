/*
 * memory.c - the front of the memory models: plain accesses, atomics that act on native memory, hardware.
 *
 * An atomic access is one transition: begin, touch, act. Under SC it acts on native memory; so it does under
 * TSO once its thread's buffer is empty (read-modify-writes, seq_cst stores); what else TSO and WEAK do is in
 * tso.c and weak.c. A fence is nothing that anybody else could notice, only a matter of clocks, and no
 * transition; but for the one that waits for a store buffer.
 *
 * Plain accesses happen natively, right after their hook. Three things follow:
 *
 *	- an atomic of the same location must be settled first: nothing of it may be left in the thread's own
 *	  buffer (the thread waits: MEMORY_STEP_SETTLE), and a history goes on from what is in memory
 *	  afterwards;
 *	- whoever listens to changes (config.changed) is told when the store has happened: at the next hook of
 *	  a write or at the step's end (not at one of a read: the copy of a struct is announced as a write and
 *	  then a read before it begins);
 *	- nothing else: that nobody could see the difference is what the race detector says.
 *
 * What the search takes for one location is an address. Accesses of one word in different sizes are rare, but
 * they conflict: shape[] remembers, over all executions, the sizes and offsets that each word has been
 * accessed with, and an access touches the address of every shape that overlaps its own. The first such
 * access already touches the old shapes' addresses, so no conflict is missed in the execution that finds out.
 *
 * Order:   one OS thread. While no threads run (engine_now is NULL) everything acts natively.
 * Errors:  out of memory, but for memory_create(), ends the process with status 3.
 * Rules:   CHK-3, CHK-5.
 */
#include "memory_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct memory memory;

#define MARK_SHIFT 48
#define FULL_FENCES 1 /* an object of clock.c: addresses of the arena are larger */

void *memory_grow(void *array, uint32_t *room, uint32_t count, size_t each)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 256;
	void *larger = realloc(array, *room * each);
	if (!larger) {
		fputs("quire check: out of memory\n", stderr);
		exit(3);
	}
	return larger;
}

/* ---- beginning and end --------------------------------------------------------------------------------- */

static void *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			0);

	return at == MAP_FAILED ? NULL : at;
}

int memory_create(const struct memory_config *config)
{
	size_t words = (config->bytes + WORD - 1) / WORD;

	memset(&memory, 0, sizeof(memory));
	memory.config = *config;
	memory.base = (uintptr_t)config->base;
	memory.bytes = config->bytes;
	memory.threads = config->threads;
	memory.cell_of = reserve(words * sizeof(*memory.cell_of));
	memory.cell = reserve(words * sizeof(*memory.cell));
	memory.shape = reserve(words * sizeof(*memory.shape));
	if (!memory.cell_of || !memory.cell || !memory.shape || clock_create() || race_create()) {
		memory_destroy();
		return -ENOMEM;
	}
	engine_on_step(memory_deliver);
	memory_begin();
	return 0;
}

void memory_destroy(void)
{
	size_t words = (memory.bytes + WORD - 1) / WORD;

	engine_on_step(NULL);
	if (memory.cell_of)
		munmap(memory.cell_of, words * sizeof(*memory.cell_of));
	if (memory.cell)
		munmap(memory.cell, words * sizeof(*memory.cell));
	if (memory.shape)
		munmap(memory.shape, words * sizeof(*memory.shape));
	free(memory.place);
	clock_destroy();
	race_destroy();
	tso_destroy();
	weak_destroy();
	memset(&memory, 0, sizeof(memory));
}

void memory_begin(void)
{
	memory.cells = memory.places = 0;
	memory.pending_bytes = 0;
	clock_begin();
	race_begin();
	tso_begin();
	weak_begin();
}

void memory_settle(void)
{
	memory_deliver();
	if (memory.config.model == MEMORY_TSO)
		for (unsigned t = 0; t < memory.config.buffers; t++)
			tso_drain(t);
}

void memory_image(struct image *image)
{
	image_add(image, &memory.cells, sizeof(memory.cells));
	image_add(image, &memory.places, sizeof(memory.places));
	image_add(image, &memory.pending_bytes, sizeof(memory.pending_bytes)); /* of a step: none then */
	image_add(image, memory.thread, memory.threads * sizeof(memory.thread[0]));
	image_add_array(image, &memory.cell, &memory.cells, sizeof(*memory.cell));
	image_add_array(image, &memory.place, &memory.places, sizeof(*memory.place));
	clock_image(image);
	race_image(image);
	tso_image(image);
	weak_image(image);
}

/* ---- native memory ------------------------------------------------------------------------------------- */

uint64_t memory_native_load(uintptr_t address, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return __atomic_load_n((uint8_t *)address, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((uint16_t *)address, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((uint32_t *)address, __ATOMIC_RELAXED);
	default:
		return __atomic_load_n((uint64_t *)address, __ATOMIC_RELAXED);
	}
}

void memory_native_store(uintptr_t address, unsigned bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		__atomic_store_n((uint8_t *)address, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)address, (uint16_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)address, value, __ATOMIC_RELAXED);
	}
	memory_changed(address, bytes);
}

uint64_t memory_compute(enum memory_operation operation, uint64_t old, uint64_t operand, unsigned bytes)
{
	uint64_t value = 0;

	switch (operation) {
	case RMW_EXCHANGE:
		value = operand;
		break;
	case RMW_ADD:
		value = old + operand;
		break;
	case RMW_SUB:
		value = old - operand;
		break;
	case RMW_AND:
		value = old & operand;
		break;
	case RMW_OR:
		value = old | operand;
		break;
	case RMW_XOR:
		value = old ^ operand;
		break;
	case RMW_NAND:
		value = ~(old & operand);
		break;
	}
	return bytes < 8 ? value & ((1ull << bytes * 8) - 1) : value;
}

void memory_changed(uintptr_t address, unsigned bytes)
{
	if (engine_now && memory.config.changed && address - memory.base < memory.bytes)
		memory.config.changed(memory.config.data, address, bytes);
}

void memory_deliver(void)
{
	size_t bytes = memory.pending_bytes;

	if (!bytes)
		return;
	memory.pending_bytes = 0;
	memory.config.changed(memory.config.data, memory.pending, bytes);
}

/* ---- what stands for an access in the search ----------------------------------------------------------- */

/* A bit for each aligned access within a word: 8 bytes; 4 at 0, 4; 2 at 0, 2, 4, 6; 1 at 0 .. 7. */
static const uint8_t shape_at[15] = { 0, 0, 4, 0, 2, 4, 6, 0, 1, 2, 3, 4, 5, 6, 7 };
static const uint8_t shape_bytes[15] = { 8, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1 };

static unsigned shape_of(unsigned at, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return 7 + at;
	case 2:
		return 3 + at / 2;
	case 4:
		return 1 + at / 4;
	default:
		return 0;
	}
}

/* Notes the access; the other shapes seen that overlap it, a bit each. */
static unsigned other_shapes(uintptr_t address, unsigned bytes)
{
	unsigned at = (unsigned)((address - memory.base) % WORD), found = 0;
	uint16_t *seen = &memory.shape[(address - memory.base) / WORD];

	*seen |= (uint16_t)(1u << shape_of(at, bytes));
	for (unsigned others = *seen & ~(1u << shape_of(at, bytes)); others; others &= others - 1) {
		unsigned i = (unsigned)__builtin_ctz(others);

		if (shape_at[i] < at + bytes && at < shape_at[i] + shape_bytes[i])
			found |= 1u << i;
	}
	return found;
}

bool memory_is_mixed(uintptr_t address, unsigned bytes)
{
	return other_shapes(address, bytes) != 0;
}

void memory_touch_marked(uintptr_t address, unsigned bytes, enum touch_mode mode, uintptr_t mark)
{
	uintptr_t word = address & ~(uintptr_t)(WORD - 1);

	mark <<= MARK_SHIFT;
	engine_touch(address | mark, mode);
	for (unsigned others = other_shapes(address, bytes); others; others &= others - 1) {
		uintptr_t other = word + shape_at[__builtin_ctz(others)];

		if (other != address)
			engine_touch(other | mark, mode);
	}
}

static void touch(uintptr_t address, unsigned bytes, enum touch_mode mode)
{
	if (memory.config.model == MEMORY_TSO)
		tso_touch(address, bytes, mode, engine_self());
	else
		memory_touch_marked(address, bytes, mode, 0);
}

uintptr_t memory_address(uintptr_t location)
{
	return location >> 56 ? location : location & (((uintptr_t)1 << MARK_SHIFT) - 1);
}

/* ---- cells and places ---------------------------------------------------------------------------------- */

struct cell *memory_new_cell(uintptr_t address)
{
	uint32_t word = (uint32_t)((address - memory.base) / WORD);
	struct cell *cell = &memory.cell[memory.cells];

	memory.cell_of[word] = memory.cells++;
	*cell = (struct cell){ .word = word, .place = NONE, .first = { .more = NONE } };
	return cell;
}

bool memory_overlaps(const struct place *place, uintptr_t address, size_t bytes)
{
	return place->address < address + bytes && address < place->address + place->bytes;
}

/*
 * The place of an atomic access. One of another size that overlaps it ends here: the new one begins with what
 * is in memory, and carries all that the old one did.
 */
struct place *memory_place(uintptr_t address, unsigned bytes)
{
	struct cell *cell = memory_cell(address);

	if (!cell)
		cell = memory_new_cell(address);
	uint32_t message = 0, *link = &cell->place;
	while (*link != NONE) {
		struct place *place = &memory.place[*link];

		if (place->address == address && place->bytes == bytes)
			return place;
		if (memory_overlaps(place, address, bytes)) {
			message = clock_merge(message, memory.config.model == MEMORY_WEAK
							       ? weak_last_message(place)
							       : place->message);
			*link = place->next;
			continue;
		}
		link = &place->next;
	}
	memory.place = memory_grow(memory.place, &memory.place_room, memory.places, sizeof(*memory.place));
	struct place *place = &memory.place[memory.places];
	*place = (struct place){
		.address = address, .bytes = (uint8_t)bytes, .next = cell->place, .message = message
	};
	cell->place = memory.places++;
	if (memory.config.model == MEMORY_WEAK)
		weak_place(place, message);
	return place;
}

void memory_forget(uintptr_t address, size_t bytes)
{
	if (address - memory.base >= memory.bytes)
		return;
	if (engine_now && memory.config.model == MEMORY_TSO && tso_holds(engine_self(), address, bytes))
		tso_settle(address, bytes, __builtin_return_address(0));
	for (uintptr_t word = address & ~(uintptr_t)(WORD - 1); word < address + bytes; word += WORD) {
		struct cell *cell = memory_cell(word);

		if (!cell)
			continue;
		cell->place = NONE;
		cell->first = (struct record){ .more = NONE };
	}
}

/* ---- plain accesses ------------------------------------------------------------------------------------ */

static void settle(uintptr_t address, size_t bytes, const void *code)
{
	if (memory.config.model == MEMORY_TSO && tso_holds(engine_self(), address, bytes))
		tso_settle(address, bytes, code);
}

static size_t clamp(uintptr_t address, size_t bytes)
{
	size_t room = memory.bytes - (address - memory.base);

	return bytes < room ? bytes : room;
}

void memory_new_read(uintptr_t address, size_t bytes, const void *code)
{
	bytes = clamp(address, bytes);
	settle(address, bytes, code);
	race_check(address, bytes, RACE_READ, code);
}

void memory_read(uintptr_t address, size_t bytes, const void *code)
{
	if (memory_is_watched(address)) {
		engine_accesses++;
		note_line(address, bytes, false, code);
		memory_new_read(address, bytes, code);
	}
}

static void histories_end(uintptr_t address, size_t bytes)
{
	for (uintptr_t word = address & ~(uintptr_t)(WORD - 1); word < address + bytes; word += WORD) {
		struct cell *cell = memory_cell(word);

		if (!cell)
			continue;
		for (uint32_t i = cell->place; i != NONE; i = memory.place[i].next)
			if (memory_overlaps(&memory.place[i], address, bytes))
				weak_plain_write(&memory.place[i]);
	}
}

void memory_write(uintptr_t address, size_t bytes, const void *code)
{
	if (!memory_is_watched(address))
		return;
	engine_accesses++;
	memory_deliver();
	bytes = clamp(address, bytes);
	note_line(address, bytes, true, code);
	if (bytes > WORD || !memory_is_known(address, (unsigned)bytes, RACE_WRITE)) {
		settle(address, bytes, code);
		race_check(address, bytes, RACE_WRITE, code);
	}
	if (memory.config.model == MEMORY_WEAK)
		histories_end(address, bytes);
	if (memory.config.changed) {
		memory.pending = address;
		memory.pending_bytes = bytes;
	}
}

/* ---- atomics ------------------------------------------------------------------------------------------- */

void memory_begin_step(unsigned what, uintptr_t address, const void *code, bool (*enabled)(void *),
		       void *argument)
{
	memory_deliver();
	engine_at(code, address);
	engine_begin(what, enabled, argument);
	memory_self()->begun = true;
}

/* Of an access that acts on native memory, when nothing of the thread's is on its way there. */
static void begin_native(unsigned what, uintptr_t address, const void *code)
{
	if (memory.config.model != MEMORY_TSO) {
		memory_begin_step(what, address, code, NULL, NULL);
		return;
	}
	memory_begin_step(what, address, code, tso_is_drained, memory_self());
}

/* The place itself first: by that a step is known to witnesses, and to whoever waits for a change of it. */
static void touch_native(uintptr_t address, unsigned bytes, enum touch_mode mode)
{
	touch(address, bytes, mode);
	if (memory.config.model == MEMORY_TSO)
		tso_touch_drained(engine_self());
}

uint64_t memory_load(uintptr_t address, unsigned bytes, int order, const void *code)
{
	if (!memory_is_watched(address))
		return memory_native_load(address, bytes);
	note_line(address, bytes, false, code);
	if (memory.config.model == MEMORY_TSO)
		return tso_load(address, bytes, order, code);
	if (memory.config.model == MEMORY_WEAK)
		return weak_load(address, bytes, order, code);
	memory_begin_step(MEMORY_STEP_LOAD, address, code, NULL, NULL);
	touch(address, bytes, TOUCH_READ);
	race_check(address, bytes, RACE_ATOMIC_READ, code);
	clock_take(order, memory_place(address, bytes)->message);
	uint64_t value = memory_native_load(address, bytes);
	engine_note(value);
	return value;
}

void memory_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code)
{
	if (!memory_is_watched(address)) {
		memory_native_store(address, bytes, value);
		return;
	}
	note_line(address, bytes, true, code);
	if (memory.config.model == MEMORY_TSO && order != MO_SEQ_CST && tso_has_buffer()) {
		tso_store(address, bytes, value, order, code);
		return;
	}
	if (memory.config.model == MEMORY_WEAK) {
		weak_store(address, bytes, value, order, code);
		return;
	}
	begin_native(MEMORY_STEP_STORE, address, code);
	touch_native(address, bytes, TOUCH_WRITE);
	race_check(address, bytes, RACE_ATOMIC_WRITE, code);
	memory_place(address, bytes)->message = clock_of_store(order);
	memory_native_store(address, bytes, value);
	engine_note(value);
}

/* Does the addition commute with others? Nobody sees what was there before, and it acquires nothing. */
static bool is_count(enum memory_operation operation, int order, const void *code)
{
	return (operation == RMW_ADD || operation == RMW_SUB) && order == MO_RELAXED &&
	       !commute_is_used(code);
}

uint64_t memory_rmw(uintptr_t address, unsigned bytes, enum memory_operation operation, uint64_t operand,
		    int order, const void *code)
{
	uint64_t old;

	if (!memory_is_watched(address)) {
		old = memory_native_load(address, bytes);
		memory_native_store(address, bytes, memory_compute(operation, old, operand, bytes));
		return old;
	}
	note_line(address, bytes, true, code);
	if (memory.config.model == MEMORY_WEAK)
		return weak_rmw(address, bytes, operation, operand, order, code);
	begin_native(MEMORY_STEP_RMW, address, code);
	touch_native(address, bytes, is_count(operation, order, code) ? TOUCH_ADD : TOUCH_WRITE);
	race_check(address, bytes, RACE_ATOMIC_WRITE, code);
	struct place *place = memory_place(address, bytes);
	clock_take(order, place->message);
	place->message = clock_of_rmw(order, place->message);
	old = memory_native_load(address, bytes);
	uint64_t value = memory_compute(operation, old, operand, bytes);
	memory_native_store(address, bytes, value);
	engine_note(value);
	return old;
}

static bool native_compare_exchange(uintptr_t address, unsigned bytes, uint64_t *expected, uint64_t desired)
{
	uint64_t old = memory_native_load(address, bytes);

	if (old != *expected) {
		*expected = old;
		return false;
	}
	memory_native_store(address, bytes, desired);
	return true;
}

bool memory_compare_exchange(uintptr_t address, unsigned bytes, uint64_t *expected, uint64_t desired,
			     int success, int failure, const void *code)
{
	if (!memory_is_watched(address))
		return native_compare_exchange(address, bytes, expected, desired);
	note_line(address, bytes, true, code);
	if (memory.config.model == MEMORY_WEAK)
		return weak_compare_exchange(address, bytes, expected, desired, success, failure, code);
	begin_native(MEMORY_STEP_COMPARE_EXCHANGE, address, code);
	bool done = memory_native_load(address, bytes) == *expected;
	touch_native(address, bytes, done ? TOUCH_WRITE : TOUCH_READ);
	race_check(address, bytes, done ? RACE_ATOMIC_WRITE : RACE_ATOMIC_READ, code);
	struct place *place = memory_place(address, bytes);
	clock_take(done ? success : failure, place->message);
	if (done)
		place->message = clock_of_rmw(success, place->message);
	native_compare_exchange(address, bytes, expected, desired);
	engine_note(done ? desired : *expected);
	return done;
}

void memory_fence(int order, const void *code)
{
	if (!engine_now)
		return;
	memory_deliver();
	if (memory.config.model == MEMORY_TSO && order == MO_SEQ_CST)
		tso_fence(code);
	if (memory.config.model == MEMORY_WEAK && order == MO_SEQ_CST)
		weak_fence();
	else
		clock_fence(order);
}

/*
 * 16 bytes: the caller loads, stores and exchanges them natively after this. Always as strong as seq_cst: one
 * transition that writes both words, and orders all such accesses of one address.
 */
void memory_wide(uintptr_t address, const void *code)
{
	if (!memory_is_watched(address))
		return;
	begin_native(MEMORY_STEP_RMW, address, code);
	for (unsigned at = 0; at < 16; at += WORD) {
		touch_native(address + at, WORD, TOUCH_WRITE);
		if (memory.config.model == MEMORY_WEAK)
			weak_plain_write(memory_place(address + at, WORD));
	}
	race_check(address, 16, RACE_ATOMIC_WRITE, code);
	clock_acquire(address);
	clock_release(address);
	if (memory.config.changed) {
		memory.pending = address;
		memory.pending_bytes = 16;
	}
}

/* ---- hardware, and other mechanisms -------------------------------------------------------------------- */

void memory_hardware_touch(uintptr_t address, unsigned bytes, enum touch_mode mode)
{
	if (!memory_is_watched(address))
		return;
	memory_deliver();
	if (memory.config.model == MEMORY_TSO)
		tso_touch(address, bytes, mode, ENGINE_THREADS);
	else if (memory.config.model == MEMORY_WEAK)
		weak_hardware(address, bytes, mode);
	else
		memory_touch_marked(address, bytes, mode, 0);
}

uint64_t memory_hardware_load(uintptr_t address, unsigned bytes)
{
	memory_hardware_touch(address, bytes, TOUCH_READ);
	return memory_native_load(address, bytes);
}

void memory_hardware_store(uintptr_t address, unsigned bytes, uint64_t value)
{
	memory_hardware_touch(address, bytes, TOUCH_WRITE);
	memory_native_store(address, bytes, value);
}

void memory_acquire(uintptr_t object)
{
	if (engine_now)
		clock_acquire(object);
}

void memory_drain(const void *code)
{
	if (engine_now && memory.config.model == MEMORY_TSO)
		tso_fence(code);
}

static void expect_drained(void)
{
	if (memory.config.model != MEMORY_TSO)
		return;
	if (!tso_is_drained(memory_self()))
		engine_violation("the machine releases something with stores still in the buffer");
	tso_touch_drained(engine_self());
}

void memory_release(uintptr_t object)
{
	if (!engine_now)
		return;
	memory_deliver();
	expect_drained();
	clock_release(object);
}

void memory_full(void)
{
	if (!engine_now)
		return;
	memory_deliver();
	expect_drained();
	if (memory.config.model == MEMORY_WEAK)
		weak_fence();
	engine_touch(FULL_FENCES, TOUCH_WRITE);
	clock_acquire(FULL_FENCES);
	clock_release(FULL_FENCES);
}

/* Under WEAK what is read depends on clocks, and these on where an interrupt came. */
void memory_interrupts(unsigned handler, unsigned main)
{
	engine_interrupts(handler, main, memory.config.model == MEMORY_WEAK);
}

void memory_join(unsigned of)
{
	if (!engine_now)
		return;
	if (of != engine_self())
		clock_interrupt(of);
	if (memory.config.model == MEMORY_TSO)
		tso_touch_drained(of);
}

void memory_resume(unsigned of)
{
	if (engine_now && of != engine_self())
		clock_resume(of);
}

/* Of a wait: what WEAK keeps of @address. */
static struct place *place_at(uintptr_t address)
{
	if (!memory_is_watched(address) || memory.config.model != MEMORY_WEAK)
		return NULL;
	struct cell *cell = memory_cell(address);
	uint32_t i = cell ? cell->place : NONE;
	while (i != NONE && !memory_overlaps(&memory.place[i], address, 1))
		i = memory.place[i].next;
	return i == NONE ? NULL : &memory.place[i];
}

bool memory_is_behind(unsigned thread, uintptr_t address)
{
	struct place *place = place_at(address);

	return place && weak_is_behind(place, thread);
}

void memory_catch_up(uintptr_t address)
{
	struct place *place = place_at(address);

	if (place)
		weak_catch_up(place);
}

bool memory_is_drained(unsigned thread)
{
	return memory.config.model != MEMORY_TSO || tso_is_drained(&memory.thread[thread]);
}

void memory_buffer_agent(unsigned thread)
{
	tso_agent(thread);
}
