/*
 * fields.c - what stands at an address of the core's memory, as the source calls it: "quire_mm.refs of A".
 *
 * The worker reads its own debug information. What a folio or the allocator is, is known by where it stands.
 * What an object is, its allocation tells: of the functions that were under way, innermost first, the first
 * that has a variable or a result that points to a struct of just that size; failing that, a parameter,
 * which mostly was there before the object; failing that, a pointer to a struct with such a member, or to one
 * with a pointer to such.
 *
 *	object_alloc_raw  void *object		no struct (but a parameter: struct quire_cpu *cpu)
 *	vma_alloc	  struct vma *vma	of 192 bytes, as the object is: a struct vma
 *
 * So nothing has to be said here of the core's objects, nor there for us. Where it is not enough, an object
 * is one "of N bytes allocated in F". Of a union every member that covers the place is named, but for a
 * folio's, whose kind (when the execution has ended) says which one counts.
 */
#include "lab/check/worker/worker.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS = 512, DEPTH = 12, DEEPEST = 2 };

static struct {
	Dwarf *dwarf;
	bool is_open; /* or was tried to be */
	Dwarf_Die unit[UNITS];
	size_t count;
} debug;

static void open_debug(void)
{
	Dwarf_Off at = 0, next;
	size_t head;
	int file = debug.is_open ? -1 : open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	debug.is_open = true;
	if (file >= 0)
		debug.dwarf = dwarf_begin(file, DWARF_C_READ);
	for (; debug.dwarf && debug.count < UNITS &&
	       dwarf_nextcu(debug.dwarf, at, &next, &head, NULL, NULL, NULL) == 0;
	     at = next)
		if (dwarf_offdie(debug.dwarf, at + head, &debug.unit[debug.count]))
			debug.count++;
}

/* ---- types --------------------------------------------------------------------------------------------- */

/* That of a variable, member, function or array, without typedefs and qualifiers. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *out)
{
	Dwarf_Attribute attribute;
	Dwarf_Die type;

	return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &type) &&
	       dwarf_peel_type(&type, out) == 0;
}

static bool is_struct(Dwarf_Die *type)
{
	return dwarf_tag(type) == DW_TAG_structure_type;
}

/* The struct that a variable points to. */
static bool struct_of(Dwarf_Die *die, Dwarf_Die *out)
{
	Dwarf_Die pointer;

	return type_of(die, &pointer) && dwarf_tag(&pointer) == DW_TAG_pointer_type &&
	       type_of(&pointer, out) && is_struct(out);
}

static size_t bytes_of(Dwarf_Die *type)
{
	Dwarf_Word bytes;

	return dwarf_aggregate_size(type, &bytes) == 0 ? bytes : 0;
}

static bool find_struct(const char *name, Dwarf_Die *out)
{
	for (size_t i = 0; i < debug.count; i++) {
		int more = dwarf_child(&debug.unit[i], out);

		for (; more == 0; more = dwarf_siblingof(out, out))
			if (is_struct(out) && dwarf_diename(out) && strcmp(dwarf_diename(out), name) == 0 &&
			    bytes_of(out))
				return true;
	}
	return false;
}

/* ---- what an object is --------------------------------------------------------------------------------- */

struct search {
	size_t bytes;
	bool parameters; /* or variables and results */
	unsigned deep;	 /* 0: what a variable points to; 1: what a member of that does; and so on */
	unsigned found;	 /* kinds of structs */
	Dwarf_Die type;	 /* the first */
};

static void take(struct search *search, Dwarf_Die *die)
{
	Dwarf_Die type;

	if (!struct_of(die, &type) || bytes_of(&type) != search->bytes || !dwarf_diename(&type))
		return;
	if (search->found && strcmp(dwarf_diename(&type), dwarf_diename(&search->type)) == 0)
		return;
	search->type = type;
	search->found++;
}

static void look_at(struct search *search, Dwarf_Die *die, unsigned deep)
{
	Dwarf_Die type, member;

	if (!deep) {
		take(search, die);
		return;
	}
	int more = struct_of(die, &type) ? dwarf_child(&type, &member) : 1;
	for (; more == 0; more = dwarf_siblingof(&member, &member))
		look_at(search, &member, deep - 1);
}

static void look_at_variables(struct search *search, Dwarf_Die *scope)
{
	int wanted = search->parameters ? DW_TAG_formal_parameter : DW_TAG_variable;
	Dwarf_Die child;

	for (int more = dwarf_child(scope, &child); more == 0; more = dwarf_siblingof(&child, &child))
		if (dwarf_tag(&child) == wanted)
			look_at(search, &child, search->deep);
}

static bool is_function(Dwarf_Die *scope)
{
	return dwarf_tag(scope) == DW_TAG_subprogram || dwarf_tag(scope) == DW_TAG_inlined_subroutine;
}

static void look_at_scope(struct search *search, Dwarf_Die *scope)
{
	Dwarf_Attribute attribute;
	Dwarf_Die origin;

	look_at_variables(search, scope);
	/* A variable that was optimised away stands in what was inlined only. */
	if (dwarf_attr(scope, DW_AT_abstract_origin, &attribute) && dwarf_formref_die(&attribute, &origin))
		look_at_variables(search, &origin);
	if (is_function(scope) && !search->parameters)
		look_at(search, scope, search->deep);
}

/* Blocks and functions around @code, innermost first. To be freed. */
static int scopes_at(const void *code, Dwarf_Die **scopes)
{
	uintptr_t pc = (uintptr_t)code - 1; /* the call, not what it returns to */

	for (size_t i = 0; i < debug.count; i++)
		if (dwarf_haspc(&debug.unit[i], pc) == 1)
			return dwarf_getscopes(&debug.unit[i], pc, scopes);
	return 0;
}

static bool find_type_in(const struct machine_spot *spot, unsigned deep, bool parameters, Dwarf_Die *out)
{
	struct search search = { .bytes = spot->bytes, .deep = deep, .parameters = parameters };

	for (unsigned i = 0; i < spot->code_count && !search.found; i++) {
		Dwarf_Die *scopes = NULL;
		int count = scopes_at(spot->code[i], &scopes);

		for (int k = 0; k < count && !search.found; k++)
			look_at_scope(&search, &scopes[k]);
		if (count > 0)
			free(scopes);
	}
	*out = search.type;
	return search.found == 1;
}

static bool find_type(const struct machine_spot *spot, Dwarf_Die *out)
{
	for (unsigned deep = 0; deep <= DEEPEST; deep++)
		if (find_type_in(spot, deep, false, out) || find_type_in(spot, deep, true, out))
			return true;
	return false;
}

/* The innermost that does not only pass memory on. */
static const char *allocator_of(const struct machine_spot *spot)
{
	const char *name = NULL;

	for (unsigned i = 0; i < spot->code_count && !name; i++) {
		Dwarf_Die *scopes = NULL, type, pointee;
		int count = scopes_at(spot->code[i], &scopes);

		for (int k = 0; k < count && !name; k++)
			if (is_function(&scopes[k]) &&
			    !(type_of(&scopes[k], &type) && dwarf_tag(&type) == DW_TAG_pointer_type &&
			      !type_of(&type, &pointee)))
				name = dwarf_diename(&scopes[k]);
		if (count > 0)
			free(scopes);
	}
	return name;
}

/* ---- where in it --------------------------------------------------------------------------------------- */

static size_t place_of(Dwarf_Die *member)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (dwarf_attr(member, DW_AT_data_bit_offset, &attribute) && dwarf_formudata(&attribute, &value) == 0)
		return value / 8;
	if (dwarf_attr(member, DW_AT_data_member_location, &attribute) &&
	    dwarf_formudata(&attribute, &value) == 0)
		return value;
	return 0;
}

static bool covers(Dwarf_Die *member, size_t offset)
{
	Dwarf_Die type;

	return dwarf_tag(member) == DW_TAG_member && type_of(member, &type) &&
	       offset - place_of(member) < bytes_of(&type);
}

/* The member of that name, or one without a name that has it. */
static bool is_member(Dwarf_Die *member, const char *name)
{
	Dwarf_Die type, inner;

	if (dwarf_diename(member))
		return strcmp(dwarf_diename(member), name) == 0;
	if (!type_of(member, &type))
		return false;
	for (int more = dwarf_child(&type, &inner); more == 0; more = dwarf_siblingof(&inner, &inner))
		if (dwarf_diename(&inner) && strcmp(dwarf_diename(&inner), name) == 0)
			return true;
	return false;
}

static void write_path(FILE *to, Dwarf_Die *type, size_t offset, const char *use, unsigned depth);

/* A struct of one member is only a name for it. */
static bool is_wrapper(Dwarf_Die *type)
{
	Dwarf_Die first, second;

	return is_struct(type) && dwarf_child(type, &first) == 0 && dwarf_siblingof(&first, &second) != 0;
}

static void write_member(FILE *to, Dwarf_Die *member, size_t offset, const char *use, unsigned depth)
{
	const char *name = dwarf_diename(member);
	Dwarf_Die type;

	if (name)
		fprintf(to, "%s%s", depth ? "." : "", name);
	if (type_of(member, &type) && !(name && is_wrapper(&type)))
		write_path(to, &type, offset - place_of(member), use, name ? depth + 1 : depth);
}

/* Of those that cover @offset the one in use, or all: "end[2]|child[2]". */
static void write_members(FILE *to, Dwarf_Die *type, size_t offset, const char *use, unsigned depth)
{
	Dwarf_Die member;
	unsigned written = 0;
	bool is_known = false;

	for (int more = dwarf_child(type, &member); more == 0; more = dwarf_siblingof(&member, &member))
		is_known |= use && covers(&member, offset) && is_member(&member, use);
	for (int more = dwarf_child(type, &member); more == 0; more = dwarf_siblingof(&member, &member)) {
		if (!covers(&member, offset) || (is_known && !is_member(&member, use)))
			continue;
		if (written++)
			fputc('|', to);
		write_member(to, &member, offset, use, written > 1 ? 0 : depth);
	}
	if (!written)
		fprintf(to, " + %zu", offset);
}

static void write_path(FILE *to, Dwarf_Die *type, size_t offset, const char *use, unsigned depth)
{
	Dwarf_Die element;

	if (depth > DEPTH)
		return;
	if (dwarf_tag(type) == DW_TAG_array_type && type_of(type, &element) && bytes_of(&element)) {
		fprintf(to, "[%zu]", offset / bytes_of(&element));
		write_path(to, &element, offset % bytes_of(&element), use, depth);
	} else if (dwarf_tag(type) == DW_TAG_union_type || is_struct(type)) {
		write_members(to, type, offset, use, depth);
	}
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static void write_struct(FILE *to, Dwarf_Die *type, const struct machine_spot *spot)
{
	fprintf(to, "%s", dwarf_diename(type));
	write_path(to, type, spot->offset, spot->use, 1);
}

static void write_object(FILE *to, const struct machine_spot *spot)
{
	const char *function;
	Dwarf_Die type;

	if (find_type(spot, &type)) {
		write_struct(to, &type, spot);
		return;
	}
	function = allocator_of(spot);
	fprintf(to, "object of %zu bytes%s%s + %zu", spot->bytes, function ? " allocated in " : "",
		function ? function : "", spot->offset);
}

static void write_name(FILE *to, const struct machine_spot *spot, uintptr_t address)
{
	Dwarf_Die type;

	switch (spot->kind) {
	case SPOT_OBJECT:
		write_object(to, spot);
		break;
	case SPOT_FOLIO:
	case SPOT_ALLOCATOR:
		if (find_struct(spot->kind == SPOT_FOLIO ? "folio" : "phys", &type))
			write_struct(to, &type, spot);
		else
			fprintf(to, "%s + %zu", spot->kind == SPOT_FOLIO ? "folio" : "allocator",
				spot->offset);
		break;
	case SPOT_ENTRY:
		fprintf(to, "entry of level %u", spot->level);
		break;
	case SPOT_FRAME:
		fprintf(to, "contents of a frame");
		break;
	default:
		fprintf(to, "%#lx", (unsigned long)address);
	}
}

static void write_owner(FILE *to, const struct machine_spot *spot)
{
	if (spot->kind == SPOT_FOLIO || spot->kind == SPOT_FRAME)
		fprintf(to, " of frame %lu", spot->number);
	else if (spot->kind == SPOT_ENTRY)
		fprintf(to, ": number %zu of frame %lu", spot->offset, spot->number);
	else if (spot->owner)
		fprintf(to, " of %s", spot->owner);
	if (spot->freed)
		fputs(" (freed)", to);
}

struct field field_at(struct run *run, uintptr_t address)
{
	struct machine_spot spot = machine_spot(run->machine, address);
	struct field field = { .name = "" };
	FILE *to = fmemopen(field.name, sizeof(field.name), "w");

	open_debug();
	if (!to)
		return field;
	write_name(to, &spot, address);
	fclose(to);
	snprintf(field.where, sizeof(field.where), "%s", field.name);
	to = fmemopen(field.where, sizeof(field.where), "a");
	if (!to)
		return field;
	write_owner(to, &spot);
	fclose(to);
	return field;
}
