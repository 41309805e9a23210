/* JSON as it goes out, written straight into a buffer: views of thousands of rows need no tree in memory.
 *
 *     struct json_writer w;
 *     json_writer_init(&w);
 *     json_open_object(&w, NULL);
 *     json_text(&w, "id", robot.id);
 *     json_open_array(&w, "reports"); … json_close(&w);
 *     json_close(&w);
 *     char *text = json_writer_take(&w, &err);      // NULL on the first error that happened
 *
 * The key is NULL for array items and the top value. Commas and nesting are kept by the writer; a mismatch
 * asserts. Bytes that are no UTF-8 become U+FFFD, NaN and infinities become null, control characters are
 * escaped.
 */
#ifndef MUSTER_FLEET_JSON_WRITER_H
#define MUSTER_FLEET_JSON_WRITER_H

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
    bool comma; /* the next value needs one */
};

void json_writer_init(struct json_writer *w);
void json_writer_fini(struct json_writer *w);
#define cleanup_json_writer __attribute__((cleanup(json_writer_fini)))
char *json_writer_take(struct json_writer *w, struct err *err); /* free() it */

void json_open_object(struct json_writer *w, const char *key);
void json_open_array(struct json_writer *w, const char *key);
void json_close(struct json_writer *w); /* the innermost */

void json_text(struct json_writer *w, const char *key, const char *text);
void json_u64(struct json_writer *w, const char *key, uint64_t value);
void json_i64(struct json_writer *w, const char *key, int64_t value);
void json_real(struct json_writer *w, const char *key, double value); /* 6 significant digits */
void json_boolean(struct json_writer *w, const char *key, bool value);
void json_nothing(struct json_writer *w, const char *key);                             /* null */
void json_digest(struct json_writer *w, const char *key, const struct digest *digest); /* null if zero */
void json_raw(struct json_writer *w, const char *key, const char *json);               /* already JSON */

#endif
