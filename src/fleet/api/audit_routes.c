/* GET /api/v1/audit?after=N&limit=M: the log as it stands, entry by entry with its hash (trust/audit.h). */
#include "fleet/api/call.h"

enum { LIMIT = 1000 };

struct page {
    struct json_writer *w;
    uint64_t limit, count, last;
    bool more;
};

static int add(const struct audit_row *row, void *arg)
{
    struct page *page = arg;
    if (page->count++ == page->limit) {
        page->more = true;
        return 1;
    }
    jsonw_object(page->w, NULL);
    jsonw_u64(page->w, "seq", row->seq);
    jsonw_digest(page->w, "hash", &row->hash);
    jsonw_text(page->w, "entry", row->entry); /* the bytes that were hashed */
    jsonw_close(page->w);
    page->last = row->seq;
    return 0;
}

int audit_get(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    uint64_t after;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    struct page page = {.w = &w};
    if (call_query_u64(call, "after", 0, INT64_MAX, &after, err) < 0 ||
        call_query_u64(call, "limit", LIMIT, LIMIT, &page.limit, err) < 0)
        return -1;
    jsonw_object(&w, NULL);
    jsonw_array(&w, "entries");
    if (store->ops->audit_after(store, after, (int64_t)page.limit + 1, add, &page, err) < 0)
        return -1;
    jsonw_close(&w);
    if (page.more)
        jsonw_u64(&w, "next", page.last);
    else
        jsonw_nothing(&w, "next");
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
