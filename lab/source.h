/*
 * source.h - return addresses of this program as source lines, for workers.
 *
 * Collects return addresses, then asks for all lines at once. source_line() is "file.c:12 function", or a
 * number in hexadecimal where nobody knows.
 */
#ifndef LAB_SOURCE_H
#define LAB_SOURCE_H

void source_want(const void *code);
void source_resolve(void);
const char *source_line(const void *code);

#endif
