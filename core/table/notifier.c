/*
 * notifier.c - secondary MMUs let go before a translation changes, and hold off until it has (BASE-7).
 *
 * The owner of a secondary MMU translates without holding anything of ours, so an operation may begin and end
 * meanwhile. It finds out under its own lock, which start() takes too:
 *
 *	an operation				the owner's fault
 *	active + 1				s = seq			(acquire)
 *	start(): OWNER'S LOCK, drop		translate
 *	clear, flush				OWNER'S LOCK
 *	end()					active != 0 (acquire) or seq != s? start over
 *	seq + 1		(release)		install, unlock
 *	active - 1	(release)
 *
 * If the owner's locked part comes before start()'s, start() drops what it installed. If it comes after, it
 * sees active, or, when that has gone back already, the seq that moved before. It is not enough that seq
 * moves at the start: an owner that reads it between start and end, translates the old entry, and comes to
 * its lock after the end would find nothing changed.
 *
 * Order:   notifiers_lock is outside every other lock of table/; an operation holds it for reading from its
 *          start to its end.
 */
#include "notifier.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

static struct quire_notifier *first(struct quire_as *as)
{
	/*
	 * Relaxed: the list changes only under the write side of the lock that we hold; or it is only asked
	 * whether it is empty.
	 */
	return atomic_load_explicit(&as->notifiers, memory_order_relaxed);
}

void notifiers_start(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	rwlock_read(cpu, &as->notifiers_lock);
	for (struct quire_notifier *notifier = first(as); notifier; notifier = notifier->next) {
		/* Relaxed: start() orders it, with the owner's lock. */
		atomic_fetch_add_explicit(&notifier->active, 1, memory_order_relaxed);
		if (notifier->ops->start && QUIRE_SAFEGUARD(notifier_start))
			notifier->ops->start(notifier, cpu, start, end);
	}
}

void notifiers_end(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	for (struct quire_notifier *notifier = first(as); notifier; notifier = notifier->next) {
		if (notifier->ops->end)
			notifier->ops->end(notifier, cpu, start, end);
		/* Releases pair with the acquires of quire_notifier_seq() and _retry(), in that order. */
		atomic_fetch_add_explicit(&notifier->seq, 1, memory_order_release);
		atomic_fetch_sub_explicit(&notifier->active, 1, memory_order_release);
	}
	rwlock_read_done(*cpu, &as->notifiers_lock);
}

static void nothing(struct quire_cpu *cpu, struct quire_rcu *head)
{
	(void)cpu, (void)head;
}

/*
 * Operations that saw no notifier and did without the lock (gather_begin_untold()) end with their read-side
 * sections. Nothing is translated for a new one before that.
 */
void as_notifiers_settle(struct quire_cpu **cpu)
{
	struct quire_rcu mark = { .done = nothing };

	if (!QUIRE_SAFEGUARD(untold_grace))
		return;
	quire_port_rcu_call(*cpu, &mark);
	quire_port_rcu_barrier(cpu);
}

void as_notifier_add(struct quire_cpu **cpu, struct quire_as *as, struct quire_notifier *notifier)
{
	rwlock_write(cpu, &as->notifiers_lock);
	atomic_store_explicit(&notifier->seq, 0, memory_order_relaxed);
	atomic_store_explicit(&notifier->active, 0, memory_order_relaxed);
	notifier->next = first(as);
	atomic_store_explicit(&as->notifiers, notifier, memory_order_relaxed);
	rwlock_write_done(*cpu, &as->notifiers_lock);
}

bool as_has_notifiers(struct quire_as *as)
{
	return first(as) != NULL;
}

void as_notifier_remove(struct quire_cpu **cpu, struct quire_as *as, struct quire_notifier *notifier)
{
	rwlock_write(cpu, &as->notifiers_lock);
	struct quire_notifier *before = first(as);
	if (before == notifier) {
		atomic_store_explicit(&as->notifiers, notifier->next, memory_order_relaxed);
	} else {
		while (before && before->next != notifier)
			before = before->next;
		if (before) /* not released meanwhile */
			before->next = notifier->next;
	}
	notifier->next = NULL;
	rwlock_write_done(*cpu, &as->notifiers_lock);
}

void as_notifiers_release(struct quire_cpu **cpu, struct quire_as *as)
{
	rwlock_write(cpu, &as->notifiers_lock);
	struct quire_notifier *notifier = first(as);
	atomic_store_explicit(&as->notifiers, NULL, memory_order_relaxed);
	rwlock_write_done(*cpu, &as->notifiers_lock);
	while (notifier) {
		struct quire_notifier *next = notifier->next;
		notifier->next = NULL;
		/*
		 * For ever: an owner's fault that began before must not install what it translated, for
		 * nobody would tell it when that goes. Relaxed: as in notifiers_start().
		 */
		atomic_fetch_add_explicit(&notifier->active, 1, memory_order_relaxed);
		if (notifier->ops->release)
			notifier->ops->release(notifier, cpu); /* may free it */
		notifier = next;
	}
}

uint64_t quire_notifier_seq(struct quire_notifier *notifier)
{
	/*
	 * Acquire pairs with the release in notifiers_end(): a translation read after this is of after that
	 * operation.
	 */
	return atomic_load_explicit(&notifier->seq, memory_order_acquire);
}

bool quire_notifier_retry(struct quire_notifier *notifier, uint64_t seq)
{
	/* Acquire pairs with the last release in notifiers_end(): if the operation is over, seq has moved. */
	if (atomic_load_explicit(&notifier->active, memory_order_acquire) && QUIRE_SAFEGUARD(notifier_active))
		return true;
	return atomic_load_explicit(&notifier->seq, memory_order_relaxed) != seq &&
	       QUIRE_SAFEGUARD(notifier_seq);
}
