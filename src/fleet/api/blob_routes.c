/* Blobs in and out. Uploads write no rows, so they need no transaction. */
#include "fleet/api/call.h"

int blob_get(struct call *call, struct err *err)
{
    struct digest digest;
    int fd;
    uint64_t size;
    if (call_digest(call, &digest, err) < 0 || blobs_read(call->fleet->blobs, &digest, &fd, &size, err) < 0)
        return -1;
    struct digest_text text = digest_format(&digest);
    char etag[DIGEST_TEXT_SIZE + 2];
    snprintf(etag, sizeof etag, "\"%s\"", text.text);
    http_set_header(call->request, "Cache-Control", "private, max-age=31536000, immutable");
    call->taken = true;
    http_reply_file(call->request, fd, size, "application/octet-stream", etag);
    return 0;
}

int blob_put(struct call *call, struct err *err)
{
    struct blobs_part part = {0};
    uint64_t have = 0;
    part.data = http_body(call->request, &part.len);
    if (call_digest(call, &part.digest, err) < 0 ||
        call_query_u64(call, "offset", 0, INT64_MAX, &part.offset, err) < 0 ||
        call_query_u64(call, "total", part.offset + part.len, INT64_MAX, &part.total, err) < 0 ||
        blobs_put(call->fleet->blobs, &part, &have, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "have", have);
    jsonw_u64(&w, "total", part.total);
    jsonw_close(&w);
    return call_writer(call, have == part.total ? 201 : 202, &w, err);
}
