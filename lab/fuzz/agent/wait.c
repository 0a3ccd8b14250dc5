/*
 * wait.c - waiting for other agents and threads, and for the driver's operations.
 */
#include "agent.h"

uint32_t wait_change(uint32_t *at, uint32_t seen, int forever)
{
	struct {
		word seconds, nanoseconds;
	} timeout = { control->patience, 0 };
	uint32_t now;

	for (unsigned turn = 0; (now = __atomic_load_n(at, __ATOMIC_ACQUIRE)) == seen; turn++) {
		if (turn < 100) {
			__builtin_ia32_pause();
			continue;
		}
		if (CALL(SYS_futex, at, HOST_FUTEX_WAIT, seen, forever ? 0 : &timeout) == -HOST_ETIMEDOUT)
			CALL(SYS_exit_group, 98);
	}
	return now;
}

void wake(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	CALL(SYS_futex, at, HOST_FUTEX_WAKE, 1 << 30);
}

void read_op(uint32_t at, struct wire_op *op)
{
	CALL(SYS_pread, WIRE_FD_CONTROL, op, sizeof(*op), WIRE_OPS_AT + at * sizeof(*op));
}
