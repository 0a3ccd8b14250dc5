/*
 * test_lineage.c - anonymous lineages: their shapes, drawn, and walks over them.
 *
 * A scene is a line of steps on VMAs A to Z:
 *
 *	+A	A's first page (anon_prepare)		A>B	fork A, B is the child's VMA
 *	A=B	split or copy A, B is the copy		A~B	B's first page, in its neighbour A's anon_vma
 *	-A	A is unmapped
 *
 * It is drawn as the VMAs that are left, each with its chains, the newest first. Anon_vmas are a, b, c in
 * the order in which they were made; the one that new pages of the VMA belong to is a capital. So "+A A>B"
 * gives "A:A B:Ba": A has a, and B has b and its parent's a.
 */
#include "../../core/base/object.h"
#include "../../core/store/anon.h"
#include "../../machines/hosted/hosted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VMAS 26

struct scene {
	struct hosted *machine;
	const char *steps, *expected;
	struct rmap_node nodes[VMAS];
	bool live[VMAS];
	struct anon_vma *names[VMAS]; /* NULL: gone */
	unsigned named;
	char drawn[1024];
	char failed[2400];
	uint64_t objects;
	void (*body)(struct scene *s, struct quire_cpu **cpu);
};

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s", __FILE__, __LINE__, #condition); \
			return;                                                                              \
		}                                                                                            \
	} while (0)

static struct rmap_node *node_of(struct scene *s, char name)
{
	return &s->nodes[name - 'A'];
}

static struct rmap_node *fresh(struct scene *s, char name)
{
	struct rmap_node *node = node_of(s, name);

	memset(node, 0, sizeof(*node));
	rmap_node_init(node, NULL);
	node->start = 100 * QUIRE_PAGE_SIZE;
	node->end = 110 * QUIRE_PAGE_SIZE;
	node->pgoff = 100;
	s->live[name - 'A'] = true;
	return node;
}

static struct anon_vma *own(struct rmap_node *node)
{
	return atomic_load_explicit(&node->anon, memory_order_acquire);
}

static int step(struct scene *s, struct quire_cpu **cpu, const char *what)
{
	if (what[0] == '+')
		return anon_prepare(cpu, s->live[what[1] - 'A'] ? node_of(s, what[1]) : fresh(s, what[1]),
				    NULL);
	if (what[0] == '-') {
		anon_unlink(cpu, node_of(s, what[1]));
		s->live[what[1] - 'A'] = false;
		return 0;
	}
	struct rmap_node *from = s->live[what[0] - 'A'] ? node_of(s, what[0]) : fresh(s, what[0]);
	struct rmap_node *to = fresh(s, what[2]);
	if (what[1] == '>')
		return anon_fork(cpu, to, from);
	if (what[1] == '=')
		return anon_clone(cpu, to, from);
	return anon_prepare(cpu, to, own(from));
}

static char name_of(struct scene *s, struct anon_vma *anon)
{
	for (unsigned i = 0; i < s->named; i++) {
		if (s->names[i] == anon)
			return (char)('a' + i);
	}
	s->names[s->named] = anon;
	return (char)('a' + s->named++);
}

static struct anon_chain *chain_at(struct list *at)
{
	return container_of(at, struct anon_chain, same_node);
}

/* Forget the names of what is gone, whose memory may serve another. */
static void forget(struct scene *s)
{
	for (unsigned i = 0; i < s->named; i++) {
		bool found = false;
		for (unsigned v = 0; v < VMAS; v++) {
			if (!s->live[v])
				continue;
			list_for_each(at, &s->nodes[v].chains)
				found |= chain_at(at)->anon == s->names[i];
		}
		if (!found)
			s->names[i] = NULL;
	}
}

static void draw(struct scene *s)
{
	char *at = s->drawn;

	forget(s);
	for (unsigned v = 0; v < VMAS; v++) {
		if (!s->live[v])
			continue;
		at += sprintf(at, "%s%c:", at == s->drawn ? "" : " ", 'A' + v);
		unsigned chains = 0;
		list_for_each(link, &s->nodes[v].chains) {
			struct anon_vma *anon = chain_at(link)->anon;
			char name = name_of(s, anon);
			*at++ = anon == own(&s->nodes[v]) ? (char)(name - 'a' + 'A') : name;
			chains++;
		}
		if (anon_is_single(&s->nodes[v]) != (chains <= 1))
			at += sprintf(at, "(miscounted)");
	}
	*at = 0;
}

/* Each anon_vma's counts against what can be seen. */
static const char *miscounted(struct scene *s)
{
	for (unsigned i = 0; i < s->named; i++) {
		struct anon_vma *anon = s->names[i];
		uint64_t chains = 0, active = 0, children = anon && anon->root == anon ? 1 : 0;

		if (!anon)
			continue;
		for (unsigned v = 0; v < VMAS; v++) {
			if (!s->live[v])
				continue;
			active += own(&s->nodes[v]) == anon;
			list_for_each(at, &s->nodes[v].chains)
				chains += chain_at(at)->anon == anon;
		}
		for (unsigned j = 0; j < s->named; j++)
			children += s->names[j] && s->names[j] != anon && s->names[j]->parent == anon;
		if (chains != anon->chain_count)
			return "chain_count";
		if (active != anon->num_active_vmas)
			return "num_active_vmas";
		if (children != anon->num_children)
			return "num_children";
	}
	return NULL;
}

static uint64_t objects_now(struct quire_cpu **cpu)
{
	quire_port_rcu_barrier(cpu);
	return object_count((*cpu)->quire);
}

static void unmap_all(struct scene *s, struct quire_cpu **cpu)
{
	for (unsigned v = 0; v < VMAS; v++) {
		if (s->live[v])
			anon_unlink(cpu, &s->nodes[v]);
		s->live[v] = false;
	}
}

static void run_steps(struct scene *s, struct quire_cpu **cpu)
{
	for (const char *at = s->steps; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		CHECK(step(s, cpu, at) == 0);
		draw(s); /* names are given in the order of making */
		const char *wrong = miscounted(s);
		if (wrong) {
			snprintf(s->failed, sizeof(s->failed), "%s is wrong after the step at \"%s\"", wrong,
				 at);
			return;
		}
	}
	if (strcmp(s->drawn, s->expected) != 0)
		snprintf(s->failed, sizeof(s->failed), "%s gives\n  %s, expected\n  %s", s->steps, s->drawn,
			 s->expected);
}

static void run_body(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	s->objects = objects_now(cpu);
	s->body(s, cpu);
	if (s->failed[0])
		return;
	unmap_all(s, cpu);
	CHECK(objects_now(cpu) == s->objects);
}

static void scene_run(void (*body)(struct scene *s, struct quire_cpu **cpu), const char *steps,
		      const char *expected)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct hosted_config config = { .cpus = 2, .memory_bytes = 512 * QUIRE_PAGE_SIZE, .seed = 1 };

	s->body = body;
	s->steps = steps;
	s->expected = expected;
	assert_int_equal(hosted_create(&config, &s->machine), 0);
	hosted_run(s->machine, 0, run_body, s);
	if (s->failed[0])
		fail_msg("%s", s->failed); /* the machine is left as it is */
	hosted_destroy(s->machine);
	free(s);
}

static void shape(const char *steps, const char *expected)
{
	scene_run(run_steps, steps, expected);
}

/* BASE-4: a fork adds an anon_vma of the child's own below the parent's. */
static void base_4_fork_adds_one_below(void **state)
{
	(void)state;
	shape("+A", "A:A");
	shape("+A +A", "A:A");
	shape("+A A>B", "A:A B:Ba");
	shape("+A A>B B>C C>D", "A:A B:Ba C:Cba D:Dcba");
	shape("+A A>B A>C", "A:A B:Ba C:Ca");
	shape("A>B", "A: B:"); /* nothing to inherit */
}

/* BASE-1: parts of one VMA share its anon_vma, neighbours may. */
static void base_1_split_and_neighbour_share(void **state)
{
	(void)state;
	shape("+A A=B", "A:A B:A");
	shape("+A A~B", "A:A B:A");
	shape("+A A>B B=C", "A:A B:Ba C:Ba");
	shape("+A A=B A>C B>D", "A:A B:A C:Ba D:Ca");
	shape("A=B +B", "A: B:A");
	shape("+A A=B -A", "B:A");
}

/* BASE-1: a child takes over the oldest ancestor where nobody works and at most one line goes on. */
static void base_1_fork_reuses_a_free_ancestor(void **state)
{
	(void)state;
	shape("+A A>B B>C -B C>D", "A:A C:Cba D:cBa");
	shape("+A A>B B>C -B C>D D>E", "A:A C:Cba D:cBa E:Dcba");
	shape("+A A>B B>C -B C>D C>E", "A:A C:Cba D:cBa E:Dcba");
	shape("+A A>B B>C B>D -B C>E", "A:A C:Cba D:Dba E:Ecba"); /* two lines */
	shape("+A A>B B>C C>D -B -C D>E", "A:A D:Dcba E:dcBa");	  /* the oldest */
	shape("+A A>B -A B>C", "B:Ba C:Cba");			  /* a root never */
	shape("+A A>B B>C C=D -B C=E", "A:A C:Cba D:Cba E:Cba");  /* a copy never */
	shape("+A A>B B=C B>D -B D>E", "A:A C:Ba D:Cba E:Dcba");
}

/* BASE-1: a long line of forks, each parent gone by then, does not make longer and longer chains. */
static void base_1_line_of_forks_stays_short(void **state)
{
	(void)state;
	shape("+A A>B -A B>C -B C>D -C D>E -D E>F -E", "F:cBa");
}

/* BASE-4: what is unmapped leaves its trees, and an anon_vma goes with its last chain. */
static void base_4_unlink_frees(void **state)
{
	(void)state;
	shape("+A A>B -B", "A:A");
	shape("+A A>B -A", "B:Ba");
	shape("+A A>B A>C -B -A", "C:Ca");
	shape("+A -A +A", "A:B");
	shape("+A A>B B>C -C -B A>D", "A:A D:Da");
}

/*
 * Walks.
 */

struct drawn_visit {
	struct rmap_visit visit;
	struct scene *s;
	char *at;
	bool once;
};

static bool note_node(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node,
		      quire_vaddr va, uint64_t pages)
{
	struct drawn_visit *drawn = container_of(visit, struct drawn_visit, visit);

	(void)cpu;
	drawn->at += sprintf(drawn->at, "%c%u+%u ", (char)('A' + (node - drawn->s->nodes)),
			     (unsigned)((va - node->start) >> QUIRE_PAGE_SHIFT), (unsigned)pages);
	return !drawn->once;
}

/* Who is asked about the page born in @owner at @index? "A5+1 B5+1 " is A at its page 5, and B. */
static void walk(struct scene *s, struct quire_cpu **cpu, char owner, uint64_t index, int maps, bool once)
{
	struct drawn_visit visit = { .visit.node = note_node, .s = s, .at = s->drawn, .once = once };
	struct folio *folio = folio_alloc(*cpu, FOLIO_ANON, 0);

	CHECK(folio);
	s->drawn[0] = 0;
	folio->index = index;
	atomic_store_explicit(&folio->owner, own(node_of(s, owner)), memory_order_release);
	atomic_store_explicit(&folio->maps, maps, memory_order_release);
	folio_lock(cpu, folio);
	rmap_walk_folio(cpu, folio, &visit.visit);
	atomic_store_explicit(&folio->maps, 0, memory_order_release);
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
}

#define CHECK_WALK(owner, index, maps, once, expected)                                              \
	do {                                                                                        \
		walk(s, cpu, owner, index, maps, once);                                             \
		if (!s->failed[0] && strcmp(s->drawn, (expected)) != 0)                             \
			snprintf(s->failed, sizeof(s->failed), "line %d: visited %.500s", __LINE__, \
				 s->drawn);                                                         \
		if (s->failed[0])                                                                   \
			return;                                                                     \
	} while (0)

static void walk_lineage(struct scene *s, struct quire_cpu **cpu)
{
	run_steps(s, cpu);
	if (s->failed[0])
		return;
	CHECK_WALK('A', 105, 1, false, "A5+1 B5+1 C5+1 ");
	CHECK_WALK('B', 105, 1, false, "B5+1 ");
	CHECK_WALK('A', 105, 1, true, "A5+1 ");
	CHECK_WALK('A', 105, 0, false, ""); /* mapped nowhere: the owner may be gone */
	CHECK_WALK('A', 110, 1, false, "");
	struct rmap_node *b = node_of(s, 'B');
	rmap_node_move(cpu, b, b->start + 6 * QUIRE_PAGE_SIZE, b->end, 106);
	CHECK_WALK('A', 105, 1, false, "A5+1 C5+1 ");
	CHECK_WALK('A', 107, 1, false, "A7+1 C7+1 B1+1 ");
	rmap_node_detach(cpu, b);
	CHECK_WALK('A', 107, 1, false, "A7+1 C7+1 ");
	rmap_node_attach(cpu, b);
	CHECK_WALK('B', 107, 1, false, "B1+1 ");
}

/* BASE-4: a walk visits those who may map the page: who had it at a fork, not who came from elsewhere. */
static void base_4_walk_visits_the_lineage(void **state)
{
	(void)state;
	scene_run(walk_lineage, "+A A>B A>C", "A:A B:Ba C:Ca");
}

/* The last step, each of its allocations failing in turn. */
static void fail_last_step(struct scene *s, struct quire_cpu **cpu)
{
	const char *last = strrchr(s->steps, ' ') + 1;
	char before[sizeof(s->drawn)];
	char *steps = strndup(s->steps, (size_t)(last - s->steps));
	uint64_t tried = 0;
	int err;

	s->steps = steps;
	s->expected = s->drawn;
	run_steps(s, cpu);
	free(steps);
	if (s->failed[0])
		return;
	strcpy(before, s->drawn);
	do {
		hosted_fail_objects_after(s->machine, tried++);
		err = step(s, cpu, last);
		hosted_fail_objects_after(s->machine, UINT64_MAX);
		if (!err)
			break;
		CHECK(err == -QUIRE_ENOMEM);
		char changed = last[2] ? last[2] : last[1];
		CHECK(list_empty(&node_of(s, changed)->chains) && !own(node_of(s, changed)));
		s->live[changed - 'A'] = false;
		draw(s);
		CHECK(strcmp(before, s->drawn) == 0 && !miscounted(s));
	} while (err);
	CHECK(tried > 1);
}

/* BASE-6: a prepare, clone or fork that runs out of memory changes nothing. To share a lineage needs none. */
static void base_6_failed_step_changes_nothing(void **state)
{
	(void)state;
	scene_run(fail_last_step, "+A +B", NULL);
	scene_run(fail_last_step, "+A A>B B>C B=D", NULL);
	scene_run(fail_last_step, "+A A>B B>C C>D", NULL);
	scene_run(fail_last_step, "+A A>B B>C -B C>D", NULL);
}

/*
 * Two first faults at once.
 */
#define RACES 200

struct race {
	struct rmap_node nodes[RACES];
	_Atomic unsigned ready;
	_Atomic int errors;
	uint64_t objects;
};

static void race_prepare(struct quire_cpu **cpu, void *argument)
{
	struct race *race = argument;

	for (unsigned i = 0; i < RACES; i++) {
		atomic_fetch_add(&race->ready, 1);
		while (atomic_load(&race->ready) < 2 * (i + 1))
			hosted_poll(*cpu);
		if (anon_prepare(cpu, &race->nodes[i], NULL) || !own(&race->nodes[i]))
			atomic_fetch_add(&race->errors, 1);
	}
}

static void race_begin(struct quire_cpu **cpu, void *argument)
{
	struct race *race = argument;

	race->objects = objects_now(cpu);
	for (unsigned i = 0; i < RACES; i++) {
		rmap_node_init(&race->nodes[i], NULL);
		race->nodes[i].end = QUIRE_PAGE_SIZE;
	}
}

static void race_end(struct quire_cpu **cpu, void *argument)
{
	struct race *race = argument;

	for (unsigned i = 0; i < RACES; i++) {
		struct anon_vma *anon = own(&race->nodes[i]);
		bool right = anon && anon->chain_count == 1 && anon->num_active_vmas == 1 &&
			     anon_is_single(&race->nodes[i]) && list_is_single(&race->nodes[i].chains);
		if (!right)
			atomic_fetch_add(&race->errors, 1);
		anon_unlink(cpu, &race->nodes[i]);
	}
	if (objects_now(cpu) != race->objects)
		atomic_fetch_add(&race->errors, 1);
}

/* BASE-4: two threads that fault first in one VMA give it one anon_vma, and nothing is leaked. */
static void base_4_two_first_faults_make_one(void **state)
{
	struct race *race = calloc(1, sizeof(*race));
	struct hosted_config config = { .cpus = 2, .memory_bytes = 512 * QUIRE_PAGE_SIZE, .seed = 1 };
	struct hosted *machine;

	(void)state;
	assert_int_equal(hosted_create(&config, &machine), 0);
	hosted_run(machine, 0, race_begin, race);
	hosted_post(machine, 0, race_prepare, race);
	hosted_post(machine, 1, race_prepare, race);
	hosted_wait(machine);
	hosted_run(machine, 0, race_end, race);
	assert_int_equal(atomic_load(&race->errors), 0);
	hosted_destroy(machine);
	free(race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_4_fork_adds_one_below),
		cmocka_unit_test(base_1_split_and_neighbour_share),
		cmocka_unit_test(base_1_fork_reuses_a_free_ancestor),
		cmocka_unit_test(base_1_line_of_forks_stays_short),
		cmocka_unit_test(base_4_unlink_frees),
		cmocka_unit_test(base_4_walk_visits_the_lineage),
		cmocka_unit_test(base_6_failed_step_changes_nothing),
		cmocka_unit_test(base_4_two_first_faults_make_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
