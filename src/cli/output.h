/* What verbs say on standard output. An answer of `--json` is one document, indented by two spaces:
 *
 *     cleanup_json_writer struct json_writer out;
 *     jsonw_init_indented(&out);
 *     jsonw_object(&out, NULL);
 *     jsonw_text(&out, "name", "detector");
 *     jsonw_close(&out);
 *     return output_print(&out, err);
 */
#ifndef MUSTER_CLI_OUTPUT_H
#define MUSTER_CLI_OUTPUT_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/json_stream.h"

#include <stdint.h>

/* The document and a newline. Tells the first error of the writing, too. */
int output_print(struct json_writer *w, struct err *err) must_check;
/* What a server answered: the document in canonical form, on a line. */
int output_answer(const struct buf *answer, struct err *err) must_check;

/* "1.2 MB" for people. */
struct byte_text {
    char text[24];
};
struct byte_text format_bytes(uint64_t bytes);

#endif
