/* Writing the JSON answers of `--json`: members in the order they are written, two spaces of indentation.
 *
 *     struct output out;
 *     output_init(&out);
 *     output_open(&out, NULL, '{');
 *     output_text(&out, "name", "detector");
 *     output_open(&out, "layers", '[');
 *     output_number(&out, NULL, 1.5);         // NULL: an item of a list
 *     output_close(&out, ']');
 *     output_close(&out, '}');
 *     return output_print(&out, err);         // to stdout, and frees
 *
 * Failures are remembered and told once, by output_print. NaN becomes null.
 */
#ifndef MUSTER_CLI_OUTPUT_H
#define MUSTER_CLI_OUTPUT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct output {
    struct buf buf;
    struct err err;
    int depth;
    bool first; /* nothing written yet at this depth */
};

void output_init(struct output *out);
void output_open(struct output *out, const char *key, char bracket); /* '{' or '[' */
void output_close(struct output *out, char bracket);
void output_text(struct output *out, const char *key, const char *text);
void output_int(struct output *out, const char *key, int64_t value);
void output_number(struct output *out, const char *key, double value);
void output_bool(struct output *out, const char *key, bool value);
void output_digest(struct output *out, const char *key, const struct digest *digest);
void output_raw(struct output *out, const char *key, const char *json); /* finished JSON */
int output_print(struct output *out, struct err *err) must_check;

/* "1.2 MB" for people. */
struct byte_text {
    char text[24];
};
struct byte_text format_bytes(uint64_t bytes);

#endif
