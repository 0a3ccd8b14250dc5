/*
 * tsan.c - what gcc and clang call under -fsanitize=thread: every access of the core's.
 *
 * Plain accesses are announced just before they happen; atomic ones happen here. Both come after
 * lines_touch(), and so in the order of the clocks. A failed compare-and-exchange takes the line as a
 * successful one does, like the processor's instruction.
 */
#include "inside.h"

#include <string.h>

#define HERE __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void)
{
}

void access_memory(const volatile void *to, size_t bytes, bool write, const void *code)
{
	uintptr_t address = (uintptr_t)to, offset = address - (uintptr_t)model_now.region;
	struct model_cpu *me = model_now.self;

	if (write && address - (uintptr_t)model_now.memory < model_now.memory_bytes)
		model_now.written[(address - (uintptr_t)model_now.memory) >> QUIRE_PAGE_SHIFT] = true;
	if (!me)
		return;
	me->clock += model_now.access_cost;
	me->counts.accesses += model_now.counting;
	if (offset >= model_now.region_bytes)
		return;
	lines_touch(me, address, bytes, write, code);
}

/* ---- plain accesses ------------------------------------------------------------------------------------ */

#define PLAIN(name, bytes)                                  \
	void __tsan_##name##read##bytes(void *address);     \
	void __tsan_##name##write##bytes(void *address);    \
	void __tsan_##name##read##bytes(void *address)      \
	{                                                   \
		access_memory(address, bytes, false, HERE); \
	}                                                   \
	void __tsan_##name##write##bytes(void *address)     \
	{                                                   \
		access_memory(address, bytes, true, HERE);  \
	}

#define PLAIN_SIZES(name) PLAIN(name, 1) PLAIN(name, 2) PLAIN(name, 4) PLAIN(name, 8) PLAIN(name, 16)

PLAIN_SIZES()
PLAIN_SIZES(unaligned_)
PLAIN_SIZES(volatile_)

void __tsan_read_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes);
void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memset(void *to, int value, size_t bytes);

/* Of so many bytes: an access a word, less the one that is counted anyway. */
static void access_range(const void *to, size_t bytes, bool write, const void *code)
{
	if (!bytes)
		return;
	if (model_now.self)
		spend(model_now.self, bytes / MODEL_WORD);
	access_memory(to, bytes, write, code);
}

void __tsan_read_range(void *address, size_t bytes)
{
	access_range(address, bytes, false, HERE);
}

void __tsan_write_range(void *address, size_t bytes)
{
	access_range(address, bytes, true, HERE);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
	access_range(from, bytes, false, HERE);
	access_range(to, bytes, true, HERE);
	return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
	access_range(from, bytes, false, HERE);
	access_range(to, bytes, true, HERE);
	return memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int value, size_t bytes)
{
	access_range(to, bytes, true, HERE);
	return memset(to, value, bytes);
}

/* ---- atomics ------------------------------------------------------------------------------------------- */

#define FETCH(bits, type, name, expression)                                                 \
	type __tsan_atomic##bits##_##name(volatile type *address, type operand, int order); \
	type __tsan_atomic##bits##_##name(volatile type *address, type operand, int order)  \
	{                                                                                   \
		(void)order;                                                                \
		access_memory(address, sizeof(type), true, HERE);                           \
		type old = *address;                                                        \
		*address = (type)(expression);                                              \
		return old;                                                                 \
	}

#define COMPARE(bits, type, name)                                                                  \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *address, type *expected,  \
							  type desired, int success, int failure); \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *address, type *expected,  \
							  type desired, int success, int failure)  \
	{                                                                                          \
		(void)success, (void)failure;                                                      \
		access_memory(address, sizeof(type), true, HERE);                                  \
		if (*address != *expected) {                                                       \
			*expected = *address;                                                      \
			return 0;                                                                  \
		}                                                                                  \
		*address = desired;                                                                \
		return 1;                                                                          \
	}

#define ATOMICS(bits, type)                                                                                  \
	type __tsan_atomic##bits##_load(const volatile type *address, int order);                            \
	void __tsan_atomic##bits##_store(volatile type *address, type value, int order);                     \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *address, type expected, type desired, \
							int success, int failure);                           \
	type __tsan_atomic##bits##_load(const volatile type *address, int order)                             \
	{                                                                                                    \
		(void)order;                                                                                 \
		access_memory(address, sizeof(type), false, HERE);                                           \
		return *address;                                                                             \
	}                                                                                                    \
	void __tsan_atomic##bits##_store(volatile type *address, type value, int order)                      \
	{                                                                                                    \
		(void)order;                                                                                 \
		access_memory(address, sizeof(type), true, HERE);                                            \
		*address = value;                                                                            \
	}                                                                                                    \
	FETCH(bits, type, exchange, operand)                                                                 \
	FETCH(bits, type, fetch_add, old + operand)                                                          \
	FETCH(bits, type, fetch_sub, old - operand)                                                          \
	FETCH(bits, type, fetch_and, old &operand)                                                           \
	FETCH(bits, type, fetch_or, old | operand)                                                           \
	FETCH(bits, type, fetch_xor, old ^ operand)                                                          \
	COMPARE(bits, type, strong)                                                                          \
	COMPARE(bits, type, weak)                                                                            \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *address, type expected, type desired, \
							int success, int failure)                            \
	{                                                                                                    \
		(void)success, (void)failure;                                                                \
		access_memory(address, sizeof(type), true, HERE);                                            \
		type old = *address;                                                                         \
		if (old == expected)                                                                         \
			*address = desired;                                                                  \
		return old;                                                                                  \
	}

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

/* What it would wait for, a store buffer, is not in the model. */
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}
