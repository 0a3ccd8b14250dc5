/*
 * test_litmus_format.c - litmus files: what is read from a good one, and for every kind of mistake in a bad
 * one the place and the words.
 *
 * In the bad ones a $ stands where the mistake must be reported; it is taken out before the text is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quire/abi.h>

#include "lab/check/litmus/litmus.h"

static struct litmus *good(const char *text)
{
	struct litmus_mistake mistake;
	struct litmus *litmus = litmus_parse(text, strlen(text), &mistake);

	if (!litmus)
		fail_msg("%u:%u: %s\n%s", mistake.at.line, mistake.at.column, mistake.text, text);
	return litmus;
}

static void bad(const char *marked, const char *message)
{
	struct litmus_mistake mistake;
	const char *mark = strchr(marked, '$');
	char *text = malloc(strlen(marked) + 1);
	unsigned line = 1, column = 1;

	assert_non_null(mark);
	assert_non_null(text);
	sprintf(text, "%.*s%s", (int)(mark - marked), marked, mark + 1);
	for (const char *c = marked; c < mark; c++) {
		line += *c == '\n';
		column = *c == '\n' ? 1 : column + 1;
	}

	struct litmus *litmus = litmus_parse(text, strlen(text), &mistake);

	if (litmus)
		fail_msg("read without a mistake: %s", text);
	if (mistake.at.line != line || mistake.at.column != column || strcmp(mistake.text, message) != 0)
		fail_msg("%s\nexpected %u:%u: %s\nfound    %u:%u: %s", text, line, column, message,
			 mistake.at.line, mistake.at.column, mistake.text);
	free(text);
}

/* A mistake in the initial state, in P0's block (P1 is there too), in the condition, in the comment. */
static void bad_setup(const char *marked, const char *message)
{
	char text[2000];

	snprintf(text, sizeof(text), "MM t\n{ mm A; %s }\nP0 @A { }\n", marked);
	bad(text, message);
}

static void bad_statement(const char *marked, const char *message)
{
	char text[2000];

	snprintf(text, sizeof(text),
		 "MM t\n{ mm A; mm B = fork A; file f 2 pages; x: A anon rw 2 pages; device d: A;\n"
		 "a = 0; p = 0 plain; event e; }\nP0 @A { %s }\nP1 @B lazy { }",
		 marked);
	bad(text, message);
}

static void bad_condition(const char *marked, const char *message)
{
	char text[2000];

	snprintf(
		text, sizeof(text),
		"MM t\n(* Result: Never *)\n{ mm A; mm B; x: A anon rw 1 page; file f 1 page; event e; a = 0; }\n"
		"P0 @A { L: r0 = load x; }\nexists (%s",
		marked);
	bad(text, message);
}

static void bad_header(const char *marked, const char *message)
{
	char text[2000];

	snprintf(text, sizeof(text), "MM t\n(* %s *)\n{ mm A; }\nP0 @A { }\n", marked);
	bad(text, message);
}

/* ---- what is read -------------------------------------------------------------------------------------- */

static void chk_2_header(void **state)
{
	struct litmus *l = good(
		"MM SB+mfence-2\n"
		"(* Prose with a colon inside a line is prose, see:\n"
		"   so is this.\n"
		" * Result: Sometimes\n"
		"   Rule: BASE-3, CHK-5\n"
		"   Shows: CVE-2018-18281 (mremap)\n"
		"   Safeguard: munmap-flush,other\n"
		"   Budget: 10 s, 5000 executions\n"
		"   Bound: 3\n   Model: weak\n   Geometry: four\n"
		"   Options: rcu, shared-pool, several-tlbs, fault-around, writers-wait, frames 30, walkers 1 *)\n"
		"{ } P0 @none { } exists (true)");
	const struct litmus_header *h = &l->header;

	(void)state;
	assert_string_equal(l->name, "SB+mfence-2");
	assert_int_equal(h->result, LITMUS_SOMETIMES);
	assert_int_equal(h->rule_count, 2);
	assert_string_equal(h->rules[1], "CHK-5");
	assert_string_equal(h->shows, "CVE-2018-18281 (mremap)");
	assert_int_equal(h->safeguard_count, 2);
	assert_string_equal(h->safeguards[1], "other");
	assert_true(h->seconds > 9.5 && h->seconds < 10.5);
	assert_int_equal(h->executions, 5000);
	assert_int_equal(h->bound, 3);
	assert_int_equal(h->model, LITMUS_WEAK);
	assert_string_equal(h->geometry->name, "four");
	assert_true(h->rcu && h->shared_pool && h->several_tlbs && h->fault_around && h->writers_wait);
	assert_int_equal(h->frames, 30);
	assert_int_equal(h->walkers, 1);
	litmus_free(l);
}

static void chk_2_set_up_by_cpu(void **state)
{
	struct litmus *l = good("MM t { mm A; @A { } @A P1 { munmap(heap); } } P0 @A { } P1 @A { }");

	(void)state;
	assert_int_equal(l->setup->next->cpu, 0);
	assert_int_equal(l->setup->next->next->cpu, 1);
	litmus_free(l);
}

static void chk_2_defaults(void **state)
{
	struct litmus *l = good("MM t { mm A; } P0 @A { }");

	(void)state;
	assert_int_equal(l->header.result, LITMUS_NEVER);
	assert_int_equal(l->header.model, LITMUS_TSO);
	assert_string_equal(l->header.geometry->name, "mini");
	assert_int_equal(l->header.bound, -1);
	assert_null(l->condition);
	litmus_free(l);
	l = good("MM t { mm A; } P0 @A { } forall (true)");
	assert_int_equal(l->header.result, LITMUS_ALWAYS);
	litmus_free(l);
}

static const struct litmus_name *named(const struct litmus *l, const char *name)
{
	for (unsigned i = 0; i < l->name_count; i++)
		if (strcmp(l->names[i].name, name) == 0)
			return &l->names[i];
	fail_msg("no name %s", name);
	return NULL;
}

/* Mini: a leaf table is 8 pages, names begin at page 64, the space ends at 512. */
static void chk_2_places(void **state)
{
	struct litmus *l = good(
		"MM t { mm A; mm B = fork A; file f 20 bytes stored = 1;\n"
		"x: A anon rw 1 page = 7; y: A hole 1page; z: A file f+1 shared r 3 pages = -, read;\n"
		"u: B anon none 1 page at x; v: A anon rwx 1 page at huge; w: A anon r 2 pages;\n"
		"t: A anon r growsdown 1 page at top; s: A anon r 1 page at y+10; q: A anon r 1 page at level 2;\n"
		"n: A anon r populate locked 1 page at 40; }\nP0 @A { }");

	(void)state;
	assert_int_equal(named(l, "x")->page, 64);
	assert_int_equal(named(l, "y")->page, 65);
	assert_int_equal(named(l, "z")->page, 66);
	assert_int_equal(named(l, "u")->page, 64);
	assert_int_equal(named(l, "v")->page, 72);
	assert_int_equal(named(l, "w")->page, 73);
	assert_int_equal(named(l, "t")->page, 511);
	assert_int_equal(named(l, "s")->page, 75);
	assert_int_equal(named(l, "q")->page, 128);
	assert_int_equal(named(l, "n")->page, 104);
	assert_int_equal(named(l, "x")->contents[0].value, 7);
	assert_int_equal(named(l, "z")->contents[1].touch, TOUCHED_READ);
	assert_int_equal(named(l, "z")->mapping.file_page, 1);
	assert_int_equal(named(l, "f")->bytes, 20);
	assert_true(named(l, "f")->stored);
	assert_string_equal(l->names[named(l, "B")->mm].name, "A");
	assert_int_equal(named(l, "n")->mapping.flags, MAP_R | MAP_POPULATED | MAP_LOCKED_ONE);
	litmus_free(l);
}

static void chk_2_statements(void **state)
{
	struct litmus *l = good(
		"MM t (* c *) { mm A; x: A anon rw 2 pages; y: A hole 1 page; a = 0; }\n"
		"P0 @A { L1: r1 = munmap(x,\n1 pages); if (r1 = 0 /\\ ~fault(L1)) store x+1[3], r1 - 2 + r1;\n"
		"else { load y; } mremap(x, 1, y, 2 pages, dontunmap); mremap(x, 3 pages); madvise x, free; }\n"
		"P1 @none { r0 = load.acquire a; run @C; } P2 @A { fork(C); }");
	const struct litmus_statement *s = l->columns[0].body;

	(void)state;
	assert_string_equal(s->text, "r1 = munmap(x, 1 pages)");
	assert_int_equal(s->result, 1);
	assert_int_equal(s->range.pages, 1);
	s = s->next;
	assert_string_equal(s->text, "if (r1 = 0 /\\ ~fault(L1))");
	assert_int_equal(s->body->range.start.pages, 1);
	assert_int_equal(s->body->range.start.word, 3);
	assert_int_equal(s->body->value.coefficients[1], 2);
	assert_int_equal(s->body->value.number, -2);
	assert_int_equal(s->otherwise->op, OP_LOAD);
	s = s->next;
	assert_int_equal(s->words, WORD_FIXED | WORD_MAYMOVE | WORD_DONTUNMAP);
	assert_int_equal(s->range.pages, 1);
	assert_int_equal(s->pages, 2);
	s = s->next;
	assert_int_equal(s->words, 0);
	assert_int_equal(s->range.pages, 2);
	assert_int_equal(s->pages, 3);
	assert_int_equal(s->next->advice, QUIRE_MADV_FREE);
	s = l->columns[1].body;
	assert_int_equal(s->op, OP_WORD_LOAD);
	assert_int_equal(s->order, ORDER_ACQUIRE);
	assert_int_equal(named(l, "C")->by, 2);
	assert_int_equal(s->next->name, l->columns[2].body->name);
	litmus_free(l);
}

/* ~ before /\ before \/ */
static void chk_2_condition(void **state)
{
	struct litmus *l = good(
		"MM t (* Result: Never *) { mm A; x: A anon rw 1 page; file f 1 page; a = 0; }\n"
		"P0 @A { L: r0 = load x; }\nexists (~0:r0=7 /\\ fault(0:L)\n"
		" \\/ signal(0:L)=SIGBUS /\\ x[1] != unmapped /\\ f <= -3 /\\ a = &x+1)");
	const struct litmus_condition *c = l->condition;

	(void)state;
	assert_int_equal(c->kind, CONDITION_OR);
	assert_int_equal(c->left->kind, CONDITION_AND);
	assert_int_equal(c->left->left->kind, CONDITION_NOT);
	assert_int_equal(c->left->left->left->value.number, 7);
	c = c->right;
	assert_int_equal(c->right->kind, CONDITION_WORD);
	assert_true(c->right->value.is_address);
	assert_int_equal(c->left->right->kind, CONDITION_FILE);
	assert_int_equal(c->left->right->comparison, IS_AT_MOST);
	assert_int_equal(c->left->right->value.number, -3);
	assert_true(c->left->left->right->unmapped);
	assert_int_equal(c->left->left->left->signal, QUIRE_SIGBUS);
	assert_string_equal(l->condition_text, "exists (~0:r0=7 /\\ fault(0:L) \\/ signal(0:L)=SIGBUS /\\ "
					       "x[1] != unmapped /\\ f <= -3 /\\ a = &x+1)");
	litmus_free(l);
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

static void chk_2_mistakes_of_the_file(void **state)
{
	(void)state;
	bad("$", "expected MM, found the end of the file");
	bad("$XX t", "expected MM, found 'XX'");
	bad("MM $", "expected the name of the test, found the end of the file");
	bad("MM t\n$P0 @A {}", "expected '{' and the initial state, found 'P0'");
	bad("MM t { mm A; }$", "expected P0, found the end of the file");
	bad("MM t { mm A; } $P1 @A { }", "expected P0, found 'P1'");
	bad("MM t { mm A; } P0 $A { }", "expected '@' and an address space, or @none, found 'A'");
	bad("MM t { mm A; } P0 @A { } $exits (true)",
	    "expected P0, P1, ..., exists, forall or the end, found 'exits'");
	bad("MM t { mm A; } P0 @A { } forall (true) $P1", "expected the end of the file, found 'P1'");
	bad("MM t { mm A; } P0 @A { } P1 @A { } P2 @A { } $P3 @A { }", "more than 3 CPUs in geometry mini");
	bad("MM t $(* (* *) { }", "this comment does not end");
	bad("MM t { mm A; $? }", "a character that means nothing here: '?'");
	bad("MM t { a = $99999999999999999999; }", "this number does not fit in 64 bits");
	bad("MM t { mm A; } P0 @A { } P1 @A { fork C; } P2 @$C { }",
	    "'C' is not there at the start: use run");
	bad("$MM t { mm A; } P0 @A { } exists (true)",
	    "expected a comment with a line 'Result: Never', Sometimes or Always");
	bad("MM t (*$ Result: Never *) { } P0 @none { } forall (true)",
	    "with forall the Result can only be Always");
	bad("MM t (*$ Result: Always *) { } P0 @none { }",
	    "without a condition the Result can only be Never");
}

static void chk_2_mistakes_of_the_header(void **state)
{
	(void)state;
	bad_header("Result: $Nevver", "expected Never, Sometimes or Always, found 'Nevver'");
	bad_header("Result: Never $Never", "expected the end of the line, found 'Never'");
	bad_header("Result: Never\n  $Result: Never", "a second line 'Result:'");
	bad_header("$Resutl: Never",
		   "expected Result, Rule, Shows, Safeguard, Budget, Bound, Model, Geometry or "
		   "Options, found 'Resutl'");
	bad_header("Model: $pso", "expected sc, tso or weak, found 'pso'");
	bad_header("Geometry:$\n", "expected mini, four or full, found the end of the line");
	bad_header("Rule: BASE-3,$ \n", "expected a name, found the end of the line");
	bad_header("Rule: BASE-3 $CHK-5", "expected ',' or the end of the line, found 'CHK-5'");
	bad_header("Budget: $ten s", "expected a number, found 'ten'");
	bad_header("Budget: 10 $minutes", "expected s or executions, found 'minutes'");
	bad_header("Budget: $0 s", "a budget of nothing");
	bad_header("Bound: $-1", "expected a number of preemptions, found '-1'");
	bad_header("Bound: $99", "a bound above 64");
	bad_header(
		"Options: $rcus",
		"expected rcu, shared-pool, several-tlbs, fault-around, writers-wait, frames N or walkers N, found 'rcus'");
	bad_header("Options: frames $0", "expected a number from 1 to 4096");
	bad_header("Shows:$\n", "expected a name or a sentence, found the end of the line");
}

static void chk_2_mistakes_of_the_setup(void **state)
{
	(void)state;
	bad_setup("@A $P1 { }", "P1 is to set up, and has no column");
	bad_setup("$; ", "expected mm, file, device, event, @ or a name, found ';'");
	bad_setup("mm $A;", "'A' is an address space already (line 2)");
	bad_setup("mm $r1;", "'r1' cannot be a name: it means something");
	bad_setup("mm B = $A;", "expected fork, found 'A'");
	bad_setup("mm B = fork $C;", "expected an address space, but 'C' is not declared");
	bad_setup("mm $B = fork B;", "'B' cannot be its own parent");
	bad_setup("mm B $mm C;", "expected ';', found 'mm'");
	bad_setup("file f 2 $blocks;", "expected bytes, found 'blocks'");
	bad_setup("file f 1 page = 1, $2;", "contents of more than 1 page");
	bad_setup("file f 1 page = $read;", "expected a number or -, found 'read'");
	bad_setup("x $A anon;", "expected ':' or '=', found 'A'");
	bad_setup("x: $anon rw 1 page;", "expected an address space, found 'anon'");
	bad_setup("x: A $anno rw 1 page;", "expected anon, file or hole, found 'anno'");
	bad_setup("x: A anon $1 page;", "expected a protection (none, or letters of r, w, x), found '1'");
	bad_setup("x: A anon rw $rw 1 page;", "expected a number of pages, found 'rw'");
	bad_setup("x: A anon rw $0 pages;", "expected a number of pages of at least 1");
	bad_setup("x: A anon rw 1 $pig;", "expected pages, found 'pig'");
	bad_setup("x: A anon rw 1 page at $here;", "expected a place, but 'here' is not declared");
	bad_setup("x: A anon rw 1 page at level $3;", "levels are 1 to 2 in this geometry");
	bad_setup("$x: A anon rw 2 pages at 447;",
		  "'x' does not fit into the address space of geometry mini");
	bad_setup("$x: A anon rw 1 page at 999999999;",
		  "'x' does not fit into the address space of geometry mini");
	bad_setup("x: A anon rw 2 pages; $y: A anon rw 1 page at x+1;", "'y' lies over 'x'");
	bad_setup("y: A hole 1 page $= 1;", "a hole holds nothing");
	bad_setup("y: A anon rw 1 page = $x;", "expected a number, read or -, found 'x'");
	bad_setup("$y: A anon rw hint 1 page;",
		  "noreplace and hint are for the call: an initial mapping is fixed");
	bad_setup("file f 1 page; y: A file $f[2] r 1 page;", "a mapping begins with a page of the file");
	bad_setup("device d: $x;", "expected an address space, but 'x' is not declared");
	bad_setup("a = $b;", "expected a number, found 'b'");
	bad_setup("@A { $exit; }", "exit has no place in the set-up");
	bad_setup("@A { $if (r0 = 1) exec; }", "the set-up has no branches");
	bad_setup("@A { $L: exec; }", "the set-up has no labels");
}

static void chk_2_mistakes_of_statements(void **state)
{
	(void)state;
	bad_statement("$lod x;", "expected a statement, found 'lod'");
	bad_statement("r0 = $lod x;", "expected an operation, found 'lod'");
	bad_statement("load x $}", "expected ';', found '}'");
	bad_statement("load(x$;", "expected ')', found ';'");
	bad_statement("load $z;", "expected a place, but 'z' is not declared");
	bad_statement("load $f;", "expected a place, but 'f' is a file");
	bad_statement("load x[$8];", "expected a word of the page of at most 7");
	bad_statement("$r0 = store x, 1;", "store has no result");
	bad_statement("store x$;", "expected ',', found ';'");
	bad_statement("store x, $;", "expected a value, found ';'");
	bad_statement("store x, $ENOMEM;", "errors are negative: -ENOMEM");
	bad_statement("store x, &x + $&x;", "an address can be added once, and not subtracted");
	bad_statement("load $r16;", "registers are r0 to r15");
	bad_statement("$load.acquire x;", "user memory has no memory order here: only words have");
	bad_statement("$load.acquire p;", "'p' is plain: it has no memory order");
	bad_statement("load.$release a;", "a load cannot be release");
	bad_statement("load.$acq a;", "expected relaxed, acquire, release, acq_rel or seq_cst, found 'acq'");
	bad_statement("munmap$.acquire(x);", "munmap has no memory order");
	bad_statement("$load4 a;", "words are loaded and stored whole");
	bad_statement("add $p, 1;", "'p' is plain: it can be loaded and stored");
	bad_statement("mmap(x, $hole);", "expected anon or file, found 'hole'");
	bad_statement("mprotect(x, $rwz);",
		      "expected a protection (none, or letters of r, w, x), found 'rwz'");
	bad_statement("mremap(x$);", "expected ',' and a place or a new length, found ')'");
	bad_statement("madvise(x, $DONT);", "expected an advice (DONTNEED, FREE, ...), found 'DONT'");
	bad_statement("mlock(x, $now);", "expected onfault, found 'now'");
	bad_statement("msync(x, $now);", "expected sync, found 'now'");
	bad_statement("process_vm_readv(x, $x);", "expected an address space, but 'x' is a place");
	bad_statement("B.$load x;", "load is not done on an address space");
	bad_statement("run $B;", "expected '@' and an address space, found 'B'");
	bad_statement("fork $B;", "'B' is an address space already (line 2)");
	bad_statement("fork C; fork $C;", "'C' is an address space already (line 4)");
	bad_statement("run @$C; fork C;", "'C' is forked only later");
	bad_statement("if (r0 = 0) $fork C;", "fork stands in no branch: others may wait for its child");
	bad_statement("if (r0 = 0) { $idle; }",
		      "idle stands in no branch: what a CPU runs is told by the text alone");
	bad_statement("leave; $load x;", "P0 runs no user program here");
	bad_statement("leave; $munmap(x);", "which address space? say A.munmap (P0 runs none here)");
	bad_statement("leave; $leave;", "P0 runs nothing here");
	bad_statement("idle; $load x;", "P0 runs no user program here");
	bad_statement("exit; run @$A;", "P0 has put 'A' before");
	bad_statement("dload $x, x;", "expected a device, but 'x' is a place");
	bad_statement("wait $a;", "expected an event, but 'a' is a word");
	bad_statement("L: load x; $L: load x;", "a second label 'L' in P0");
	bad_statement("if (fault($L)) load x; L: load x;", "P0 has no label 'L' up to here");
	bad_statement("if ($x = 1) load x;", "expected a condition on registers or labels, found 'x'");
	bad_statement("if (r0 $5) load x;", "expected a comparison (=, !=, <, >, <=, >=), found '5'");
}

/* An event is posted once; and what a CPU runs all the time no other one may exec. */
static void chk_2_mistakes_between_columns(void **state)
{
	static const char *const right[] = {
		"event e; }\nP0 @A { if (r0 = 1) post e; else post e; }",
		"event e; }\nP0 @A { if (r0 = 1) post e; }\nP1 @A { if (r0 = 1) post e; }",
		"event e; event f; }\nP0 @A { post e; post f; }",
		"}\nP0 @A { exec; }\nP1 @A lazy { }",
		"}\nP0 @A { exec; }\nP1 @A { leave; }",
		"mm B; }\nP0 @A { exec; B.exec; }\nP1 @none { B.exec; }",
	};
	static const struct {
		const char *text, *message;
	} wrong[] = {
		{ "event e; }\nP0 @A { post e; $post e; }", "'e' is posted twice" },
		{ "event e; }\nP0 @A { if (r0 = 1) post e; $post e; }", "'e' is posted twice" },
		{ "event e; }\nP0 @A { post e; if (r0 = 1) { $post e; } }", "'e' is posted twice" },
		{ "event e; }\nP0 @A { post e; }\nP1 @A { $post e; }", "'e' is posted twice" },
		{ "}\nP0 @A { $exec; }\nP1 @A { }", "exec in A, which P1 runs as well" },
		{ "}\nP0 @A { load x; }\nP1 @none { $A.exec; }", "exec in A, which P0 runs as well" },
	};
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text), "MM t\n{ mm A; x: A hole 1 page; %s", right[i]);
		litmus_free(good(text));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "MM t\n{ mm A; x: A hole 1 page; %s", wrong[i].text);
		bad(text, wrong[i].message);
	}
}

static void chk_2_mistakes_of_conditions(void **state)
{
	(void)state;
	bad_condition("$", "expected a condition, found the end of the file");
	bad_condition("$1:r0 = 7)", "there is no P1");
	bad_condition("0:$L = 7)", "expected a register, found 'L'");
	bad_condition("0:r0 = $r1)", "expected a value without registers");
	bad_condition("fault($L))", "expected the number of a CPU, found 'L'");
	bad_condition("fault(0:$M))", "P0 has no label 'M'");
	bad_condition("signal(0:L) = $SIGILL)", "expected SIGSEGV, SIGBUS or none, found 'SIGILL'");
	bad_condition("$x = 7)", "whose memory? say A.x (there are several address spaces)");
	bad_condition("$e = 7)", "'e' is an event, which has no value");
	bad_condition("$z = 7)", "expected a condition, found 'z'");
	bad_condition("$f < unmapped)", "unmapped is compared with = or !=");
	bad_condition("a = $unmapped)", "expected a value, found 'unmapped'");
	bad_condition("true$", "expected ')', /\\ or \\/, found the end of the file");
}

static void chk_2_nesting_is_bounded(void **state)
{
	char text[600] = "MM t (* Result: Never *) { } P0 @none { } exists (";
	struct litmus_mistake mistake;

	(void)state;
	memset(text + strlen(text), '~', 400);
	assert_null(litmus_parse(text, strlen(text), &mistake));
	assert_string_equal(mistake.text, "nested more than 40 deep");
}

static void chk_2_file_that_is_not_there(void **state)
{
	struct litmus_mistake mistake;

	(void)state;
	assert_null(litmus_read("/no/such/file", &mistake));
	assert_int_equal(mistake.at.line, 0);
	assert_string_equal(mistake.text, "No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_2_header),
		cmocka_unit_test(chk_2_set_up_by_cpu),
		cmocka_unit_test(chk_2_defaults),
		cmocka_unit_test(chk_2_places),
		cmocka_unit_test(chk_2_statements),
		cmocka_unit_test(chk_2_condition),
		cmocka_unit_test(chk_2_mistakes_of_the_file),
		cmocka_unit_test(chk_2_mistakes_of_the_header),
		cmocka_unit_test(chk_2_mistakes_of_the_setup),
		cmocka_unit_test(chk_2_mistakes_of_statements),
		cmocka_unit_test(chk_2_mistakes_between_columns),
		cmocka_unit_test(chk_2_mistakes_of_conditions),
		cmocka_unit_test(chk_2_nesting_is_bounded),
		cmocka_unit_test(chk_2_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
