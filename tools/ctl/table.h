/* Tables of JSON objects, for people: one row an object, or one line a value. */
#ifndef TOOLS_CTL_TABLE_H
#define TOOLS_CTL_TABLE_H

#include <stddef.h>

#include <jansson.h>

struct column {
	const char *title, *key; /* "counters/octets_in" goes into an inner object */
	enum { AS_IS, AS_OCTETS, AS_DURATION, AS_YES, AS_USER, AS_STATE, AS_WRAPPED /* the last, of several lines */ } how;
};

/* "2h 5m", of seconds. */
void duration(json_int_t s, char *out, size_t size);
/* Aligned columns; the last one is not padded. Columns end with a NULL title. nothing: what is said of no rows. */
void table(const json_t *rows, const struct column *columns, const char *nothing);
/* One value per line, for one object. */
void facts(const json_t *object, const struct column *columns);

#endif
