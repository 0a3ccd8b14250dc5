/*
 * tlb.c - what a CPU's TLB may hold of the places that the file names, for pictures.
 *
 * The machine is asked what a load of each would find now. Asked with no search under way, it makes no
 * choice and no complaint.
 */
#include "lab/check/worker/worker.h"

#include "machines/check/inside.h"

#include <stdio.h>

enum { PAGES = 64 };

static void add_outcomes(struct run *run, json_t *list, unsigned cpu, quire_vaddr va)
{
	struct machine *machine = run->machine;
	struct walk_result result;
	quire_pfn truth = 0;
	bool present;
	char text[120];

	walk_all(machine, cpu, va, QUIRE_ACCESS_READ, &result);
	walk_truth(machine, mmu_root(&machine->mmu[cpu]), va, QUIRE_ACCESS_READ, &truth, &present);
	for (unsigned i = 0; i < result.count; i++) {
		const struct outcome *outcome = &result.outcome[i];

		if (outcome->fault || outcome->now)
			continue;
		snprintf(text, sizeof(text), "%s -> frame %lu", describe_va(va), (unsigned long)outcome->pfn);
		json_array_append_new(list, json_pack("{s:s, s:b}", "text", text, "stale",
						      !present || truth != outcome->pfn));
	}
}

/* Translations that P@cpu may have cached, other than what a walk would find. */
json_t *tlb_json(struct run *run, unsigned cpu)
{
	struct engine *engine = engine_now;
	quire_vaddr page[PAGES];
	unsigned pages = described_pages(page, PAGES);
	json_t *list = json_array();

	engine_now = NULL;
	for (unsigned i = 0; i < pages && mmu_asid(&run->machine->mmu[cpu]); i++)
		add_outcomes(run, list, cpu, page[i]);
	engine_now = engine;
	return list;
}
