/* deps: sys base */
#include "base/mem.h"
#include "base/str.h"
#include "sys/http_wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(const char *target)
{
    struct err err = {0};
    cleanup_free char *path = NULL;
    cleanup_free char *query = NULL;
    if (http_target_split(target, &path, &query, &err) < 0)
        return;
    assert(path[0] == '/' && !strstr(path, "/../") && strlen(path) <= strlen(target));
    cleanup_free char *value = http_query_find(query, "a");
    uint64_t first = 0, last = 0;
    if (http_range_parse(query, 1000, &first, &last) == HTTP_RANGE_PART)
        assert(first <= last && last < 1000);
}

static void check_request(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct http_head head;
    if (http_head_parse_request(data, size, &head, &err) < 0) {
        assert(err.code != ERR_NONE && err.text[0]);
        return;
    }
    assert(head.field_count <= HTTP_MAX_FIELDS && http_head_find(&head, "host"));
    assert(!http_head_find(&head, "content-length") || !http_head_find(&head, "transfer-encoding"));
    check_target(head.target);
    http_head_fini(&head);
}

static void check_answer(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct http_head head;
    if (http_head_parse_answer(data, size, &head, &err) < 0)
        return;
    assert(head.status >= 100 && head.status <= 999);
    http_head_fini(&head);
}

/* However the bytes are cut into pieces, the same body comes out and the same bytes are eaten. */
static uint64_t run_chunks(const uint8_t *data, size_t size, size_t step, size_t *out_at)
{
    struct http_chunks chunks = {0};
    struct err err;
    uint64_t sum = 0;
    size_t at = 0, eaten;
    for (int rc = 0; rc == 0 && at < size; at += eaten) {
        struct http_span span;
        rc = http_chunks_next(&chunks, data + at, MIN(step, size - at), &eaten, &span, &err);
        for (size_t i = 0; rc >= 0 && i < span.len; i++)
            sum = sum * 31 + span.data[i] + 1;
        if (rc < 0)
            break;
        assert(eaten > 0);
    }
    *out_at = at;
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request(data, size);
    check_answer(data, size);
    size_t at_one, at_all;
    uint64_t by_one = run_chunks(data, size, 1, &at_one), at_once = run_chunks(data, size, size, &at_all);
    assert(by_one == at_once);
    (void)by_one;
    (void)at_once;
    struct err err = {.code = ERR_INVALID};
    memcpy(err.text, data, MIN(size, sizeof err.text - 1));
    cleanup_free char *json = http_error_json(&err);
    assert(json);
    return 0;
}
