/* HTTP/1.1 messages (RFC 9112), read strictly: the one parser behind sys/http.h and sys/fetch.h. Pure.
 *
 *     GET /api/v1/robots?site=north HTTP/1.1 CRLF      request line  | status line
 *     Host: muster CRLF                                fields
 *     CRLF
 *     body: none | Content-Length bytes | chunks | (answers only) until the connection closes
 *
 * Two parties that read one message differently are how requests are smuggled. So whatever is ambiguous is
 * refused, not repaired: bare CR or LF, NUL, folded lines, blanks before a colon, a second Host,
 * Content-Length, Transfer-Encoding, Authorization, Content-Type or Range, Content-Length together with
 * Transfer-Encoding, any coding but "chunked", chunk extensions, trailers, absolute-form targets, escapes of
 * '/' or NUL, "." and ".." segments.
 */
#ifndef MUSTER_SYS_HTTP_WIRE_H
#define MUSTER_SYS_HTTP_WIRE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_MAX_HEAD_BYTES = 8 * 1024, HTTP_MAX_FIELDS = 64 };

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

struct http_field {
    const char *name; /* lower case */
    const char *value;
};

struct http_head {
    char *text;                  /* owned; all strings point into it */
    const char *method, *target; /* request */
    int status;                  /* answer */
    size_t field_count;
    struct http_field fields[HTTP_MAX_FIELDS];
    enum http_framing framing; /* of an answer: as if the request was not HEAD */
    uint64_t content_length;   /* with HTTP_LENGTH */
    bool close;                /* no further message on this connection */
    bool expect_continue;
};

/* `data` is the whole head with its empty line. *out is untouched on failure; INVALID, TOO_BIG or NO_MEMORY.
 */
int http_head_parse_request(const void *data, size_t len, struct http_head *out, struct err *err) must_check;
int http_head_parse_answer(const void *data, size_t len, struct http_head *out, struct err *err) must_check;
void http_head_fini(struct http_head *head);
const char *http_head_find(const struct http_head *head, const char *lower_case_name); /* NULL if none */

/* Chunked bodies, piece by piece. Start with {0}. */
struct http_chunks {
    int state;
    int digits;
    uint64_t left; /* of the current chunk */
};
struct http_span {
    const uint8_t *data;
    size_t len;
};
/* Eats some of `data` (*eaten bytes, at least one if len > 0) and gives at most one span of body bytes, which
 * points into `data`. Returns 1 if the body is complete, 0 if there is more to come, -1 if it is malformed.
 */
int http_chunks_next(struct http_chunks *chunks, const uint8_t *data, size_t len, size_t *eaten,
                     struct http_span *out, struct err *err) must_check;

/* The path of an origin-form target, decoded, and its query, still encoded ("" if none); free() both. */
int http_target_split(const char *target, char **out_path, char **out_query, struct err *err) must_check;

/* The first value of `name` in an encoded query, decoded; free() it. NULL: not there or malformed. */
char *http_query_find(const char *query, const char *name);

/* Range: bytes=… of one interval over `size` bytes. *out_last is inclusive. */
enum http_range {
    HTTP_RANGE_NONE /* absent, several, or not understood: send all */,
    HTTP_RANGE_PART,
    HTTP_RANGE_BAD
};
enum http_range http_range_parse(const char *value, uint64_t size, uint64_t *out_first, uint64_t *out_last);

/* {"error":{"code":"…","message":"…"}}, always valid JSON whatever bytes the text holds; free() it. */
char *http_error_json(const struct err *err);

const char *http_status_text(int status); /* "Not Found" */

#endif
