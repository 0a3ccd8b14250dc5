/*
 * notifier.h - secondary MMUs: a hypervisor's nested tables, an IOMMU, a device (BASE-7).
 *
 * Whoever keeps translations of an mm outside its page tables registers a notifier. Before entries of a range
 * are changed, start() is called: from its return on until end(), the owner holds no translation of that
 * range and makes none. No frame is reused and no translation changes meaning in between.
 *
 *	the core				the secondary MMU, on its own fault
 *	start(range): drop it, refuse it	seq = quire_notifier_seq(n)
 *	clear entries, flush			quire_translate(mm, va) -> frame
 *	end(range)				lock; if (!quire_notifier_retry(n, seq)) install; unlock
 *	free the frames				otherwise once more
 *
 * start() takes the lock of the last line to drop what is installed, so that either retry sees the start or
 * start sees what was installed.
 */
#ifndef QUIRE_NOTIFIER_H
#define QUIRE_NOTIFIER_H

#include <quire/types.h>

struct quire_notifier;

struct quire_notifier_ops {
	/* Both may sleep; neither may call into the mm. */
	void (*start)(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr start,
		      quire_vaddr end);
	void (*end)(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr start,
		    quire_vaddr end);
	/*
	 * The mm is going, or exec empties it: drop everything, under the owner's lock, and make nothing
	 * new. The notifier is removed: no further call follows, and quire_notifier_retry() says true for
	 * ever, so that a fault that began before installs nothing after. The owner needs this one unless
	 * its mm can neither end nor exec while it is registered.
	 */
	void (*release)(struct quire_notifier *notifier, struct quire_cpu **cpu);
};

struct quire_notifier {
	const struct quire_notifier_ops *ops; /* fixed while registered */
	void *data;			      /* the owner's */
	/* the core's */
	struct quire_notifier *next;
	_Atomic uint64_t seq;	 /* moves at every end */
	_Atomic uint32_t active; /* starts without their end, and one when released */
};

/*
 * SLEEP. Register and remove; the caller has a reference to the mm. After the removal returns no call is
 * under way. Removing one that was released does nothing.
 */
int quire_notifier_register(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_notifier *notifier);
void quire_notifier_remove(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_notifier *notifier);

uint64_t quire_notifier_seq(struct quire_notifier *notifier);
bool quire_notifier_retry(struct quire_notifier *notifier, uint64_t seq);

/*
 * The frame behind @addr, faulted in for @access if need be. SLEEPS. 0 and *out, or -EFAULT, -ENOMEM.
 * *writable: the owner may write there too; not where a page that was asked for to be read is still clean,
 * for nobody would hear of the write. No reference is taken: the frame is the mm's for as long as the
 * notifier says nothing.
 */
int quire_translate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, unsigned access,
		    quire_pfn *out, bool *writable);

#endif
