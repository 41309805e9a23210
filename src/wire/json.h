/* Strict JSON reading on top of jansson, and YAML into the same values.
 *
 * A reader is a cursor that remembers the FIRST error and where it was ("release.json: budgets.latency_p99_ms: …");
 * after an error every further read is a no-op that leaves its output alone, so a decoder reads straight through and
 * asks once at the end. A decoder of ours names the members it knows with `json_only`, so that a typo in a YAML file is an
 * error that names it; a decoder of somebody else's format (OCI) does not call it, and unknown members are ignored.
 *
 *     struct json_reader r;
 *     if (json_read(&r, "release.json", text, len, &err) < 0) return -1;     // syntax, duplicates, depth, size
 *     struct json_at root = json_root(&r);
 *     json_get_string(root, "name", out->name, sizeof out->name);            // required
 *     if (json_has(root, "budgets")) { … json_get_double(json_child(root, "budgets"), "latency_p99_ms", 0, 1e6, &x); }
 *     return json_finish(&r, &err);                                          // first error, frees everything
 *
 * Limits: 4 MiB of JSON, 256 KiB of YAML, depth 32. Refused besides what the grammars refuse: duplicate members, NUL in
 * text, numbers beyond int64 or double, anything behind the document; in YAML also anchors, aliases, tags, a second
 * document, .inf and .nan. Plain YAML scalars are typed by the YAML 1.2 core schema ("yes" is text, 010 is ten).
 * Errors: TOO_BIG, NO_MEMORY, else INVALID, as "name: path: cause" with no control characters in it.
 *
 * Writing happens inside wire/ (json_t stays inside wire/): see json_write.h.
 */
#ifndef MUSTER_WIRE_JSON_H
#define MUSTER_WIRE_JSON_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t; /* jansson */

struct json_reader {
    const char *name;    /* of the document, for errors */
    struct json_t *root; /* owned */
    struct err err;      /* the first one */
};

struct json_at { /* a place in a document; cheap, by value */
    struct json_reader *reader;
    struct json_t *value; /* borrowed; NULL after an error */
    char path[96];        /* "budgets.latency_p99_ms", "labels[3]" */
};

/* After -1 nothing is held; json_finish may be left out. `name` is borrowed until json_finish. */
int json_read(struct json_reader *reader, const char *name, const void *text, size_t len,
              struct err *err) must_check;
int yaml_read(struct json_reader *reader, const char *name, const void *text, size_t len,
              struct err *err) must_check;
int json_finish(struct json_reader *reader, struct err *err) must_check;

struct json_at json_root(struct json_reader *reader);          /* must be an object */
bool json_has(struct json_at at, const char *key);             /* present and not null */
bool json_has_null(struct json_at at, const char *key);        /* present and null */
bool json_has_text(struct json_at at, const char *key);        /* present and a string */
struct json_at json_child(struct json_at at, const char *key); /* a required object */
struct json_at json_list(struct json_at at, const char *key, size_t max,
                         size_t *out_count);                 /* a required array */
struct json_at json_item(struct json_at list, size_t index); /* of a list: any value */

/* Required members. The value goes to *out only if it is right. */
void json_get_string(struct json_at at, const char *key, char *out,
                     size_t out_size);                                              /* too long is an error */
void json_get_name(struct json_at at, const char *key, char *out, size_t out_size); /* and str_is_name */
void json_get_int(struct json_at at, const char *key, int64_t min, int64_t max, int64_t *out);
void json_get_double(struct json_at at, const char *key, double min, double max, double *out);
void json_get_bool(struct json_at at, const char *key, bool *out);
/* As json_get_string, without control characters: text that ends up on a terminal or in a log line. */
void json_get_line(struct json_at at, const char *key, char *out, size_t out_size);
void json_get_u64(struct json_at at, const char *key, uint64_t max,
                  uint64_t *out); /* JSON carries at most INT64_MAX */
void json_get_digest(struct json_at at, const char *key, struct digest *out); /* "sha256:<64 hex>" */
/* The same or null, which is the zero digest; a zero digest spelled out is refused. */
void json_get_digest_or_null(struct json_at at, const char *key, struct digest *out);
/* One word of a table; *out is its index. A NULL entry of the table is a hole. */
void json_get_choice(struct json_at at, const char *key, const char *const *words, size_t count, int *out);

/* The value at the place itself (list items). */
void json_as_string(struct json_at at, char *out, size_t out_size);
void json_as_line(struct json_at at, char *out, size_t out_size); /* as json_get_line */
void json_as_int(struct json_at at, int64_t min, int64_t max, int64_t *out);
void json_as_double(struct json_at at, double min, double max, double *out);
void json_as_name(struct json_at at, char *out, size_t out_size);
struct json_at json_as_object(struct json_at at);

/* The value as canonical text (json_write.h), to hand it to another decoder. free() it; NULL after an error. */
char *json_canonical(struct json_at at);

/* Calls visit(key, value) for each member of an object (labels and other open maps). */
void json_each(struct json_at at, void (*visit)(const char *key, struct json_at value, void *arg), void *arg);

void json_fail(struct json_at at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Checks that the object at `at` has no member outside the NULL-terminated list. */
void json_only(struct json_at at, const char *const *known);
#define JSON_ONLY(at, ...) json_only(at, (const char *const[]){__VA_ARGS__, NULL})

#endif
