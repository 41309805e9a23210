/* Writing JSON: equal values have equal bytes, on every machine and with every version of jansson.
 *
 * Members are sorted by the bytes of their names, there is no white space, text is UTF-8 with the shortest
 * escapes, and a double has the fewest digits that read back as the same double (jansson itself prints 0.1 as
 * 0.10000000000000001, or not, depending on its version). A double with an integral value is written as an
 * integer.
 *
 * Private to wire/: this is the only header that shows jansson's type.
 */
#ifndef MUSTER_WIRE_JSON_WRITE_H
#define MUSTER_WIRE_JSON_WRITE_H

#include "base/digest.h"

#include <jansson.h>

/* Canonical text of the value; free() it. NULL: out of memory, or `value` is NULL. */
char *json_write(const json_t *value);
/* The same, and the value is given up. The end of every `_format` function: a tree that could not be built
 * (out of memory, text that is no UTF-8, NaN) is NULL here and gives NULL. */
char *json_write_new(json_t *value);

json_t *json_from_digest(const struct digest *digest);
/* Text for people that must never fail to be written: control characters become '?', and so do all bytes
 * beyond ASCII if the text is no UTF-8 (cut in the middle of a character, or foreign). NULL: out of memory.
 */
json_t *json_from_line(const char *text);
/* Adds a text member, but only if it is not "". 0 or -1. */
int json_put_text(json_t *object, const char *key, const char *text);
/* Appends to an array and gives `value` up, also on failure. 0 or -1; -1 for a NULL value. */
int json_append(json_t *array, json_t *value);

void json_cleanup(json_t **slot);
#define cleanup_json __attribute__((cleanup(json_cleanup)))

#endif
