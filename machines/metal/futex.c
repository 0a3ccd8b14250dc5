/*
 * futex.c - the calls on which a C library builds its locks, and joins its threads.
 *
 * The word is the program's, and looking at it may fault and sleep, which a bucket's lock does not allow. So
 * the waiter goes into the table first, looks then, and leaves again if the word has changed:
 *
 *	waiter					waker
 *	into the table				the program changes the word
 *	FULL FENCE				takes the bucket's lock, a full fence
 *	*word == value? else out again		takes waiters out, wakes them
 *	sleep until taken out
 *
 * Either the waiter sees the change or the waker sees the waiter. One that was taken out while it looked was
 * woken.
 *
 * A futex is known by address space and address; one in memory that processes share wakes only its own
 * process.
 *
 * Order:   a bucket's lock is outside those of the scheduler. Requeueing takes two, the lower one first.
 */
#include "fs.h"
#include "user.h"

enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP };
enum { FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET };
enum { FUTEX_PRIVATE = 128, FUTEX_REALTIME = 256 };

struct waiter {
	struct waiter *next; /* the bucket's lock; and so @at */
	struct quire_mm *mm;
	quire_vaddr at;
	uint32_t bits;
	_Atomic uint32_t woken; /* taken out: after that, the waiter's memory may go */
};

#define BUCKETS 64

static struct bucket {
	_Alignas(64) struct quire_spin lock;
	struct waiter *first;
} buckets[BUCKETS];

static struct bucket *bucket_of(struct quire_mm *mm, quire_vaddr at)
{
	return &buckets[((uintptr_t)mm + at) / 4 * 0x9e3779b97f4a7c15ull >> 58];
}

static void add(struct bucket *bucket, struct waiter *waiter)
{
	struct waiter **link = &bucket->first;

	while (*link)
		link = &(*link)->next;
	waiter->next = NULL;
	*link = waiter;
}

/* Out of whatever bucket it is in by now. False: somebody has woken it. */
static bool leave(struct waiter *waiter)
{
	for (;;) {
		quire_vaddr at = *(volatile quire_vaddr *)&waiter->at;
		struct bucket *bucket = bucket_of(waiter->mm, at);

		spin_lock(&bucket->lock);
		bool moved = waiter->at != at, found = false;
		for (struct waiter **link = &bucket->first; *link && !moved; link = &(*link)->next) {
			if (*link == waiter) {
				*link = waiter->next;
				found = true;
				break;
			}
		}
		spin_unlock(&bucket->lock);
		if (!moved)
			return found;
	}
}

static void wake(struct waiter *waiter)
{
	_Atomic uint32_t *woken = &waiter->woken;

	/* Release pairs with the acquire in wait(). From here on the address is only a name. */
	atomic_store_explicit(woken, 1, memory_order_release);
	waits_wake(woken, 1);
}

static int64_t wake_matching(struct quire_mm *mm, quire_vaddr at, uint32_t most, uint32_t bits)
{
	struct bucket *bucket = bucket_of(mm, at);
	int64_t count = 0;

	spin_lock(&bucket->lock);
	for (struct waiter **link = &bucket->first; *link && count < most;) {
		struct waiter *waiter = *link;

		if (waiter->mm != mm || waiter->at != at || !(waiter->bits & bits)) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		wake(waiter);
		count++;
	}
	spin_unlock(&bucket->lock);
	return count;
}

void futex_wake_at(struct quire_mm *mm, quire_vaddr at, unsigned most)
{
	wake_matching(mm, at, most, ~0u);
}

static int64_t wait(quire_vaddr at, uint32_t value, uint64_t deadline, uint32_t bits)
{
	struct waiter waiter = { .mm = current()->process->mm, .at = at, .bits = bits };
	struct bucket *bucket = bucket_of(waiter.mm, at);
	int64_t result = 0;
	uint32_t now;

	spin_lock(&bucket->lock);
	add(bucket, &waiter);
	spin_unlock(&bucket->lock);
	quire_port_fence();
	if (copy_in(&now, at, sizeof(now)))
		result = -QUIRE_EFAULT;
	else if (now != value)
		result = -QUIRE_EAGAIN;
	while (!result && !atomic_load_explicit(&waiter.woken, memory_order_acquire)) {
		if (task_has_signal())
			result = -QUIRE_EINTR;
		else if (deadline && time_monotonic() >= deadline)
			result = -ERROR_TIMEDOUT;
		else
			task_wait(&waiter.woken, 0, deadline);
	}
	if (!result)
		return 0;
	if (leave(&waiter))
		return result;
	/* Taken out meanwhile: the waker counts us. It may not have made its mark yet. */
	while (!atomic_load_explicit(&waiter.woken, memory_order_acquire))
		quire_port_relax(here());
	return 0;
}

static int64_t requeue(quire_vaddr at, uint32_t most, quire_vaddr other, uint32_t move)
{
	struct quire_mm *mm = current()->process->mm;
	struct bucket *from = bucket_of(mm, at), *to = bucket_of(mm, other);
	struct bucket *low = from < to ? from : to, *high = from < to ? to : from;
	int64_t woken = 0, moved = 0;

	if (at == other) /* they stay where they are */
		move = 0;
	spin_lock(&low->lock);
	if (high != low)
		spin_lock(&high->lock);
	for (struct waiter **link = &from->first; *link && (woken < most || moved < move);) {
		struct waiter *waiter = *link;

		if (waiter->mm != mm || waiter->at != at) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		if (woken < most) {
			wake(waiter);
			woken++;
		} else {
			waiter->at = other;
			add(to, waiter);
			moved++;
		}
	}
	if (high != low)
		spin_unlock(&high->lock);
	spin_unlock(&low->lock);
	return woken + moved;
}

/* The time to wait until, in time_monotonic()'s terms; 0: none. */
static int deadline_of(quire_vaddr timeout, unsigned operation, uint64_t *out)
{
	int64_t time[2];

	*out = 0;
	if (!timeout)
		return 0;
	if (copy_in(time, timeout, sizeof(time)))
		return -QUIRE_EFAULT;
	if (time[0] < 0 || time[1] < 0 || time[1] >= 1000000000)
		return -QUIRE_EINVAL;
	uint64_t ns = time[0] > 1ll << 33 ? ~0ull >> 1 : (uint64_t)time[0] * 1000000000 + (uint64_t)time[1];
	if ((operation & 127) == FUTEX_WAIT)
		ns += time_monotonic();
	else if (operation & FUTEX_REALTIME)
		ns = ns > time_real() ? time_monotonic() + ns - time_real() : 1;
	*out = ns ? ns : 1;
	return 0;
}

int64_t futex_call(quire_vaddr at, unsigned operation, uint32_t value, quire_vaddr timeout, quire_vaddr other,
		   uint32_t value3)
{
	unsigned what = operation & 127;
	struct quire_mm *mm = current()->process->mm;
	uint64_t deadline;
	uint32_t now;
	int err;

	if (at % 4 || at >= QUIRE_USER_END)
		return -QUIRE_EINVAL;
	switch (what) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		err = deadline_of(timeout, operation, &deadline);
		if (err || (what == FUTEX_WAIT_BITSET && !value3))
			return err ? err : -QUIRE_EINVAL;
		return wait(at, value, deadline, what == FUTEX_WAIT ? ~0u : value3);
	case FUTEX_WAKE:
		return wake_matching(mm, at, value, ~0u);
	case FUTEX_WAKE_BITSET:
		return value3 ? wake_matching(mm, at, value, value3) : -QUIRE_EINVAL;
	case FUTEX_CMP_REQUEUE:
		if (copy_in(&now, at, sizeof(now)))
			return -QUIRE_EFAULT;
		if (now != value3)
			return -QUIRE_EAGAIN;
		return requeue(at, value, other, (uint32_t)timeout);
	case FUTEX_REQUEUE:
		return requeue(at, value, other, (uint32_t)timeout);
	default:
		return -ERROR_NOSYS;
	}
}
