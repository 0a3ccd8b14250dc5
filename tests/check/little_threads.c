/*
 * little_threads.c - the accesses of tiny programs, as C11 says them. Compiled with -fsanitize=thread.
 *
 * An order is a constant at each call, as in any program: a switch picks the call.
 */
#include "little.h"

#include <stdatomic.h>

#define BY_ORDER(order, call)                       \
	do {                                        \
		switch (order) {                    \
		case MO_RELAXED:                    \
			call(memory_order_relaxed); \
			break;                      \
		case MO_ACQUIRE:                    \
			call(memory_order_acquire); \
			break;                      \
		case MO_RELEASE:                    \
			call(memory_order_release); \
			break;                      \
		case MO_ACQ_REL:                    \
			call(memory_order_acq_rel); \
			break;                      \
		default:                            \
			call(memory_order_seq_cst); \
		}                                   \
	} while (0)

static void store(_Atomic uint32_t *at, uint32_t value, int order)
{
	if (order == MO_RELAXED)
		atomic_store_explicit(at, value, memory_order_relaxed);
	else if (order == MO_RELEASE)
		atomic_store_explicit(at, value, memory_order_release);
	else
		atomic_store_explicit(at, value, memory_order_seq_cst);
}

static uint32_t load(_Atomic uint32_t *at, int order)
{
	if (order == MO_RELAXED)
		return atomic_load_explicit(at, memory_order_relaxed);
	if (order == MO_ACQUIRE)
		return atomic_load_explicit(at, memory_order_acquire);
	return atomic_load_explicit(at, memory_order_seq_cst);
}

static uint32_t compare(_Atomic uint32_t *at, uint32_t expected, uint32_t desired, int order)
{
#define CALL(order) \
	atomic_compare_exchange_strong_explicit(at, &expected, desired, order, memory_order_relaxed)
	if (order == MO_SEQ_CST)
		atomic_compare_exchange_strong_explicit(at, &expected, desired, memory_order_seq_cst,
							memory_order_seq_cst);
	else if (order == MO_ACQUIRE)
		atomic_compare_exchange_strong_explicit(at, &expected, desired, memory_order_acquire,
							memory_order_acquire);
	else
		BY_ORDER(order, CALL);
	return expected;
#undef CALL
}

unsigned little_access(const struct little_op *op, _Atomic uint32_t *at)
{
	uint32_t value = op->value, old = 0;

	switch (op->kind) {
	case LITTLE_STORE:
		store(at, value, op->order);
		break;
	case LITTLE_LOAD:
		old = load(at, op->order);
		break;
	case LITTLE_ADD:
#define CALL(order) old = atomic_fetch_add_explicit(at, value, order)
		BY_ORDER(op->order, CALL);
#undef CALL
		break;
	case LITTLE_COUNT:
#define CALL(order) atomic_fetch_add_explicit(at, value, order)
		BY_ORDER(op->order, CALL);
#undef CALL
		break;
	case LITTLE_EXCHANGE:
#define CALL(order) old = atomic_exchange_explicit(at, value, order)
		BY_ORDER(op->order, CALL);
#undef CALL
		break;
	case LITTLE_COMPARE:
		old = compare(at, op->expected, value, op->order);
		break;
	case LITTLE_FENCE:
#define CALL(order) atomic_thread_fence(order)
		BY_ORDER(op->order, CALL);
#undef CALL
		break;
	}
	return old;
}
