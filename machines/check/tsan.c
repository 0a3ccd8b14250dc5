/*
 * tsan.c - the names that gcc and clang call under -fsanitize=thread.
 *
 * Every access of instrumented code comes here: plain ones just before they happen, atomic ones instead of
 * happening. What is not in the arena costs a comparison. The runtime that this replaces would also keep a
 * shadow stack (func_entry, func_exit) and look at C++ objects (vptr): nothing to do here.
 *
 * memcpy(), memmove() and memset() of instrumented code are redirected to __tsan_*() when it is linked
 * (cmake/check.cmake), so that the copies of structs that compilers make are seen too.
 */
#include "memory_inside.h"

#include <string.h>

#define HERE __builtin_return_address(0)

typedef unsigned __int128 wide;

/* Compilers may put hints in the upper bits. */
enum { ORDER_MASK = 7 };

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_vptr_update(void **object, void *value);
void __tsan_vptr_read(void **object);

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

void __tsan_vptr_update(void **object, void *value)
{
	(void)value;
	memory_write((uintptr_t)object, sizeof(*object), HERE);
}

void __tsan_vptr_read(void **object)
{
	memory_read((uintptr_t)object, sizeof(*object), HERE);
}

/* ---- plain accesses ------------------------------------------------------------------------------------ */

static inline void read_plain(uintptr_t address, unsigned bytes, const void *code)
{
	if (!memory_is_watched(address))
		return;
	engine_accesses++;
	note_line(address, bytes, false, code);
	if (bytes > WORD || !memory_is_known(address, bytes, RACE_READ))
		memory_new_read(address, bytes, code);
}

#define PLAIN(name, bytes)                                             \
	void __tsan_##name##read##bytes(void *address);                \
	void __tsan_##name##write##bytes(void *address);               \
	void __tsan_##name##read_write##bytes(void *address);          \
	void __tsan_##name##read##bytes(void *address)                 \
	{                                                              \
		read_plain((uintptr_t)address, bytes, HERE);           \
	}                                                              \
	void __tsan_##name##write##bytes(void *address)                \
	{                                                              \
		if (memory_is_watched((uintptr_t)address))             \
			memory_write((uintptr_t)address, bytes, HERE); \
	}                                                              \
	void __tsan_##name##read_write##bytes(void *address)           \
	{                                                              \
		if (memory_is_watched((uintptr_t)address))             \
			memory_write((uintptr_t)address, bytes, HERE); \
	}

#define PLAIN_SIZES(name) PLAIN(name, 1) PLAIN(name, 2) PLAIN(name, 4) PLAIN(name, 8) PLAIN(name, 16)

PLAIN_SIZES()
PLAIN_SIZES(unaligned_)
PLAIN_SIZES(volatile_)
PLAIN_SIZES(unaligned_volatile_)

void __tsan_read_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes);
void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memset(void *to, int value, size_t bytes);

void __tsan_read_range(void *address, size_t bytes)
{
	if (bytes)
		memory_read((uintptr_t)address, bytes, HERE);
}

void __tsan_write_range(void *address, size_t bytes)
{
	if (bytes)
		memory_write((uintptr_t)address, bytes, HERE);
}

static void copy_hooks(const void *to, const void *from, size_t bytes, const void *code)
{
	if (!bytes)
		return;
	memory_read((uintptr_t)from, bytes, code);
	memory_write((uintptr_t)to, bytes, code);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
	copy_hooks(to, from, bytes, HERE);
	return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
	copy_hooks(to, from, bytes, HERE);
	return memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int value, size_t bytes)
{
	if (bytes)
		memory_write((uintptr_t)to, bytes, HERE);
	return memset(to, value, bytes);
}

/* ---- atomics ------------------------------------------------------------------------------------------- */

#define FETCH(bits, type, name, operation)                                                    \
	type __tsan_atomic##bits##_##name(volatile type *address, type operand, int order);   \
	type __tsan_atomic##bits##_##name(volatile type *address, type operand, int order)    \
	{                                                                                     \
		return (type)memory_rmw((uintptr_t)address, sizeof(type), operation, operand, \
					order & ORDER_MASK, HERE);                            \
	}

#define COMPARE(bits, type, name)                                                                      \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *address, type *expected,      \
							  type desired, int success, int failure);     \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *address, type *expected,      \
							  type desired, int success, int failure)      \
	{                                                                                              \
		uint64_t old = *expected;                                                              \
		bool done = memory_compare_exchange((uintptr_t)address, sizeof(type), &old, desired,   \
						    success & ORDER_MASK, failure & ORDER_MASK, HERE); \
		if (!done)                                                                             \
			*expected = (type)old;                                                         \
		return done;                                                                           \
	}

#define ATOMICS(bits, type)                                                                                  \
	type __tsan_atomic##bits##_load(const volatile type *address, int order);                            \
	void __tsan_atomic##bits##_store(volatile type *address, type value, int order);                     \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *address, type expected, type desired, \
							int success, int failure);                           \
	type __tsan_atomic##bits##_load(const volatile type *address, int order)                             \
	{                                                                                                    \
		return (type)memory_load((uintptr_t)address, sizeof(type), order & ORDER_MASK, HERE);        \
	}                                                                                                    \
	void __tsan_atomic##bits##_store(volatile type *address, type value, int order)                      \
	{                                                                                                    \
		memory_store((uintptr_t)address, sizeof(type), value, order &ORDER_MASK, HERE);              \
	}                                                                                                    \
	FETCH(bits, type, exchange, RMW_EXCHANGE)                                                            \
	FETCH(bits, type, fetch_add, RMW_ADD)                                                                \
	FETCH(bits, type, fetch_sub, RMW_SUB)                                                                \
	FETCH(bits, type, fetch_and, RMW_AND)                                                                \
	FETCH(bits, type, fetch_or, RMW_OR)                                                                  \
	FETCH(bits, type, fetch_xor, RMW_XOR)                                                                \
	FETCH(bits, type, fetch_nand, RMW_NAND)                                                              \
	COMPARE(bits, type, strong)                                                                          \
	COMPARE(bits, type, weak)                                                                            \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *address, type expected, type desired, \
							int success, int failure)                            \
	{                                                                                                    \
		uint64_t old = expected;                                                                     \
		memory_compare_exchange((uintptr_t)address, sizeof(type), &old, desired,                     \
					success &ORDER_MASK, failure &ORDER_MASK, HERE);                     \
		return (type)old;                                                                            \
	}

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

/* 16 bytes: see memory_wide(). */

#define WIDE_FETCH(name, expression)                                                   \
	wide __tsan_atomic128_##name(volatile wide *address, wide operand, int order); \
	wide __tsan_atomic128_##name(volatile wide *address, wide operand, int order)  \
	{                                                                              \
		(void)order;                                                           \
		memory_wide((uintptr_t)address, HERE);                                 \
		wide old = *address;                                                   \
		*address = expression;                                                 \
		return old;                                                            \
	}

WIDE_FETCH(exchange, operand)
WIDE_FETCH(fetch_add, old + operand)
WIDE_FETCH(fetch_sub, old - operand)
WIDE_FETCH(fetch_and, old &operand)
WIDE_FETCH(fetch_or, old | operand)
WIDE_FETCH(fetch_xor, old ^ operand)
WIDE_FETCH(fetch_nand, ~(old &operand))

wide __tsan_atomic128_load(const volatile wide *address, int order);
void __tsan_atomic128_store(volatile wide *address, wide value, int order);
int __tsan_atomic128_compare_exchange_strong(volatile wide *address, wide *expected, wide desired,
					     int success, int failure);
int __tsan_atomic128_compare_exchange_weak(volatile wide *address, wide *expected, wide desired, int success,
					   int failure);
wide __tsan_atomic128_compare_exchange_val(volatile wide *address, wide expected, wide desired, int success,
					   int failure);

wide __tsan_atomic128_load(const volatile wide *address, int order)
{
	(void)order;
	memory_wide((uintptr_t)address, HERE);
	return *address;
}

void __tsan_atomic128_store(volatile wide *address, wide value, int order)
{
	(void)order;
	memory_wide((uintptr_t)address, HERE);
	*address = value;
}

static bool wide_compare_exchange(volatile wide *address, wide *expected, wide desired)
{
	wide old = *address;

	if (old != *expected) {
		*expected = old;
		return false;
	}
	*address = desired;
	return true;
}

int __tsan_atomic128_compare_exchange_strong(volatile wide *address, wide *expected, wide desired,
					     int success, int failure)
{
	(void)success, (void)failure;
	memory_wide((uintptr_t)address, HERE);
	return wide_compare_exchange(address, expected, desired);
}

int __tsan_atomic128_compare_exchange_weak(volatile wide *address, wide *expected, wide desired, int success,
					   int failure)
{
	(void)success, (void)failure;
	memory_wide((uintptr_t)address, HERE);
	return wide_compare_exchange(address, expected, desired);
}

wide __tsan_atomic128_compare_exchange_val(volatile wide *address, wide expected, wide desired, int success,
					   int failure)
{
	(void)success, (void)failure;
	memory_wide((uintptr_t)address, HERE);
	wide_compare_exchange(address, &expected, desired);
	return expected;
}

/* ---- fences -------------------------------------------------------------------------------------------- */

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_atomic_thread_fence(int order)
{
	memory_fence(order & ORDER_MASK, HERE);
}

/* A matter of the compiler alone: an interrupt on the same CPU sees the program's order. */
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}
