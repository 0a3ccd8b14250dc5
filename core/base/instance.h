/*
 * instance.h - what an instance holds, each part owned and known by one layer only.
 */
#ifndef QUIRE_BASE_INSTANCE_H
#define QUIRE_BASE_INSTANCE_H

#include <quire/quire.h>

struct phys;   /* phys/: frames and their allocator */
struct tables; /* table/: the empty root, address-space ids */
struct spaces; /* space/: commit accounting */

struct quire {
	struct quire_config config;
	struct phys *phys;
	struct tables *tables;
	struct spaces *spaces;
	struct quire_cpu *_Atomic cpus[QUIRE_MAX_CPUS]; /* release at creation; each pairs with an acquire */
	_Atomic uint32_t mask_words; /* bit n: word n of a mask has, or had, a CPU; so have all below */
};

#endif
