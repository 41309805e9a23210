/* JSON for people and programs outside, written straight into a buffer: what the server's API and `--json`
 * answer. Members stand in the order they are written; thousands of rows need no tree in memory. (Documents
 * whose bytes are signed or hashed are written by json_write.h: one value, one spelling.)
 *
 *     cleanup_json_writer struct json_writer w;
 *     jsonw_init(&w);
 *     jsonw_object(&w, NULL);
 *     jsonw_text(&w, "id", robot.id);
 *     jsonw_array(&w, "reports"); … jsonw_close(&w);
 *     jsonw_close(&w);
 *     char *text = jsonw_take(&w, &err);      // NULL on the first error that happened
 *
 * The key is NULL for array items and the top value. Commas and nesting are kept by the writer; a mismatch
 * asserts. Bytes that are no UTF-8 become U+FFFD, NaN and infinities become null, control characters are
 * escaped.
 */
#ifndef MUSTER_WIRE_JSON_STREAM_H
#define MUSTER_WIRE_JSON_STREAM_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_WRITER_DEPTH = 16, JSON_WRITER_MAX_BYTES = 64 << 20 };

struct json_writer {
    struct buf out;
    struct err err; /* the first one */
    int depth;
    char closers[JSON_WRITER_DEPTH];
    bool comma;    /* the next value needs one */
    bool indented; /* every value on a line of its own, two spaces per level */
};

void jsonw_init(struct json_writer *w);
void jsonw_init_indented(struct json_writer *w);
void jsonw_fini(struct json_writer *w);
#define cleanup_json_writer __attribute__((cleanup(jsonw_fini)))
char *jsonw_take(struct json_writer *w, struct err *err) must_check; /* free() it */

void jsonw_object(struct json_writer *w, const char *key);
void jsonw_array(struct json_writer *w, const char *key);
void jsonw_close(struct json_writer *w); /* the innermost */

void jsonw_text(struct json_writer *w, const char *key, const char *text);
void jsonw_u64(struct json_writer *w, const char *key, uint64_t value);
void jsonw_i64(struct json_writer *w, const char *key, int64_t value);
void jsonw_real(struct json_writer *w, const char *key, double value); /* 9 significant digits */
void jsonw_boolean(struct json_writer *w, const char *key, bool value);
void jsonw_nothing(struct json_writer *w, const char *key);                             /* null */
void jsonw_digest(struct json_writer *w, const char *key, const struct digest *digest); /* null if zero */
void jsonw_raw(struct json_writer *w, const char *key, const char *json);               /* already JSON */

#endif
