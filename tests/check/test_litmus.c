/*
 * test_litmus.c - the classical litmus tests: what each memory model allows, and nothing else.
 *
 * Each line: the program; its outcomes under sequential consistency; what x86-TSO has more; what C11 without
 * load buffering has more than that. The set that is found, the set that is stated here and the set that the
 * axioms (axioms.c) allow must be the same three times. The names are the usual ones (Alglave, Maranget: a
 * tutorial introduction to the ARM and POWER relaxed memory models).
 */
#include "little.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/*
 * CHK-3: SB. Two stores wait in buffers. Only what is seq_cst on both sides, or locked on x86, prevents it.
 */
static void chk_3_store_buffering(void **state)
{
	(void)state;
	expect_outcomes("x=1 y | y=1 x", "01 10 11", "00", "");
	expect_outcomes("x=1 F y | y=1 F x", "01 10 11", "", "");
	expect_outcomes("x=1 F y | y=1 x", "01 10 11", "00", "");
	expect_outcomes("x=1r ya | y=1r xa", "01 10 11", "00", "");
	expect_outcomes("x=1 Fb y | y=1 Fb x", "01 10 11", "00", "");
	expect_outcomes("x=1s ys | y=1s xs", "01 10 11", "", "");
	expect_outcomes("x=1s y | y=1s x", "01 10 11", "", "00");
	expect_outcomes("x^1 y | y^1 x", "0001 0100 0101", "", "0000");
	expect_outcomes("x^1b ya | y^1b xa", "0001 0100 0101", "", "0000");
	expect_outcomes("x^1s ys | y^1s xs", "0001 0100 0101", "", "");
}

/* CHK-3: MP. A flag without what it announces (10) needs an order missing on one side. */
static void chk_3_message_passing(void **state)
{
	(void)state;
	expect_outcomes("x=1 y=1 | y x", "00 01 11", "", "10");
	expect_outcomes("x=1 y=1r | ya x", "00 01 11", "", "");
	expect_outcomes("x=1 y=1r | y x", "00 01 11", "", "10");
	expect_outcomes("x=1 y=1 | ya x", "00 01 11", "", "10");
	expect_outcomes("x=1 Fr y=1 | y Fa x", "00 01 11", "", "");
	expect_outcomes("x=1 F y=1 | y F x", "00 01 11", "", "");
	expect_outcomes("x=1 y=1r | y Fa x", "00 01 11", "", "");
	expect_outcomes("x=1 Fr y=1 | ya x", "00 01 11", "", "");
	expect_outcomes("x=1 F y=1 | y x", "00 01 11", "", "10");
	/* seq_cst accesses are no fences: what follows the store, and what precedes the load, may pass it. */
	expect_outcomes("x=1s y=1 | y xs", "00 01 11", "", "10");
}

/* CHK-3: a release sequence goes on through read-modify-writes, and through nothing else. */
static void chk_3_release_sequence(void **state)
{
	(void)state;
	expect_outcomes("x=1 y=1r | y+1 | ya x", "000 001 010 011 100 101 111 121", "", "");
	expect_outcomes("x=1 y=1r | y+1! | ya x", "00 01 10 11 21", "", "");
	expect_outcomes("x=1 y=1r y=2 | ya x", "00 01 11 21", "", "20");
	expect_outcomes("x=1 y=1r | y=2 | ya x", "00 01 11 20 21", "", "");
}

/* CHK-3: LB. Never, in any model here: C11 alone would allow 11. */
static void chk_3_load_buffering(void **state)
{
	(void)state;
	expect_outcomes("x y=1 | y x=1", "00 01 10", "", "");
	expect_outcomes("xa y=1r | ya x=1r", "00 01 10", "", "");
	expect_outcomes("x F y=1 | y F x=1", "00 01 10", "", "");
}

/* CHK-3: S. */
static void chk_3_s(void **state)
{
	(void)state;
	expect_outcomes("x=2 y=1 | y x=1; x", "0/1 0/2 1/1", "", "1/2");
	expect_outcomes("x=2 y=1r | ya x=1; x", "0/1 0/2 1/1", "", "");
	expect_outcomes("x=2 F y=1 | y F x=1; x", "0/1 0/2 1/1", "", "");
}

/* CHK-3: R. */
static void chk_3_r(void **state)
{
	(void)state;
	expect_outcomes("x=1 y=1 | y=2 x; y", "0/1 1/1 1/2", "0/2", "");
	expect_outcomes("x=1 y=1r | y=2 xa; y", "0/1 1/1 1/2", "0/2", "");
	expect_outcomes("x=1 F y=1 | y=2 F x; y", "0/1 1/1 1/2", "", "");
	expect_outcomes("x=1s y=1s | y=2s xs; y", "0/1 1/1 1/2", "", "");
}

/* CHK-3: 2+2W. A store may be placed before one that was made earlier. */
static void chk_3_2_plus_2w(void **state)
{
	(void)state;
	expect_outcomes("x=1 y=2 | y=1 x=2; xy", "/12 /21 /22", "", "/11");
	expect_outcomes("x=1r y=2r | y=1r x=2r; xy", "/12 /21 /22", "", "/11");
	expect_outcomes("x=1 Fr y=2 | y=1 Fr x=2; xy", "/12 /21 /22", "", "/11");
	expect_outcomes("x=1 F y=2 | y=1 F x=2; xy", "/12 /21 /22", "", "");
	expect_outcomes("x=1s y=2s | y=1s x=2s; xy", "/12 /21 /22", "", "");
	expect_outcomes("x=1 y=2 | y=1 z=2 | z=1 x=2; xyz", "/112 /121 /122 /211 /212 /221 /222", "", "/111");
}

/* CHK-3: IRIW. Two readers disagree about the order of two stores, unless they are fenced. */
static void chk_3_independent_reads_of_independent_writes(void **state)
{
	static const char all[] =
		"0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111";

	(void)state;
	expect_outcomes("x=1 | y=1 | x y | y x", all, "", "1010");
	expect_outcomes("x=1r | y=1r | xa ya | ya xa", all, "", "1010");
	expect_outcomes("x=1 | y=1 | x F y | y F x", all, "", "");
	expect_outcomes("x=1s | y=1s | xs ys | ys xs", all, "", "");
}

/* CHK-3: coherence. One location has one order, for all. */
static void chk_3_coherence(void **state)
{
	(void)state;
	expect_outcomes("x=1 | x x", "00 01 11", "", "");
	expect_outcomes("x=1 x=2 | x x; x", "00/2 01/2 02/2 11/2 12/2 22/2", "", "");
	expect_outcomes("x=1 x | x=2; x", "1/1 1/2 2/2", "", "");
	expect_outcomes("x=1 | x x=2; x", "0/1 0/2 1/2", "", "");
	expect_outcomes("x=1 | x=2 | x x", "00 01 02 11 12 21 22", "", "");
	expect_outcomes("x=1 | x x=2 | x x; x",
			"000/1 000/2 001/1 001/2 002/1 002/2 011/1 011/2 012/2 021/1 022/1 022/2 "
			"100/2 101/2 102/2 111/2 112/2 122/2",
			"", "");
}

/* CHK-3: WRC. What P1 saw before its release, P2 sees after its acquire. */
static void chk_3_write_to_read_causality(void **state)
{
	static const char all[] = "000 001 010 011 100 101 111";

	(void)state;
	expect_outcomes("x=1 | x y=1 | y x", all, "", "110");
	expect_outcomes("x=1 | x y=1r | ya x", all, "", "");
	expect_outcomes("x=1r | xa y=1r | ya xa", all, "", "");
	expect_outcomes("x=1 | x F y=1 | y F x", all, "", "");
	expect_outcomes("x=1 | xa y=1 | ya x", all, "", "110");
}

/* CHK-3: ISA2. A chain of messages is as weak as its weakest. */
static void chk_3_isa2(void **state)
{
	static const char all[] = "000 001 010 011 100 101 111";

	(void)state;
	expect_outcomes("x=1 y=1 | y z=1 | z x", all, "", "110");
	expect_outcomes("x=1 y=1r | ya z=1r | za x", all, "", "");
	expect_outcomes("x=1 F y=1 | y z=1 | z F x", all, "", "110");
	expect_outcomes("x=1 F y=1 | y F z=1 | z F x", all, "", "");
}

/* CHK-3: RWC and W+RWC. */
static void chk_3_read_to_write_causality(void **state)
{
	static const char all[] = "000 001 010 011 101 110 111";

	(void)state;
	expect_outcomes("x=1 | x y | y=1 x", all, "100", "");
	expect_outcomes("x=1r | xa ya | y=1r xa", all, "100", "");
	expect_outcomes("x=1 | x F y | y=1 F x", all, "", "");
	expect_outcomes("x=1s | xs ys | y=1s xs", all, "", "");
	expect_outcomes("x=1 y=1 | y z | z=1 x", all, "100", "");
	expect_outcomes("x=1 y=1r | ya F z | z=1 F x", all, "", "");
}

/* CHK-3: a read-modify-write is undivided; of two compare_exchanges one wins. */
static void chk_3_read_modify_write(void **state)
{
	(void)state;
	expect_outcomes("x+1 | x+1; x", "01/2 10/2", "", "");
	expect_outcomes("x+1! | x+1!; x", "/2", "", "");
	expect_outcomes("x?0:1 | x?0:2; x", "01/1 20/2", "", "");
	expect_outcomes("x^1 | x^2 | x; x", "010/2 011/2 012/2 200/1 201/1 202/1", "", "");
	expect_outcomes("x?0:1 y | y?0:1 x", "0001 0100 0101", "", "0000");
	expect_outcomes("x+1 | x=5; x", "0/5 5/6", "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_3_store_buffering),
		cmocka_unit_test(chk_3_message_passing),
		cmocka_unit_test(chk_3_release_sequence),
		cmocka_unit_test(chk_3_load_buffering),
		cmocka_unit_test(chk_3_s),
		cmocka_unit_test(chk_3_r),
		cmocka_unit_test(chk_3_2_plus_2w),
		cmocka_unit_test(chk_3_independent_reads_of_independent_writes),
		cmocka_unit_test(chk_3_coherence),
		cmocka_unit_test(chk_3_write_to_read_causality),
		cmocka_unit_test(chk_3_isa2),
		cmocka_unit_test(chk_3_read_to_write_causality),
		cmocka_unit_test(chk_3_read_modify_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
