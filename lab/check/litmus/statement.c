/*
 * statement.c - what a CPU does: labels, registers, `if`, and the operations, each a row of one table.
 *
 * What a CPU runs at a point of its column is known from the text alone, since run, idle, leave and exit
 * stand in no branch; so an access without a user program, or a call without an mm, is a mistake of the
 * file.
 */
#include "lab/check/litmus/parser.h"

#include <quire/abi.h>
#include <string.h>
#include <strings.h>

/* What an operation is allowed. */
enum {
	HAS_RESULT = 0x1, /* a register before it */
	ON_MM = 0x2,	  /* works on an mm: what the CPU runs, or the one before the dot */
	BY_USER = 0x4,	  /* the CPU must run a user program */
	IN_LINE = 0x8,	  /* changes what the CPU runs: not inside if */
	SCHEDULED = 0x10, /* not in the set-up */
	ORDERED = 0x20,	  /* may have .acquire and the like */
};

struct operation {
	const char *name;
	enum litmus_operation op;
	unsigned allowed;
	void (*arguments)(struct parser *p, struct litmus_statement *s);
	unsigned bytes;
	enum litmus_rmw rmw;
};

static void comma(struct parser *p)
{
	token_expect(p, ',', "','");
}

static void mention_mm(struct parser *p, int mm, struct litmus_place at)
{
	if (p->out->names[mm].by == p->column && p->column >= 0 && !(p->forked >> mm & 1))
		fail_at(p, at, "'%s' is forked only later", p->out->names[mm].name);
	if (p->exited >> mm & 1)
		fail_at(p, at, "P%d has put '%s' before", p->column, p->out->names[mm].name);
	if (p->column >= 0)
		p->out->columns[p->column].mms |= 1ul << mm;
}

static int expect_mm(struct parser *p)
{
	struct litmus_place at = p->token.at;
	int mm = name_expect(p, NAME_MM);

	mention_mm(p, mm, at);
	return mm;
}

/* ---- arguments: accesses ------------------------------------------------------------------------------- */

static void at_address(struct parser *p, struct litmus_statement *s)
{
	s->range.start = parse_address(p, NAME_REGION);
	s->range.pages = 1;
}

static void at_address_value(struct parser *p, struct litmus_statement *s)
{
	at_address(p, s);
	comma(p);
	s->value = parse_value(p);
}

/* load and store: of memory, or of a word; an order (already read) is for words only. */
static void at_memory_or_word(struct parser *p, struct litmus_statement *s)
{
	int name = name_find(p, &p->token);

	if (name >= 0 && p->out->names[name].kind == NAME_WORD) {
		if (s->bytes != 8)
			fail_at(p, s->at, "words are loaded and stored whole");
		s->op = s->op == OP_LOAD ? OP_WORD_LOAD : OP_WORD_STORE;
		s->name = name_expect(p, NAME_WORD);
	} else {
		if (name < 0 && register_of(&p->token) < 0)
			name_expect(p, NAME_REGION);
		at_address(p, s);
	}
}

static void of_load(struct parser *p, struct litmus_statement *s)
{
	at_memory_or_word(p, s);
}

static void of_store(struct parser *p, struct litmus_statement *s)
{
	at_memory_or_word(p, s);
	comma(p);
	s->value = parse_value(p);
}

static void of_word(struct parser *p, struct litmus_statement *s)
{
	struct litmus_place at = p->token.at;

	s->name = name_expect(p, NAME_WORD);
	if (p->out->names[s->name].plain)
		fail_at(p, at, "'%s' is plain: it can be loaded and stored", p->out->names[s->name].name);
}

static void of_rmw(struct parser *p, struct litmus_statement *s)
{
	of_word(p, s);
	comma(p);
	s->value = parse_value(p);
}

static void of_cas(struct parser *p, struct litmus_statement *s)
{
	of_rmw(p, s);
	comma(p);
	s->second = parse_value(p);
}

static void of_event(struct parser *p, struct litmus_statement *s)
{
	s->name = name_expect(p, NAME_EVENT);
}

/* ---- arguments: calls ---------------------------------------------------------------------------------- */

static void of_nothing(struct parser *p, struct litmus_statement *s)
{
	(void)p;
	(void)s;
}

static void of_range(struct parser *p, struct litmus_statement *s)
{
	s->range = parse_range(p, NAME_REGION);
}

static void of_mmap(struct parser *p, struct litmus_statement *s)
{
	struct litmus_place at;

	if (p->token.kind == TOKEN_NUMBER) {
		s->range.pages = parse_pages(p);
		s->words |= WORD_MAYMOVE;
	} else {
		of_range(p, s);
	}
	comma(p);
	at = p->token.at;
	s->mapping = parse_mapping(p);
	if (s->mapping.flags & MAP_HOLE)
		fail_at(p, at, "expected anon or file, found 'hole'");
	if (s->words & WORD_MAYMOVE)
		s->mapping.flags |= MAP_ANYWHERE;
}

static void of_mprotect(struct parser *p, struct litmus_statement *s)
{
	of_range(p, s);
	comma(p);
	s->mapping.flags = parse_protection(p);
}

/* x [, N] [, ADDRESS] [, N pages] [, dontunmap] [, maymove] */
static void of_mremap(struct parser *p, struct litmus_statement *s)
{
	s->range = range_of(p, parse_address(p, NAME_REGION));
	while (token_accept(p, ',')) {
		if (p->token.kind == TOKEN_NUMBER) {
			struct litmus_place at = p->token.at;
			uint64_t pages = token_expect_number(p, "a number of pages");

			if (pages > 1ul << 30)
				fail_at(p, at, "expected a number of pages of at most 2^30");
			if (is_pages(&p->token)) {
				s->pages = pages;
				s->words |= WORD_MAYMOVE << 16; /* a length was given: below */
				token_next(p);
			} else {
				s->range.pages = pages;
			}
		} else if (token_accept_word(p, "dontunmap")) {
			s->words |= WORD_DONTUNMAP;
		} else if (token_accept_word(p, "maymove")) {
			s->words |= WORD_MAYMOVE;
		} else {
			s->other = parse_address(p, NAME_REGION);
			s->words |= WORD_FIXED | WORD_MAYMOVE;
		}
	}
	if (!(s->words & (WORD_FIXED | WORD_DONTUNMAP | WORD_MAYMOVE << 16)))
		fail_expected(p, "',' and a place or a new length");
	if (!(s->words & WORD_MAYMOVE << 16))
		s->pages = s->range.pages;
	s->words &= ~(WORD_MAYMOVE << 16);
	if (s->words & WORD_DONTUNMAP)
		s->words |= WORD_MAYMOVE;
}

static const struct {
	const char *name;
	int advice;
} advices[] = {
	{ "NORMAL", QUIRE_MADV_NORMAL },
	{ "RANDOM", QUIRE_MADV_RANDOM },
	{ "SEQUENTIAL", QUIRE_MADV_SEQUENTIAL },
	{ "WILLNEED", QUIRE_MADV_WILLNEED },
	{ "DONTNEED", QUIRE_MADV_DONTNEED },
	{ "FREE", QUIRE_MADV_FREE },
	{ "REMOVE", QUIRE_MADV_REMOVE },
	{ "DONTFORK", QUIRE_MADV_DONTFORK },
	{ "DOFORK", QUIRE_MADV_DOFORK },
	{ "HUGEPAGE", QUIRE_MADV_HUGEPAGE },
	{ "NOHUGEPAGE", QUIRE_MADV_NOHUGEPAGE },
	{ "WIPEONFORK", QUIRE_MADV_WIPEONFORK },
	{ "KEEPONFORK", QUIRE_MADV_KEEPONFORK },
	{ "COLD", QUIRE_MADV_COLD },
	{ "PAGEOUT", QUIRE_MADV_PAGEOUT },
	{ "POPULATE_READ", QUIRE_MADV_POPULATE_READ },
	{ "POPULATE_WRITE", QUIRE_MADV_POPULATE_WRITE },
	{ "DONTNEED_LOCKED", QUIRE_MADV_DONTNEED_LOCKED },
	{ "COLLAPSE", QUIRE_MADV_COLLAPSE },
};

static const char *parser_join(struct parser *p, const char *first, const char *second)
{
	char *joined = parser_alloc(p, strlen(first) + strlen(second) + 1);

	return strcat(strcpy(joined, first), second);
}

static void of_madvise(struct parser *p, struct litmus_statement *s)
{
	of_range(p, s);
	comma(p);
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		if (p->token.kind == TOKEN_NAME && p->token.length == strlen(advices[i].name) &&
		    strncasecmp(p->token.start, advices[i].name, p->token.length) == 0) {
			s->advice = advices[i].advice;
			s->call = parser_join(p, "madvise ", advices[i].name);
			token_next(p);
			return;
		}
	}
	fail_expected(p, "an advice (DONTNEED, FREE, ...)");
}

static void of_mlock(struct parser *p, struct litmus_statement *s)
{
	of_range(p, s);
	if (token_accept(p, ',')) {
		token_expect_word(p, "onfault");
		s->words |= WORD_ONFAULT;
	}
}

static void of_mlockall(struct parser *p, struct litmus_statement *s)
{
	for (;;) {
		if (token_accept_word(p, "current"))
			s->words |= WORD_CURRENT;
		else if (token_accept_word(p, "future"))
			s->words |= WORD_FUTURE;
		else if (token_accept_word(p, "onfault"))
			s->words |= WORD_ONFAULT;
		else
			return;
	}
}

static void of_msync(struct parser *p, struct litmus_statement *s)
{
	of_range(p, s);
	s->words = WORD_SYNC;
	while (token_accept(p, ',')) {
		if (token_accept_word(p, "async"))
			s->words = (s->words & ~(uint32_t)WORD_SYNC) | WORD_ASYNC;
		else if (token_accept_word(p, "invalidate"))
			s->words |= WORD_INVALIDATE;
		else
			token_expect_word(p, "sync");
	}
}

static void of_fork(struct parser *p, struct litmus_statement *s)
{
	int name = name_find(p, &p->token);
	struct litmus_place at = p->token.at;

	if (p->branch)
		fail_at(p, s->at, "fork stands in no branch: others may wait for its child");
	/* Declared already, by the look ahead at all columns. */
	if (name < 0 || p->out->names[name].kind != NAME_MM || p->out->names[name].by != p->column ||
	    (p->forked >> name & 1))
		name = name_declare(p, NAME_MM, -1);
	else
		token_next(p);
	if (p->forked >> name & 1)
		fail_at(p, at, "'%s' is forked twice", p->out->names[name].name);
	p->forked |= 1ul << name;
	s->name = name;
	mention_mm(p, name, at);
}

static void of_readv(struct parser *p, struct litmus_statement *s)
{
	at_address(p, s);
	comma(p);
	s->other_mm = expect_mm(p);
	token_expect(p, '.', "'.'");
	s->other = parse_address(p, NAME_REGION);
	if (token_accept(p, ','))
		s->pages = parse_pages(p);
}

static void of_run(struct parser *p, struct litmus_statement *s)
{
	token_expect(p, '@', "'@' and an address space");
	s->name = expect_mm(p);
}

/* ---- arguments: files and devices ---------------------------------------------------------------------- */

static void at_file(struct parser *p, struct litmus_statement *s)
{
	s->range.start = parse_address(p, NAME_FILE);
	s->range.pages = 1;
	s->name = s->range.start.name;
}

static void at_file_value(struct parser *p, struct litmus_statement *s)
{
	at_file(p, s);
	comma(p);
	s->value = parse_value(p);
}

static void of_file_range(struct parser *p, struct litmus_statement *s)
{
	s->range = parse_range(p, NAME_FILE);
	s->name = s->range.start.name;
}

static void of_device(struct parser *p, struct litmus_statement *s)
{
	s->name = name_expect(p, NAME_DEVICE);
	mention_mm(p, p->out->names[s->name].mm, s->at);
}

static void of_device_address(struct parser *p, struct litmus_statement *s)
{
	of_device(p, s);
	comma(p);
	at_address(p, s);
}

static void of_translate(struct parser *p, struct litmus_statement *s)
{
	of_device_address(p, s);
	if (token_accept(p, ',')) {
		token_expect_word(p, "write");
		s->words |= WORD_WRITE;
	}
}

static void of_dstore(struct parser *p, struct litmus_statement *s)
{
	of_device_address(p, s);
	comma(p);
	s->value = parse_value(p);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static const struct operation operations[] = {
	{ "load", OP_LOAD, HAS_RESULT | BY_USER | ORDERED, of_load, 8, 0 },
	{ "load1", OP_LOAD, HAS_RESULT | BY_USER, of_load, 1, 0 },
	{ "load2", OP_LOAD, HAS_RESULT | BY_USER, of_load, 2, 0 },
	{ "load4", OP_LOAD, HAS_RESULT | BY_USER, of_load, 4, 0 },
	{ "store", OP_STORE, BY_USER | ORDERED, of_store, 8, 0 },
	{ "store1", OP_STORE, BY_USER, of_store, 1, 0 },
	{ "store2", OP_STORE, BY_USER, of_store, 2, 0 },
	{ "store4", OP_STORE, BY_USER, of_store, 4, 0 },
	{ "fetch", OP_FETCH, HAS_RESULT | BY_USER, at_address, 1, 0 },
	{ "mmap", OP_MMAP, HAS_RESULT | ON_MM, of_mmap, 0, 0 },
	{ "munmap", OP_MUNMAP, HAS_RESULT | ON_MM, of_range, 0, 0 },
	{ "mprotect", OP_MPROTECT, HAS_RESULT | ON_MM, of_mprotect, 0, 0 },
	{ "mremap", OP_MREMAP, HAS_RESULT | ON_MM, of_mremap, 0, 0 },
	{ "madvise", OP_MADVISE, HAS_RESULT | ON_MM, of_madvise, 0, 0 },
	{ "mlock", OP_MLOCK, HAS_RESULT | ON_MM, of_mlock, 0, 0 },
	{ "munlock", OP_MUNLOCK, HAS_RESULT | ON_MM, of_range, 0, 0 },
	{ "mlockall", OP_MLOCKALL, HAS_RESULT | ON_MM, of_mlockall, 0, 0 },
	{ "munlockall", OP_MUNLOCKALL, HAS_RESULT | ON_MM, of_nothing, 0, 0 },
	{ "msync", OP_MSYNC, HAS_RESULT | ON_MM, of_msync, 0, 0 },
	{ "mincore", OP_MINCORE, HAS_RESULT | ON_MM, at_address, 0, 0 },
	{ "present", OP_PRESENT, HAS_RESULT | ON_MM, at_address, 0, 0 },
	{ "brk", OP_BRK, HAS_RESULT | ON_MM, at_address, 0, 0 },
	{ "fork", OP_FORK, HAS_RESULT | ON_MM | SCHEDULED, of_fork, 0, 0 },
	{ "exec", OP_EXEC, HAS_RESULT | ON_MM, of_nothing, 0, 0 },
	{ "exit", OP_EXIT, ON_MM | IN_LINE | SCHEDULED, of_nothing, 0, 0 },
	{ "copy_from", OP_COPY_FROM, HAS_RESULT | ON_MM, at_address, 8, 0 },
	{ "copy_to", OP_COPY_TO, ON_MM, at_address_value, 8, 0 },
	{ "peek", OP_PEEK, HAS_RESULT | ON_MM, at_address, 8, 0 },
	{ "poke", OP_POKE, ON_MM, at_address_value, 8, 0 },
	{ "rmap", OP_RMAP, HAS_RESULT | ON_MM, at_address, 0, 0 },
	{ "process_vm_readv", OP_READV, HAS_RESULT | ON_MM, of_readv, 0, 0 },
	{ "process_vm_writev", OP_WRITEV, HAS_RESULT | ON_MM, of_readv, 0, 0 },
	{ "run", OP_RUN, IN_LINE | SCHEDULED, of_run, 0, 0 },
	{ "idle", OP_IDLE, BY_USER | IN_LINE | SCHEDULED, of_nothing, 0, 0 },
	{ "leave", OP_LEAVE, IN_LINE | SCHEDULED, of_nothing, 0, 0 },
	{ "write", OP_FILE_WRITE, HAS_RESULT, at_file_value, 8, 0 },
	{ "read", OP_FILE_READ, HAS_RESULT, at_file, 8, 0 },
	{ "truncate", OP_TRUNCATE, HAS_RESULT, at_file, 0, 0 },
	{ "punch", OP_PUNCH, HAS_RESULT, of_file_range, 0, 0 },
	{ "invalidate", OP_INVALIDATE, HAS_RESULT, of_file_range, 0, 0 },
	{ "sync", OP_SYNC, HAS_RESULT, of_file_range, 0, 0 },
	{ "translate", OP_TRANSLATE, HAS_RESULT, of_translate, 0, 0 },
	{ "dload", OP_DLOAD, HAS_RESULT, of_device_address, 8, 0 },
	{ "dstore", OP_DSTORE, 0, of_dstore, 8, 0 },
	{ "drop", OP_DROP, 0, of_device, 0, 0 },
	{ "unregister", OP_UNREGISTER, 0, of_device, 0, 0 },
	{ "register", OP_REGISTER, 0, of_device, 0, 0 },
	{ "add", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_ADD },
	{ "sub", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_SUB },
	{ "and", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_AND },
	{ "or", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_OR },
	{ "xor", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_XOR },
	{ "exchange", OP_RMW, HAS_RESULT | ORDERED, of_rmw, 8, RMW_IS_EXCHANGE },
	{ "cas", OP_CAS, HAS_RESULT | ORDERED, of_cas, 8, 0 },
	{ "fence", OP_FENCE, ORDERED, of_nothing, 0, 0 },
	{ "post", OP_POST, SCHEDULED, of_event, 0, 0 },
	{ "wait", OP_WAIT, SCHEDULED, of_event, 0, 0 },
	{ "lock", OP_LOCK, SCHEDULED, of_event, 0, 0 },
	{ "unlock", OP_UNLOCK, SCHEDULED, of_event, 0, 0 },
};

static const struct operation *operation_find(const struct token *token)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (token_is(token, operations[i].name))
			return &operations[i];
	return NULL;
}

/* ---- an operation -------------------------------------------------------------------------------------- */

static void parse_order(struct parser *p, const struct operation *o, struct litmus_statement *s)
{
	static const char *const names[] = { "relaxed", "acquire", "release", "acq_rel", "seq_cst" };
	unsigned order = 0;

	s->order = ORDER_SEQ_CST;
	if (p->token.kind != '.')
		return;
	if (!(o->allowed & ORDERED))
		fail_at(p, p->token.at, "%s has no memory order", o->name);
	token_next(p);
	while (order < 5 && !token_is(&p->token, names[order]))
		order++;
	if (order == 5)
		fail_expected(p, "relaxed, acquire, release, acq_rel or seq_cst");
	if ((o->op == OP_LOAD && (order == ORDER_RELEASE || order == ORDER_ACQ_REL)) ||
	    (o->op == OP_STORE && (order == ORDER_ACQUIRE || order == ORDER_ACQ_REL)))
		fail_at(p, p->token.at, "a %s cannot be %s", o->name, names[order]);
	s->order = (enum litmus_order)order;
	token_next(p);
}

/* What the operation needs and does to what the CPU runs; @ordered: an order was written. */
static void check_use(struct parser *p, const struct operation *o, struct litmus_statement *s, bool ordered)
{
	bool word = s->op == OP_WORD_LOAD || s->op == OP_WORD_STORE;

	if (word && ordered && p->out->names[s->name].plain)
		fail_at(p, s->at, "'%s' is plain: it has no memory order", p->out->names[s->name].name);
	if (!word && ordered && (s->op == OP_LOAD || s->op == OP_STORE))
		fail_at(p, s->at, "user memory has no memory order here: only words have");
	if (s->result >= 0 && !(o->allowed & HAS_RESULT))
		fail_at(p, s->at, "%s has no result", o->name);
	if (p->column < 0 && (o->allowed & SCHEDULED))
		fail_at(p, s->at, "%s has no place in the set-up", o->name);
	if (p->branch && (o->allowed & IN_LINE))
		fail_at(p, s->at, "%s stands in no branch: what a CPU runs is told by the text alone",
			o->name);
	if ((o->allowed & BY_USER) && !word && !p->running)
		fail_at(p, s->at, "P%d runs no user program here", p->column);
	if ((o->allowed & ON_MM) && s->mm < 0 && p->current < 0)
		fail_at(p, s->at, "which address space? say A.%s (P%d runs none here)", o->name, p->column);
	if (s->op == OP_LEAVE && p->current < 0)
		fail_at(p, s->at, "P%d runs nothing here", p->column);
}

/* An event is posted once. Of two branches only one is taken; other columns' are theirs to know. */
static void follow_post(struct parser *p, const struct litmus_statement *s)
{
	uint64_t event = 1ul << s->name;

	if (p->posted & event)
		fail_at(p, s->at, "'%s' is posted twice", p->out->names[s->name].name);
	p->posted |= event;
	p->certain |= p->branch ? 0 : event;
}

static void follow_exec(struct parser *p, const struct litmus_statement *s)
{
	int mm = s->mm >= 0 ? s->mm : p->current;

	if (p->column < 0 || mm < 0)
		return;
	p->exec[mm].at = s->at;
	p->exec[mm].columns |= 1u << p->column;
}

static void follow_use(struct parser *p, const struct litmus_statement *s)
{
	int gone = s->mm >= 0 ? s->mm : p->current;

	if (p->column >= 0 && (s->op == OP_RUN || s->op == OP_IDLE || s->op == OP_LEAVE ||
			       (s->op == OP_EXIT && gone == p->current)))
		p->out->columns[p->column].stays = false;
	switch (s->op) {
	case OP_POST:
		follow_post(p, s);
		break;
	case OP_EXEC:
		follow_exec(p, s);
		break;
	case OP_RUN:
		p->current = s->name;
		p->running = true;
		break;
	case OP_IDLE:
		p->running = false;
		break;
	case OP_EXIT:
		p->exited |= 1ul << gone;
		if (gone != p->current)
			break;
		/* fall through */
	case OP_LEAVE:
		p->current = -1;
		p->running = false;
		break;
	default:
		break;
	}
}

static void parse_operation(struct parser *p, struct litmus_statement *s)
{
	int name = name_find(p, &p->token);
	bool ordered;

	if (name >= 0 && p->out->names[name].kind == NAME_MM && token_peek(p).kind == '.') {
		s->mm = expect_mm(p);
		token_next(p);
	}
	const struct operation *o = operation_find(&p->token);

	if (!o)
		fail_expected(p, s->result >= 0 || s->label >= 0 ? "an operation" : "a statement");
	if (s->mm >= 0 && !(o->allowed & ON_MM))
		fail_at(p, p->token.at, "%s is not done on an address space", o->name);
	s->op = o->op;
	s->call = o->name;
	s->bytes = o->bytes;
	s->rmw = o->rmw;
	token_next(p);
	ordered = p->token.kind == '.';
	parse_order(p, o, s);

	bool open = token_accept(p, '(');

	o->arguments(p, s);
	if (open)
		token_expect(p, ')', "')'");
	check_use(p, o, s, ordered);
	follow_use(p, s);
}

/* ---- statements ---------------------------------------------------------------------------------------- */

int label_find(const struct litmus_column *column, const struct token *token)
{
	for (unsigned i = 0; i < column->label_count; i++)
		if (token_is(token, column->labels[i]))
			return (int)i;
	return -1;
}

static void parse_label(struct parser *p, struct litmus_statement *s)
{
	if (p->column < 0)
		fail_at(p, p->token.at, "the set-up has no labels");
	struct litmus_column *column = &p->out->columns[p->column];

	if (label_find(column, &p->token) >= 0)
		fail_at(p, p->token.at, "a second label '%.*s' in P%d", (int)p->token.length, p->token.start,
			p->column);
	if (column->label_count == LITMUS_LABELS)
		fail_at(p, p->token.at, "more than %d labels in P%d", LITMUS_LABELS, p->column);
	s->label = (int)column->label_count;
	column->labels[column->label_count++] = token_expect_name(p, "a label");
	token_next(p);
}

static struct litmus_statement *parse_statement(struct parser *p);

static struct litmus_statement *parse_branch(struct parser *p)
{
	if (p->token.kind == '{')
		return parse_block(p);
	return parse_statement(p);
}

static void parse_if(struct parser *p, struct litmus_statement *s, const char *start)
{
	bool outer = p->branch;

	if (p->column < 0)
		fail_at(p, s->at, "the set-up has no branches");
	s->op = OP_IF;
	token_next(p);
	token_expect(p, '(', "'('");
	s->condition = parse_condition(p, CONDITION_OF_COLUMN);
	token_expect(p, ')', "')', /\\ or \\/");
	s->text = parser_source(p, start, p->last_end);
	p->branch = true;
	uint64_t before = p->posted;
	s->body = parse_branch(p);
	uint64_t after = p->posted;
	p->posted = before;
	if (token_accept_word(p, "else"))
		s->otherwise = parse_branch(p);
	p->posted |= after;
	p->branch = outer;
}

/* rN = VALUE, or rN = an operation */
static void parse_assignment(struct parser *p, struct litmus_statement *s)
{
	s->result = (int)register_expect(p);
	token_expect(p, '=', "'='");
	if (p->token.kind == TOKEN_NAME && register_of(&p->token) < 0 && !error_number(&p->token)) {
		parse_operation(p, s);
		return;
	}
	s->op = OP_SET;
	s->value = parse_value(p);
}

static struct litmus_statement *parse_statement(struct parser *p)
{
	struct litmus_statement *s = parser_alloc(p, sizeof(*s));
	const char *start;

	parser_enter(p);
	s->label = s->result = s->mm = s->name = s->other_mm = -1;
	s->range.start.name = s->other.name = s->mapping.file = -1;
	if (p->token.kind == TOKEN_NAME && token_peek(p).kind == ':')
		parse_label(p, s);
	s->at = p->token.at;
	start = p->token.start;
	if (token_is(&p->token, "if")) {
		parse_if(p, s, start);
	} else {
		if (register_of(&p->token) >= 0)
			parse_assignment(p, s);
		else
			parse_operation(p, s);
		s->text = parser_source(p, start, p->last_end);
		token_expect(p, ';', "';'");
	}
	parser_leave(p);
	return s;
}

struct litmus_statement *parse_block(struct parser *p)
{
	struct litmus_statement *first = NULL, **last = &first;

	token_expect(p, '{', "'{'");
	while (p->token.kind != '}') {
		*last = parse_statement(p);
		last = &(*last)->next;
	}
	token_next(p);
	return first;
}
