/*
 * html.c - a witness as one page that steps through it: witness.html with the data put in.
 *
 * The tables are pictured after every step; most steps leave them as they are, so each picture is kept once.
 */
#include "lab/check/check.h"
#include "lab/page.h"

/* The page, put here by the assembler; QUIRE_CHECK_PAGE is its path. */
__asm__(".pushsection .rodata\n"
	"check_page_start:\n"
	".incbin \"" QUIRE_CHECK_PAGE "\"\n"
	"check_page_end:\n"
	".popsection\n");
extern const char check_page_start[], check_page_end[];

/* { pictures: each once, at: which of them stands after so many steps } */
static void add_pictures(json_t *data, json_t *pictures)
{
	json_t *unique = json_array(), *at = json_array(), *picture;
	size_t i;

	json_array_foreach(pictures, i, picture) {
		if (!i || !json_equal(picture, json_array_get(unique, json_array_size(unique) - 1)))
			json_array_append(unique, picture);
		json_array_append_new(at, json_integer((json_int_t)json_array_size(unique) - 1));
	}
	json_object_set_new(data, "pictures", unique);
	json_object_set_new(data, "at", at);
}

static json_t *page_data(const struct check *check)
{
	json_t *witness = json_object_get(check->result, "witness");
	json_t *data = json_object();
	struct finding f = verdict_of(check);
	char about[200];

	snprintf(about, sizeof(about), "%s (%s), model %s, geometry %s",
		 f.violated ? "violated" : litmus_result_name(f.observed), f.search,
		 json_text(check->result, "model"), json_text(check->result, "geometry"));
	json_object_set_new(data, "name", json_string(check->litmus->name));
	json_object_set_new(data, "about", json_string(about));
	json_object_set_new(data, "text", json_string(json_text(witness, "text")));
	json_object_set(data, "threads", json_object_get(witness, "threads"));
	json_object_set(data, "steps", json_object_get(witness, "steps"));
	add_pictures(data, json_object_get(witness, "pictures"));
	return data;
}

bool html_write(const char *path, const struct check *check)
{
	json_t *data = json_is_object(json_object_get(check->result, "witness")) ? page_data(check) : NULL;
	bool written = page_write(path, check_page_start, check_page_end, data, check->litmus->name);

	json_decref(data);
	return written;
}
