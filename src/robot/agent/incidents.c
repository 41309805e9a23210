#include "robot/agent/incidents.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "robot/agent/chore.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HASHING_MS = 100,
    PART_BYTES = 128 << 10,
    LOOK_MS = 5000,
    BUSY_MS = 2000,
    NO_ROOM_MS = 600000,
    TIMEOUT_MS = 60000
};

struct incidents {
    struct fetch *fetch;
    const char *server;
    char *dir;
    int transfer; /* 0: none */
    int64_t next_ms;
    struct backoff backoff;
    char id[INCIDENT_ID_SIZE]; /* of the one that is on its way; "": none */
    int severity;
    struct digest digest;
    uint64_t total, have;
    bool asked;           /* what the server has of it */
    struct chore hashing; /* of the one chosen next */
    struct shelf_item chosen;
    enum err_code complained;
};

int incidents_new(struct fetch *fetch, const char *server, const char *state_dir, struct incidents **out,
                  struct err *err)
{
    cleanup_incidents struct incidents *in = mem_zalloc(1, sizeof *in);
    if (!in)
        return err_no_memory(err);
    in->fetch = fetch;
    in->server = server;
    in->dir = file_join(state_dir, "incidents");
    in->backoff = (struct backoff){.min_ms = 1000, .max_ms = 60000};
    if (!in->dir)
        return err_no_memory(err);
    *out = TAKE_PTR(in);
    return 0;
}

void incidents_free(struct incidents *in)
{
    if (!in)
        return;
    if (in->transfer)
        fetch_cancel(in->fetch, in->transfer);
    chore_cancel(&in->hashing);
    free(in->dir);
    free(in);
}

int64_t incidents_next_ms(const struct incidents *in)
{
    return in->transfer ? INT64_MAX : in->next_ms;
}

/* ---- which one ---- */

static bool goes_first(const struct shelf_item *a, const struct shelf_item *b)
{
    return a->severity != b->severity ? a->severity > b->severity : a->number < b->number;
}

static int choose(struct incidents *in, struct shelf_item *out, struct err *err)
{
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    if (shelf_read(in->dir, list, err) < 0)
        return -1;
    const struct shelf_item *best = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].sent && (!best || goes_first(&list->items[i], best)))
            best = &list->items[i];
    *out = best ? *best : (struct shelf_item){0};
    return 0;
}

struct sum {
    struct digest digest;
    uint64_t total;
};
_Static_assert(sizeof(struct sum) <= CHORE_OUT_BYTES, "an answer holds it");

/* In a process of its own: a recording has hundreds of megabytes. */
static int hash_chosen(void *arg, void *out, struct err *err)
{
    const struct incidents *in = arg;
    struct sum sum = {0};
    char path[512];
    if (shelf_path(in->dir, in->chosen.id, ".mcap", path, sizeof path, err) < 0 ||
        hash_file(path, &sum.digest, &sum.total, err) < 0)
        return -1;
    memcpy(out, &sum, sizeof sum);
    return 0;
}

static int hashed(struct incidents *in, struct err *err)
{
    uint8_t out[CHORE_OUT_BYTES];
    struct sum sum;
    enum chore_state state = chore_poll(&in->hashing, out, err);
    if (state != CHORE_DONE)
        return state == CHORE_RUNNING ? 0 : -1;
    memcpy(&sum, out, sizeof sum);
    in->digest = sum.digest;
    in->total = sum.total;
    in->severity = in->chosen.severity;
    in->have = 0;
    str_copy(in->id, sizeof in->id, in->chosen.id);
    return 0;
}

/* The gravest that is not there yet; a graver one than that on its way is taken first. */
static int take_next(struct incidents *in, struct err *err)
{
    struct shelf_item item;
    if (in->hashing.pid)
        return hashed(in, err);
    if (choose(in, &item, err) < 0)
        return -1;
    if (str_eq(item.id, in->id) || (in->id[0] && item.id[0] && item.severity == in->severity))
        return 0;
    in->id[0] = 0;
    in->asked = false;
    in->chosen = item;
    return item.id[0] ? chore_start(&in->hashing, hash_chosen, in, err) : 0;
}

/* ---- how it went ---- */

static void wait_longer(struct incidents *in)
{
    int64_t now_ms = clock_mono_ms();
    backoff_failed(&in->backoff, now_ms, (uint32_t)clock_mono_ns());
    in->next_ms = in->backoff.until_ms;
}

static void settle(struct incidents *in, const char *how)
{
    struct err err = {0};
    log_info("incident %s %s", in->id, how);
    if (shelf_mark_sent(in->dir, in->id, &err) < 0) {
        log_warn("incident %s: %s", in->id, err.text);
        wait_longer(in);
    }
    in->id[0] = 0;
}

static bool for_good(enum err_code code)
{
    return code == ERR_UNTRUSTED || code == ERR_CORRUPT || code == ERR_INVALID || code == ERR_TOO_BIG ||
           code == ERR_EXISTS;
}

/* True if all is well. UNTRUSTED can be the server itself: then nothing was heard of the incident. */
static bool well(struct incidents *in, const struct fetch_response *response)
{
    const struct err *err = &response->err;
    if (err->code == ERR_NONE) {
        backoff_reset(&in->backoff);
        in->complained = ERR_NONE;
        in->next_ms = 0;
        return true;
    }
    if (in->complained != err->code)
        log_warn("incident %s: %s", in->id, err->text);
    in->complained = err->code;
    in->asked = false;
    wait_longer(in);
    if (err->code == ERR_REFUSED)
        in->next_ms = clock_mono_ms() + NO_ROOM_MS;
    else if (response->status != 0 && for_good(err->code))
        settle(in, "is not taken by the server");
    return false;
}

static void on_done(const struct fetch_response *response, void *arg)
{
    struct incidents *in = arg;
    in->transfer = 0;
    if (well(in, response))
        settle(in, "is at the server");
}

static void on_part(const struct fetch_response *response, void *arg)
{
    struct incidents *in = arg;
    struct json_reader reader;
    struct err err = {0};
    uint64_t have = 0;
    in->transfer = 0;
    if (!well(in, response))
        return;
    if (json_read(&reader, "answer of the server", response->body.data, response->body.len, &err) == 0) {
        json_get_u64(json_root(&reader), "have", in->total, &have);
        if (json_finish(&reader, &err) == 0 && (have > in->have || !in->asked)) {
            in->have = have;
            in->asked = true;
            return;
        }
    }
    log_warn("incident %s: %s", in->id, err.code ? err.text : "the server takes no more of it");
    in->asked = false;
    wait_longer(in);
}

/* ---- sending ---- */

static void send(struct incidents *in, struct fetch_request *request, const char *path, fetch_done *done)
{
    struct err err = {0};
    cleanup_free char *url = mem_printf("%s%s", in->server, path);
    request->url = url;
    request->timeout_ms = TIMEOUT_MS;
    request->max_bytes = 64 << 10;
    if (!url)
        err_no_memory(&err);
    else if (fetch_start(in->fetch, request, done, in, &in->transfer, &err) == 0)
        return;
    in->transfer = 0;
    log_warn("incident %s: %s", in->id, err.text);
    wait_longer(in);
}

static ssize_t read_part(const struct incidents *in, uint8_t *out, struct err *err)
{
    char path[512];
    if (shelf_path(in->dir, in->id, ".mcap", path, sizeof path, err) < 0)
        return -1;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    ssize_t len = pread(fd, out, MIN((uint64_t)PART_BYTES, in->total - in->have), (off_t)in->have);
    return len > 0 ? len : err_errno(err, "%s", path);
}

static void send_part(struct incidents *in)
{
    char path[192];
    struct err err = {0};
    ssize_t len = 0;
    cleanup_free uint8_t *part = in->asked ? mem_zalloc(1, PART_BYTES) : NULL;
    if (part)
        len = read_part(in, part, &err);
    if (len < 0 || (in->asked && !part)) { /* the shelf dropped it meanwhile */
        in->id[0] = 0;
        return;
    }
    snprintf(path, sizeof path, "/api/v1/incidents/%s?offset=%llu&total=%llu",
             digest_format(&in->digest).text, (unsigned long long)in->have, (unsigned long long)in->total);
    struct fetch_request request = {
        .method = "PUT", .content_type = "application/octet-stream", .body = part, .body_len = (size_t)len};
    send(in, &request, path, on_part);
}

static void send_end(struct incidents *in)
{
    char body[128];
    int len = snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digest_format(&in->digest).text);
    struct fetch_request request = {
        .method = "POST", .content_type = "application/json", .body = body, .body_len = (size_t)len};
    send(in, &request, "/api/v1/incidents", on_done);
}

void incidents_tick(struct incidents *in, bool link_busy, int64_t now_ms)
{
    struct err err = {0};
    if (in->transfer || now_ms < in->next_ms)
        return;
    in->next_ms = now_ms + (link_busy ? BUSY_MS : LOOK_MS);
    if (link_busy)
        return;
    if (take_next(in, &err) < 0) {
        log_warn("incidents: %s", err.text);
        wait_longer(in);
    } else if (in->hashing.pid) {
        in->next_ms = now_ms + HASHING_MS; /* at the latest: its end is a signal */
    } else if (in->id[0] && in->asked && in->have == in->total) {
        send_end(in);
    } else if (in->id[0]) {
        send_part(in);
    }
}
