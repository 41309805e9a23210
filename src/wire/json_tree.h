/* What json.c and yaml.c share: the limits, and how a parsed tree becomes a reader. Private to wire/. */
#ifndef MUSTER_WIRE_JSON_TREE_H
#define MUSTER_WIRE_JSON_TREE_H

#include "base/err.h"
#include "wire/json.h"

#include <jansson.h>

enum { JSON_MAX_BYTES = 4 << 20, YAML_MAX_BYTES = 256 << 10, JSON_MAX_DEPTH = 32 };

/* Takes the tree over; refuses one that is nested too deeply. */
int json_reader_init(struct json_reader *reader, const char *name, json_t *root, struct err *err) must_check;
/* Replaces control characters by '?', so that foreign bytes in an error stay one harmless line. */
void json_tame(char *text);
bool json_is_line(const char *text); /* no control character in it (C0, DEL, C1) */

#endif
