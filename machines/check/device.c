/*
 * device.c - secondary MMUs: a notifier, a few translations, and whoever moves data by them.
 *
 *	column (the device's own fault)		the core
 *	seq = quire_notifier_seq()		start(range): [ owner's lock: drop what is in it ]
 *	quire_translate()			clear, flush
 *	[ owner's lock: retry? install ]	end(range)
 *
 * A device loads and stores at any moment, by what it holds at that moment: a step. What it holds it may use,
 * so each must be what the tables say: the core tells the device to let go before it changes them (BASE-7).
 *
 * Rules:   BASE-7, CHK-4, CHK-5.
 */
#include "inside.h"

#include <errno.h>

enum { RETRIES = 8 };

static uintptr_t owner_lock(const struct device *device)
{
	return place(PLACE_DEVICE, device->index);
}

static uintptr_t entries_location(const struct device *device)
{
	return place(PLACE_DEVICE, device->index + 0x100);
}

static void lock(const struct device *device)
{
	must_not_sleep("a device's lock");
	lock_exclusive(STEP_DEVICE_LOCK, owner_lock(device), HELD_WRITE);
}

static void unlock(const struct device *device)
{
	unlock_exclusive(STEP_UNLOCK, owner_lock(device));
}

static void drop(struct device *device, quire_vaddr start, quire_vaddr end)
{
	unsigned kept = 0;

	lock(device);
	engine_touch(entries_location(device), TOUCH_WRITE);
	for (unsigned i = 0; i < device->count; i++)
		if (device->entry[i].va < start || device->entry[i].va >= end)
			device->entry[kept++] = device->entry[i];
	device->count = kept;
	unlock(device);
}

static void start(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr from, quire_vaddr to)
{
	(void)cpu;
	drop(notifier->data, from, to);
}

static void end(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr from, quire_vaddr to)
{
	(void)notifier;
	(void)cpu;
	(void)from;
	(void)to;
}

static void release(struct quire_notifier *notifier, struct quire_cpu **cpu)
{
	struct device *device = notifier->data;

	(void)cpu;
	drop(device, 0, UINT64_MAX);
	device->mm = NULL;
}

static const struct quire_notifier_ops ops = { start, end, release };

int devices_create(struct machine *machine)
{
	if (machine->config.devices > DEVICES)
		return -EINVAL;
	for (unsigned i = 0; i < machine->config.devices; i++) {
		struct device *device = heap_alloc(sizeof(*device), NULL);

		if (!device)
			return -ENOMEM;
		device->index = i;
		device->notifier.ops = &ops;
		device->notifier.data = device;
		machine->device[i] = device;
	}
	return 0;
}

void machine_device_open(struct machine *machine, unsigned device, struct quire_cpu **cpu,
			 struct quire_mm *mm)
{
	if (machine->device[device]->mm)
		return;
	machine->device[device]->mm = mm;
	quire_notifier_register(cpu, mm, &machine->device[device]->notifier);
}

void machine_device_close(struct machine *machine, unsigned index, struct quire_cpu **cpu)
{
	struct device *device = machine->device[index];

	if (!device->mm)
		return;
	quire_notifier_remove(cpu, device->mm, &device->notifier);
	drop(device, 0, UINT64_MAX);
	device->mm = NULL;
}

void machine_device_drop(struct machine *machine, unsigned device, struct quire_cpu **cpu)
{
	(void)cpu;
	drop(machine->device[device], 0, UINT64_MAX);
}

static struct device_entry *entry_at(struct device *device, quire_vaddr va)
{
	for (unsigned i = 0; i < device->count; i++)
		if (device->entry[i].va == (va & QUIRE_PAGE_MASK))
			return &device->entry[i];
	return NULL;
}

static void install(struct device *device, quire_vaddr va, quire_pfn pfn, bool writable)
{
	struct device_entry *entry = entry_at(device, va);

	if (!entry && device->count < DEVICE_ENTRIES)
		entry = &device->entry[device->count++];
	if (!entry)
		entry = &device->entry[0];
	*entry = (struct device_entry){ va & QUIRE_PAGE_MASK, pfn, life_of(pfn)->number, writable };
}

int machine_device_map(struct machine *machine, unsigned index, struct quire_cpu **cpu, quire_vaddr va,
		       unsigned access)
{
	struct device *device = machine->device[index];

	for (unsigned tries = 0; tries < RETRIES; tries++) {
		quire_pfn pfn;
		bool writable;

		if (!device->mm)
			return -EFAULT;
		uint64_t seq = quire_notifier_seq(&device->notifier);
		int err = quire_translate(cpu, device->mm, va, access, &pfn, &writable);
		if (err)
			return err;
		lock(device);
		engine_touch(entries_location(device), TOUCH_WRITE);
		bool again = quire_notifier_retry(&device->notifier, seq);
		if (!again)
			install(device, va, pfn, writable);
		unlock(device);
		if (!again)
			return 0;
		quire_port_relax(*cpu);
	}
	engine_abandon();
	return -EAGAIN;
}

/* ---- moving data ------------------------------------------------------------------------------------ */

static void check_entry(struct machine *machine, const struct device *device,
			const struct device_entry *entry, quire_vaddr va, unsigned access)
{
	const struct life *life = life_of(entry->pfn);
	quire_pfn root = (quire_pfn)(device->mm->as.root - machine->folios), truth = 0;
	bool present, allowed;

	if (!life->alive || life->number != entry->life)
		violation(
			"stale frame: device %u moves data at %s by frame %lu, which %s %s at step %u, and was not told "
			"to let go (BASE-7)",
			device->index, describe_va(va), (unsigned long)entry->pfn, thread_name(life->thread),
			life->alive ? "took" : "gave back", life->step);
	walk_touch(machine, root, va);
	allowed = walk_truth(machine, root, va, access, &truth, &present);
	if (!allowed || truth != entry->pfn)
		violation(
			"device %u moves data at %s by frame %lu, which the tables no longer allow, and was not told to "
			"let go (BASE-7)",
			device->index, describe_va(va), (unsigned long)entry->pfn);
}

static int move_by_device(struct machine *machine, unsigned index, quire_vaddr va, unsigned bytes,
			  uint64_t *value, unsigned access)
{
	struct device *device = machine->device[index];

	engine_at(__builtin_return_address(0), entries_location(device));
	engine_begin(access == QUIRE_ACCESS_WRITE ? STEP_DEVICE_STORE : STEP_DEVICE_LOAD,
		     access == QUIRE_ACCESS_WRITE ? is_drained : NULL, here());
	engine_touch(entries_location(device), TOUCH_READ);
	const struct device_entry *entry = device->mm ? entry_at(device, va) : NULL;
	if (!entry || (access == QUIRE_ACCESS_WRITE && !entry->writable))
		return -EFAULT;
	check_entry(machine, device, entry, va, access);
	*value = move_data(machine, va, entry->pfn, bytes, *value, access);
	return 0;
}

int machine_device_load(struct machine *machine, unsigned device, quire_vaddr va, unsigned bytes,
			uint64_t *value)
{
	*value = 0;
	return move_by_device(machine, device, va, bytes, value, QUIRE_ACCESS_READ);
}

int machine_device_store(struct machine *machine, unsigned device, quire_vaddr va, unsigned bytes,
			 uint64_t value)
{
	return move_by_device(machine, device, va, bytes, &value, QUIRE_ACCESS_WRITE);
}
