/*
 * page.h - pages that stand for themselves: HTML that the command carries, with data put in.
 */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Writes the page in [start, end) to @path, with @data where it has the mark. NULL: there is nothing to show,
 * which is said of @name instead. False: errno says why.
 */
bool page_write(const char *path, const char *start, const char *end, const json_t *data, const char *name);

#endif
