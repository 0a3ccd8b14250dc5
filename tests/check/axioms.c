/*
 * axioms.c - the memory models once more, as axioms over whole executions: what machines/check/ is compared
 * with.
 *
 * Nothing is run here. Every way to let each read read from a write of its location (or from the beginning),
 * and every order of the writes of each location, is a candidate; the model's axioms throw out most. Small
 * programs only: it is slow, and has no idea in common with the search.
 *
 *	rf	which write a read reads		mo	order of the writes of one location
 *	fr	a read before the writes behind the one it reads
 *
 *	SC	no circle of program order, rf, mo, fr
 *	TSO	no circle of rf, mo, fr and program order within a location; none of rf between threads, mo,
 *		fr and the program order without that from a plain store to a plain load
 *	WEAK	RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer, PLDI'17), with C++20's release sequences (of
 *		read-modify-writes alone) and C++20's order of seq_cst (also along reads-from): no circle of
 *		happens-before and coherence; read-modify-writes undivided; psc without circle; no circle of
 *		program order and rf (load buffering)
 *
 * A relation is a row of bits for each event.
 */
#include "little.h"

#include <stdio.h>
#include <string.h>

enum { EVENTS = 16, INITIAL = EVENTS };

typedef uint32_t relation[EVENTS];

struct event {
	const struct little_op *op;
	unsigned thread, index; /* among the thread's */
	bool reads, writes, is_fence;
	unsigned read, written; /* values */
};

struct candidate {
	const struct little *program;
	enum memory_model model;
	struct outcomes *outcomes;
	struct event event[EVENTS];
	unsigned events;
	unsigned from[EVENTS];	/* INITIAL: what was there first */
	unsigned place[EVENTS]; /* of a write in its location's order */
	unsigned writes[LITTLE_LOCATIONS];
	uint64_t executions; /* allowed */
};

/* ---- relations ----------------------------------------------------------------------------------------- */

static void closure(unsigned n, relation r)
{
	for (unsigned k = 0; k < n; k++)
		for (unsigned i = 0; i < n; i++)
			if (r[i] >> k & 1)
				r[i] |= r[k];
}

static bool has_circle(unsigned n, const relation r)
{
	relation all;

	memcpy(all, r, sizeof(all));
	closure(n, all);
	for (unsigned i = 0; i < n; i++)
		if (all[i] >> i & 1)
			return true;
	return false;
}

static void compose(unsigned n, relation out, const relation a, const relation b)
{
	relation result = { 0 };

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			if (a[i] >> k & 1)
				result[i] |= b[k];
	memcpy(out, result, sizeof(result));
}

static void unite(unsigned n, relation out, const relation a)
{
	for (unsigned i = 0; i < n; i++)
		out[i] |= a[i];
}

/* Only pairs from a member of @from to one of @to. */
static void restrict_to(unsigned n, relation out, const relation a, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = from >> i & 1 ? a[i] & to : 0;
}

static void identity(unsigned n, relation out, uint32_t of)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = of & 1u << i;
}

static bool same_location(const struct candidate *c, unsigned a, unsigned b)
{
	return !c->event[a].is_fence && !c->event[b].is_fence &&
	       c->event[a].op->location == c->event[b].op->location;
}

struct base {
	relation po, po_location, rf, mo, fr, eco;
};

static void compute_base(const struct candidate *c, struct base *b)
{
	unsigned n = c->events;

	memset(b, 0, sizeof(*b));
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < n; k++) {
			const struct event *e = &c->event[i], *f = &c->event[k];
			bool same = same_location(c, i, k);

			if (e->thread == f->thread && e->index < f->index) {
				b->po[i] |= 1u << k;
				b->po_location[i] |= same ? 1u << k : 0;
			}
			if (f->reads && c->from[k] == i)
				b->rf[i] |= 1u << k;
			if (same && e->writes && f->writes && c->place[i] < c->place[k])
				b->mo[i] |= 1u << k;
			if (same && e->reads && f->writes && i != k &&
			    (c->from[i] == INITIAL || c->place[c->from[i]] < c->place[k]))
				b->fr[i] |= 1u << k;
		}
	}
	memcpy(b->eco, b->rf, sizeof(b->eco));
	unite(n, b->eco, b->mo);
	unite(n, b->eco, b->fr);
	closure(n, b->eco);
}

/* ---- the models ---------------------------------------------------------------------------------------- */

static bool is_undivided(const struct candidate *c)
{
	for (unsigned i = 0; i < c->events; i++) {
		if (!c->event[i].reads || !c->event[i].writes)
			continue;
		unsigned before = c->from[i] == INITIAL ? 0 : c->place[c->from[i]] + 1;
		if (c->place[i] != before)
			return false;
	}
	return true;
}

static bool allows_sc(const struct candidate *c, const struct base *b)
{
	relation all;

	memcpy(all, b->po, sizeof(all));
	unite(c->events, all, b->eco);
	return !has_circle(c->events, all);
}

/* A locked instruction, or what compilers make one of. */
static bool is_locked(const struct event *e)
{
	return e->op->kind >= LITTLE_ADD || (e->op->kind == LITTLE_STORE && e->op->order == MO_SEQ_CST);
}

static bool allows_tso(const struct candidate *c, const struct base *b)
{
	relation all;
	unsigned n = c->events;

	memcpy(all, b->po_location, sizeof(all));
	unite(n, all, b->eco);
	if (has_circle(n, all))
		return false;
	memcpy(all, b->mo, sizeof(all));
	unite(n, all, b->fr);
	for (unsigned i = 0; i < n; i++) {
		const struct event *e = &c->event[i];

		if (e->is_fence && e->op->order != MO_SEQ_CST)
			continue;
		for (unsigned k = 0; k < n; k++) {
			const struct event *f = &c->event[k];
			bool is_free = (e->op->kind == LITTLE_STORE && !is_locked(e) &&
					f->op->kind == LITTLE_LOAD) ||
				       (f->is_fence && f->op->order != MO_SEQ_CST);

			if (b->po[i] >> k & 1 && !is_free)
				all[i] |= 1u << k;
			if (b->rf[i] >> k & 1 && e->thread != f->thread)
				all[i] |= 1u << k;
		}
	}
	return !has_circle(n, all);
}

struct kinds {
	uint32_t all, writes, reads, fences, release, acquire, sc;
};

static struct kinds kinds_of(const struct candidate *c)
{
	struct kinds kinds = { 0 };

	for (unsigned i = 0; i < c->events; i++) {
		const struct event *e = &c->event[i];
		int order = e->op->order;

		/* A compare_exchange that fails has only the acquiring half of its order. */
		if (e->op->kind == LITTLE_COMPARE && !e->writes && order != MO_SEQ_CST && order != MO_ACQUIRE)
			order = MO_RELAXED;
		kinds.all |= 1u << i;
		kinds.writes |= (uint32_t)e->writes << i;
		kinds.reads |= (uint32_t)e->reads << i;
		kinds.fences |= (uint32_t)e->is_fence << i;
		if ((e->writes || e->is_fence) && order >= MO_RELEASE)
			kinds.release |= 1u << i;
		if ((e->reads || e->is_fence) && (order == MO_ACQUIRE || order >= MO_ACQ_REL))
			kinds.acquire |= 1u << i;
		kinds.sc |= (uint32_t)(order == MO_SEQ_CST) << i;
	}
	return kinds;
}

/* hb = (po U sw)+, sw = [release] ([F] po)? rs rf (po [F])? [acquire], rs = [W] (rf [rmw])* */
static void happens_before(const struct candidate *c, const struct base *b, const struct kinds *k,
			   relation hb)
{
	unsigned n = c->events;
	relation rs = { 0 }, sw = { 0 }, step = { 0 }, part = { 0 };

	restrict_to(n, rs, b->rf, k->all, k->reads & k->writes);
	closure(n, rs);
	identity(n, step, k->writes);
	unite(n, rs, step);
	identity(n, sw, k->release & k->writes);
	restrict_to(n, step, b->po, k->release & k->fences, k->writes);
	unite(n, sw, step);
	compose(n, sw, sw, rs);
	compose(n, sw, sw, b->rf);
	restrict_to(n, part, sw, k->all, k->acquire);
	restrict_to(n, step, b->po, k->reads, k->acquire & k->fences);
	compose(n, sw, sw, step);
	unite(n, sw, part);
	memcpy(hb, b->po, sizeof(relation));
	unite(n, hb, sw);
	closure(n, hb);
}

/*
 * psc: what the order of seq_cst must respect.
 *
 *	scb = po U po|other hb po|other U hb|same U (rf U mo U fr)+
 *	psc = ([E] U [F] hb?) scb ([E] U hb? [F])  U  [F] (hb U hb eco hb) [F]		E, F: seq_cst
 */
static bool has_sc_order(const struct candidate *c, const struct base *b, const struct kinds *k,
			 const relation hb)
{
	unsigned n = c->events;
	relation scb, other = { 0 }, step, left = { 0 }, right = { 0 }, psc, strong;

	for (unsigned i = 0; i < n; i++)
		other[i] = b->po[i] & ~b->po_location[i];
	compose(n, scb, other, hb);
	compose(n, scb, scb, other);
	unite(n, scb, b->po);
	for (unsigned i = 0; i < n; i++)
		for (unsigned m = 0; m < n; m++)
			if (hb[i] >> m & 1 && same_location(c, i, m))
				scb[i] |= 1u << m;
	unite(n, scb, b->eco);
	restrict_to(n, left, hb, k->sc & k->fences, k->all);
	identity(n, step, k->sc);
	unite(n, left, step);
	restrict_to(n, right, hb, k->all, k->sc & k->fences);
	unite(n, right, step);
	compose(n, psc, left, scb);
	compose(n, psc, psc, right);
	compose(n, strong, hb, b->eco);
	compose(n, strong, strong, hb);
	unite(n, strong, hb);
	restrict_to(n, step, strong, k->sc & k->fences, k->sc & k->fences);
	unite(n, psc, step);
	restrict_to(n, psc, psc, k->sc, k->sc);
	return !has_circle(n, psc);
}

static bool allows_weak(const struct candidate *c, const struct base *b)
{
	struct kinds k = kinds_of(c);
	unsigned n = c->events;
	relation hb, circle;

	happens_before(c, b, &k, hb);
	compose(n, circle, hb, b->eco);
	for (unsigned i = 0; i < n; i++)
		if ((circle[i] | hb[i]) >> i & 1)
			return false;
	return has_sc_order(c, b, &k, hb);
}

/* ---- candidates ---------------------------------------------------------------------------------------- */

static void add_outcome(struct candidate *c)
{
	char text[LITTLE_TEXT] = "";
	unsigned used = 0;

	for (unsigned i = 0; i < c->events; i++)
		if (c->event[i].reads && c->event[i].op->kind != LITTLE_COUNT)
			text[used++] = (char)('0' + c->event[i].read);
	if (*c->program->last)
		text[used++] = '/';
	for (const char *at = c->program->last; *at; at++) {
		unsigned value = 0;

		for (unsigned i = 0; i < c->events; i++)
			if (c->event[i].writes && c->event[i].op->location == (unsigned)(*at - 'u') &&
			    c->place[i] + 1 == c->writes[*at - 'u'])
				value = c->event[i].written;
		text[used++] = (char)('0' + value);
	}
	outcomes_add(c->outcomes, text);
	c->executions++;
}

static void check(struct candidate *c)
{
	struct base b;

	if (!is_undivided(c))
		return;
	compute_base(c, &b);
	if (c->model == MEMORY_SC    ? allows_sc(c, &b)
	    : c->model == MEMORY_TSO ? allows_tso(c, &b)
				     : allows_weak(c, &b))
		add_outcome(c);
}

/* Give write @i a place in its location's order, and go on with the next. */
static void place_writes(struct candidate *c, unsigned i)
{
	if (i == c->events) {
		check(c);
		return;
	}
	if (!c->event[i].writes) {
		place_writes(c, i + 1);
		return;
	}
	unsigned location = c->event[i].op->location, before = c->writes[location]++;
	for (unsigned place = 0; place <= before; place++) {
		for (unsigned k = 0; k < i; k++)
			if (c->event[k].writes && c->event[k].op->location == location &&
			    c->place[k] >= place)
				c->place[k]++;
		c->place[i] = place;
		place_writes(c, i + 1);
		for (unsigned k = 0; k < i; k++)
			if (c->event[k].writes && c->event[k].op->location == location && c->place[k] > place)
				c->place[k]--;
	}
	c->writes[location]--;
}

static unsigned written_by(const struct little_op *op, unsigned old)
{
	return op->kind == LITTLE_ADD || op->kind == LITTLE_COUNT ? old + op->value : op->value;
}

/*
 * Values follow from who reads what, along program order and rf; false: a circle, or a read from a non-write.
 */
static bool evaluate(struct candidate *c)
{
	uint32_t done = 0, all = (1u << c->events) - 1;

	for (unsigned round = 0; round < c->events && done != all; round++) {
		for (unsigned i = 0; i < c->events; i++) {
			struct event *e = &c->event[i];
			bool is_ready = !(done >> i & 1) && (!e->index || (done >> (i - 1) & 1)) &&
					(!e->reads || c->from[i] == INITIAL || (done >> c->from[i] & 1));

			if (!is_ready)
				continue;
			if (e->reads)
				e->read = c->from[i] == INITIAL ? 0 : c->event[c->from[i]].written;
			if (e->op->kind == LITTLE_COMPARE)
				e->writes = e->read == e->op->expected;
			e->written = written_by(e->op, e->read);
			done |= 1u << i;
		}
	}
	for (unsigned i = 0; i < c->events; i++)
		if (c->event[i].reads && c->from[i] != INITIAL && !c->event[c->from[i]].writes)
			return false;
	return done == all;
}

static void choose_reads(struct candidate *c, unsigned i)
{
	if (i == c->events) {
		if (evaluate(c))
			place_writes(c, 0);
		return;
	}
	if (!c->event[i].reads) {
		choose_reads(c, i + 1);
		return;
	}
	c->from[i] = INITIAL;
	choose_reads(c, i + 1);
	for (unsigned k = 0; k < c->events; k++) {
		const struct event *e = &c->event[k];

		if (k == i || e->is_fence || e->op->kind == LITTLE_LOAD || !same_location(c, i, k))
			continue;
		c->from[i] = k;
		choose_reads(c, i + 1);
	}
}

uint64_t axioms_outcomes(const struct little *program, enum memory_model model, struct outcomes *outcomes)
{
	struct candidate c = { .program = program, .model = model, .outcomes = outcomes };

	for (unsigned t = 0; t < program->threads; t++) {
		for (unsigned i = 0; i < program->ops[t]; i++) {
			const struct little_op *op = &program->op[t][i];

			c.event[c.events++] = (struct event){
				.op = op,
				.thread = t,
				.index = i,
				.is_fence = op->kind == LITTLE_FENCE,
				.reads = op->kind != LITTLE_FENCE && op->kind != LITTLE_STORE,
				.writes = op->kind != LITTLE_FENCE && op->kind != LITTLE_LOAD,
			};
		}
	}
	choose_reads(&c, 0);
	return c.executions;
}
