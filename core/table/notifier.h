/*
 * notifier.h - telling secondary MMUs, for gather.c. Registration is in as.h, the owner's side in
 * <quire/notifier.h>.
 */
#ifndef QUIRE_TABLE_NOTIFIER_H
#define QUIRE_TABLE_NOTIFIER_H

#include "as.h"

/* SLEEP. Before and after an operation on [start, end); between the two no notifier comes or goes. */
void notifiers_start(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);
void notifiers_end(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);

#endif
