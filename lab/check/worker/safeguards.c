/*
 * safeguards.c - the core's safeguards, as JSON.
 */
#include "lab/check/worker/worker.h"

#include "machines/safeguards/safeguards.h"

#include <stdio.h>
#include <string.h>

/* [{"name": "munmap-flush", "place": "core/table/gather.c:12"}, ...] */
json_t *safeguards_json(void)
{
	json_t *list = json_array();

	for (struct quire_safeguard *s = NULL; (s = safeguard_next(s));) {
		char name[80], place[200];
		size_t n = 0;

		for (; s->name[n] && n < sizeof(name) - 1; n++)
			name[n] = s->name[n] == '_' ? '-' : s->name[n];
		name[n] = 0;
		const char *file = strstr(s->file, "core/");

		snprintf(place, sizeof(place), "%s:%d", file ? file : s->file, s->line);
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "place", place));
	}
	return list;
}
