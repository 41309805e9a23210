/* The audit log as it stands: entries, signed checkpoints, the tree's tiles, and proofs. Below /api/v1/audit it is a log of C2SP tlog-tiles:
 * checkpoint and tile/… are what its clients expect there. A robot gets what it needs to see that the log only grows, no entries. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "trust/merkle/proof.h"
#include "trust/merkle/tile.h"

#include <inttypes.h>

enum { LIMIT = 1000, CHECKPOINTS_LIMIT = 500 };

/* ---- GET /api/v1/audit?after=N&limit=M ---- */

struct page {
    struct json_writer *w;
    uint64_t limit, count, last;
    bool more;
};

static bool full(struct page *page)
{
    page->more = page->count++ == page->limit;
    return page->more;
}

static int add_entry(const struct audit_row *row, void *arg)
{
    struct page *page = arg;
    if (full(page))
        return 1;
    jsonw_object(page->w, NULL);
    jsonw_u64(page->w, "seq", row->seq);
    jsonw_digest(page->w, "hash", &row->hash);
    jsonw_text(page->w, "entry", row->entry); /* the bytes that were hashed */
    jsonw_close(page->w);
    page->last = row->seq;
    return 0;
}

static int end_page(struct call *call, struct page *page, struct err *err)
{
    jsonw_close(page->w);
    if (page->more)
        jsonw_u64(page->w, "next", page->last);
    else
        jsonw_nothing(page->w, "next");
    jsonw_close(page->w);
    return call_writer(call, 200, page->w, err);
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
    if (store->ops->audit_after(store, after, (int64_t)page.limit + 1, add_entry, &page, err) < 0)
        return -1;
    return end_page(call, &page, err);
}

/* ---- GET /api/v1/audit/checkpoints?after=SIZE ---- */

static int add_checkpoint(const struct audit_checkpoint_row *row, void *arg)
{
    struct page *page = arg;
    if (full(page))
        return 1;
    jsonw_text(page->w, NULL, row->text);
    page->last = row->size;
    return 0;
}

int audit_checkpoints_get(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    uint64_t after;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    struct page page = {.w = &w};
    if (call_query_u64(call, "after", 0, INT64_MAX, &after, err) < 0 ||
        call_query_u64(call, "limit", CHECKPOINTS_LIMIT, CHECKPOINTS_LIMIT, &page.limit, err) < 0)
        return -1;
    jsonw_object(&w, NULL);
    jsonw_array(&w, "checkpoints");
    if (store->ops->audit_checkpoint_after(store, after, (int64_t)page.limit + 1, add_checkpoint, &page,
                                           err) < 0)
        return -1;
    return end_page(call, &page, err);
}

/* ---- the newest checkpoint ---- */

/* Covers all that is in the log, and is on the disk before anybody sees it: until then the reply is parked. */
static int newest(struct call *call, const char **out, struct err *err)
{
    struct fleet *fleet = call->fleet;
    if (fleet_checkpoint(fleet, err) < 0)
        return -1;
    call->urgent = true;
    *out = ledger_checkpoint(fleet->ledger);
    return **out ? 0 : err_set(err, ERR_NOT_FOUND, "the audit log has no entry yet");
}

static void write_hashes(struct json_writer *w, const char *key, const struct merkle_proof *proof)
{
    jsonw_array(w, key);
    for (size_t i = 0; i < proof->count; i++)
        jsonw_digest(w, NULL, &proof->hashes[i]);
    jsonw_close(w);
}

/* A log that cannot prove that it goes on where the caller knew it is given out without a proof: the caller sees what that means. */
static int reply_since(struct call *call, uint64_t since, const char *text, struct err *err)
{
    struct ledger *ledger = call->fleet->ledger;
    struct merkle_source source = ledger_source(ledger);
    struct merkle_proof proof = {0};
    struct err broken = {0};
    char key[CHECKPOINT_KEY_SIZE];
    if (since < ledger_size(ledger) &&
        merkle_prove_consistency(&source, since, ledger_size(ledger), &proof, &broken) < 0)
        proof.count = 0;
    checkpoint_key_format(ledger_origin(ledger), ledger_key(ledger), key);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "checkpoint", text);
    write_hashes(&w, "consistency", &proof);
    jsonw_text(&w, "key", key);
    if (ledger_broken(ledger))
        jsonw_text(&w, "broken", ledger_broken(ledger));
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* With ?since=N as JSON and with the proof that it extends the log of N entries; without as it is, for other tools. */
int audit_checkpoint_get(struct call *call, struct err *err)
{
    const char *text;
    uint64_t since;
    if (call_query_u64(call, "since", 0, INT64_MAX, &since, err) < 0 || newest(call, &text, err) < 0)
        return -1;
    if (http_query(call->request, "since"))
        return reply_since(call, since, text, err);
    char *copy = mem_strdup(text);
    return copy ? call_bytes(call, 200, "text/plain; charset=utf-8", copy, strlen(copy)) : err_no_memory(err);
}

/* ---- GET /api/v1/audit/tile/… ---- */

struct bundle { /* of entries */
    struct buf *out;
    uint64_t next;
    int rc;
    struct err *err;
};

static int add_to_bundle(const struct audit_row *row, void *arg)
{
    struct bundle *bundle = arg;
    size_t len = strlen(row->entry);
    uint8_t prefix[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    bundle->rc = -1;
    if (row->seq != bundle->next++)
        return err_set(bundle->err, ERR_CORRUPT, "entry %" PRIu64 " is missing", bundle->next - 1);
    if (len > MERKLE_ENTRY_MAX)
        return err_set(bundle->err, ERR_TOO_BIG, "entry %" PRIu64 " is too long for a bundle", row->seq);
    if (buf_put(bundle->out, prefix, sizeof prefix, bundle->err) < 0 ||
        buf_put(bundle->out, row->entry, len, bundle->err) < 0)
        return -1;
    bundle->rc = 0;
    return 0;
}

static int read_entries(struct fleet *fleet, const struct merkle_tile *tile, struct buf *out, struct err *err)
{
    uint64_t first = tile->index * MERKLE_TILE_WIDTH;
    struct bundle bundle = {.out = out, .next = first + 1, .err = err};
    if (fleet->store->ops->audit_after(fleet->store, first, tile->width, add_to_bundle, &bundle, err) < 0 ||
        bundle.rc < 0)
        return -1;
    return bundle.next == first + 1 + tile->width
               ? 0
               : err_set(err, ERR_CORRUPT, "entry %" PRIu64 " is missing", bundle.next);
}

static int read_hashes(struct fleet *fleet, const struct merkle_tile *tile, struct buf *out, struct err *err)
{
    struct digest hashes[MERKLE_TILE_WIDTH];
    struct merkle_source source = ledger_source(fleet->ledger);
    if (source.read(source.arg, tile->level, tile->index * MERKLE_TILE_WIDTH, tile->width, hashes, err) < 0)
        return -1;
    return buf_put(out, hashes, tile->width * sizeof hashes[0], err);
}

static int reply_tile(struct call *call, bool entries, struct err *err)
{
    struct fleet *fleet = call->fleet;
    const char *path = http_param(call->request, "*");
    struct merkle_tile tile;
    cleanup_buf struct buf out = BUF_INIT(MERKLE_TILE_WIDTH * (MERKLE_ENTRY_MAX + 2));
    if (!path || !merkle_tile_parse(path, &tile) || (tile.entries && !entries) ||
        merkle_tile_width(tile.level, tile.index, ledger_size(fleet->ledger)) < tile.width)
        return err_set(err, ERR_NOT_FOUND, "the audit log has no such tile");
    if ((tile.entries ? read_entries : read_hashes)(fleet, &tile, &out, err) < 0)
        return -1;
    size_t len = out.len;
    char *bytes = buf_take(&out);
    return bytes ? call_bytes(call, 200, "application/octet-stream", bytes, len) : err_no_memory(err);
}

int audit_tile_get(struct call *call, struct err *err)
{
    return reply_tile(call, true, err);
}

int audit_hashes_get(struct call *call, struct err *err)
{
    return reply_tile(call, false, err);
}

/* ---- GET /api/v1/audit/proof?seq=N ---- */

static int copy_row(const struct audit_row *row, void *arg)
{
    struct audit_row *out = arg;
    *out = (struct audit_row){.seq = row->seq, .hash = row->hash, .entry = mem_strdup(row->entry)};
    return 1;
}

int audit_proof_get(struct call *call, struct err *err)
{
    struct fleet *fleet = call->fleet;
    struct merkle_source source = ledger_source(fleet->ledger);
    struct merkle_proof proof;
    cleanup_audit_row struct audit_row row = {0};
    const char *text;
    uint64_t seq;
    if (call_query_u64(call, "seq", 0, INT64_MAX, &seq, err) < 0 || newest(call, &text, err) < 0)
        return -1;
    if (seq == 0 || seq > ledger_size(fleet->ledger))
        return err_set(err, ERR_NOT_FOUND, "the audit log has entries 1 to %" PRIu64,
                       ledger_size(fleet->ledger));
    if (fleet->store->ops->audit_after(fleet->store, seq - 1, 1, copy_row, &row, err) < 0 ||
        merkle_prove_inclusion(&source, seq - 1, ledger_size(fleet->ledger), &proof, err) < 0)
        return -1;
    if (row.seq != seq)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " is missing", seq);
    if (!row.entry)
        return err_no_memory(err);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "seq", seq);
    jsonw_text(&w, "entry", row.entry);
    write_hashes(&w, "inclusion", &proof);
    jsonw_text(&w, "checkpoint", text);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
