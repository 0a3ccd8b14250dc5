/*
 * time.c - clocks: the time-stamp counter and the local APIC's timer, both measured against the PIT; the
 * date from the CMOS clock.
 */
#include "metal.h"

#include "x86.h"

#define PIT_HZ 1193182
#define PIT_CHANNEL_2 0x42
#define PIT_MODE 0x43
#define PIT_GATE 0x61
#define MEASURE_PER_SECOND 100

#define APIC_TIMER_START 0x380
#define APIC_TIMER_NOW 0x390
#define APIC_TIMER_DIVIDE 0x3e0

static uint64_t tsc_hz = 1000000000, tsc_start;
static uint64_t real_start; /* ns */
static uint32_t timer_count = 1000000;

uint32_t time_timer_count(void)
{
	return timer_count;
}

/* What the TSC and the timer count in 1/MEASURE_PER_SECOND s. */
static void measure(uint64_t *tsc, uint32_t *timer)
{
	volatile uint32_t *apic = direct(read_msr(MSR_APIC_BASE) & QUIRE_PAGE_MASK);
	unsigned count = PIT_HZ / MEASURE_PER_SECOND;

	out8(PIT_GATE, (uint8_t)((in8(PIT_GATE) & ~2u) | 1));
	out8(PIT_MODE, 0xb0); /* channel 2, both bytes, one shot */
	out8(PIT_CHANNEL_2, (uint8_t)count);
	out8(PIT_CHANNEL_2, (uint8_t)(count >> 8));
	apic[APIC_TIMER_DIVIDE / 4] = 3;
	apic[APIC_TIMER_START / 4] = ~0u;
	uint64_t before = read_tsc();
	while (!(in8(PIT_GATE) & 0x20))
		pause_cpu();
	*tsc = read_tsc() - before;
	*timer = ~0u - apic[APIC_TIMER_NOW / 4];
	apic[APIC_TIMER_START / 4] = 0;
}

static unsigned cmos(unsigned at)
{
	out8(0x70, (uint8_t)at);
	unsigned value = in8(0x71);

	return at == 11 ? value : (value >> 4) * 10 + (value & 15); /* BCD */
}

/* Days since 1970 of a date of this century. */
static uint64_t days(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	uint64_t since = 10957 + year * 365ull + (year + 3) / 4; /* 2000-01-01 is day 10957 */

	return since + before[(month - 1) % 12] + (month > 2 && year % 4 == 0) + day - 1;
}

void time_start(void)
{
	uint64_t least = ~0ull;

	/* Being put off makes a measurement too long, never too short. */
	for (unsigned i = 0; i < 3; i++) {
		uint64_t tsc;
		uint32_t timer;

		measure(&tsc, &timer);
		if (tsc < least) {
			least = tsc;
			timer_count = (uint32_t)((uint64_t)timer * MEASURE_PER_SECOND / TICKS_PER_SECOND);
		}
	}
	tsc_hz = least * MEASURE_PER_SECOND;
	tsc_start = read_tsc();
	real_start = (days(cmos(9), cmos(8), cmos(7)) * 86400 + cmos(4) * 3600 + cmos(2) * 60 + cmos(0)) *
		     1000000000ull;
}

uint64_t time_of_tsc(uint64_t cycles)
{
	return cycles / tsc_hz * 1000000000 + cycles % tsc_hz * 1000000000 / tsc_hz;
}

uint64_t time_monotonic(void)
{
	return time_of_tsc(read_tsc() - tsc_start);
}

uint64_t time_real(void)
{
	return real_start + time_monotonic();
}
