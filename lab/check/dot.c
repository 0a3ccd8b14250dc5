/*
 * dot.c - the table tree at a witness's end as a graph for graphviz: a record a table, an edge an entry.
 */
#include "lab/check/check.h"

#include <errno.h>
#include <string.h>

static void print_table(FILE *to, const char *mm, const json_t *table)
{
	json_t *entries = json_object_get(table, "entries"), *entry;
	size_t i;

	fprintf(to, "\t\t\"%s.%lld\" [label=\"{frame %lld, level %lld, from page %lld", mm,
		(long long)json_number(table, "pfn"), (long long)json_number(table, "pfn"),
		(long long)json_number(table, "level"), (long long)json_number(table, "start"));
	json_array_foreach(entries, i, entry) {
		long long index = json_integer_value(json_array_get(entry, 0));

		fprintf(to, "|<e%lld> %lld: %lld %s", index, index,
			(long long)json_integer_value(json_array_get(entry, 1)),
			json_string_value(json_array_get(entry, 2)));
	}
	fprintf(to, "}\"];\n");
}

static void print_edges(FILE *to, const char *mm, const json_t *table)
{
	json_t *entries = json_object_get(table, "entries"), *entry;
	bool leaf = json_number(table, "level") == 0;
	size_t i;

	json_array_foreach(entries, i, entry) {
		long long pfn = json_integer_value(json_array_get(entry, 1));
		const char *bits = json_string_value(json_array_get(entry, 2));

		if (!strpbrk(bits, "PN"))
			continue;
		fprintf(to, "\t\"%s.%lld\":e%lld -> ", mm, (long long)json_number(table, "pfn"),
			(long long)json_integer_value(json_array_get(entry, 0)));
		if (leaf || strchr(bits, 'H'))
			fprintf(to, "\"frame %lld\";\n", pfn);
		else
			fprintf(to, "\"%s.%lld\";\n", mm, pfn);
	}
}

static void print_graph(FILE *to, const struct check *check, const json_t *picture)
{
	json_t *mms = json_object_get(picture, "mms"), *frames = json_object_get(picture, "frames"), *mm,
	       *item;
	size_t i, j;

	fprintf(to, "digraph \"%s\" {\n\trankdir=LR;\n\tnode [shape=record, fontname=monospace];\n",
		check->litmus->name);
	json_array_foreach(mms, i, mm) {
		json_t *tables = json_object_get(mm, "tables");

		fprintf(to, "\tsubgraph \"cluster_%s\" {\n\t\tlabel=\"%s\";\n", json_text(mm, "mm"),
			json_text(mm, "mm"));
		json_array_foreach(tables, j, item)
			print_table(to, json_text(mm, "mm"), item);
		fprintf(to, "\t}\n");
		json_array_foreach(tables, j, item)
			print_edges(to, json_text(mm, "mm"), item);
	}
	json_array_foreach(frames, j, item)
		if (strcmp(json_text(item, "kind"), "anon") == 0 ||
		    strcmp(json_text(item, "kind"), "file") == 0)
			fprintf(to, "\t\"frame %lld\" [label=\"frame %lld|%s|refs %lld, maps %lld|%lld\"];\n",
				(long long)json_number(item, "pfn"), (long long)json_number(item, "pfn"),
				json_text(item, "kind"), (long long)json_number(item, "refs"),
				(long long)json_number(item, "maps"), (long long)json_number(item, "word"));
	fprintf(to, "}\n");
}

bool dot_write(const char *path, const struct check *check)
{
	json_t *pictures = json_object_get(json_object_get(check->result, "witness"), "pictures");
	size_t count = json_array_size(pictures);
	FILE *to = fopen(path, "w");

	if (!to)
		return false;
	if (count)
		print_graph(to, check, json_array_get(pictures, count - 1));
	else
		fprintf(to, "digraph \"%s\" {\n}\n", check->litmus->name);
	if (ferror(to)) {
		fclose(to);
		errno = EIO;
		return false;
	}
	return fclose(to) == 0;
}
