#include "fleet/remote/remote.h"
#include "base/str.h"
#include "sys/fetch.h"
#include "sys/file.h"

#include <math.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 1000, BUSY_MS = 20, TOKEN_MAX_BYTES = 4096 };

struct sample { /* where it lies in the open batch */
    uint32_t at, len;
    int64_t time_ms;
};

struct batch {
    void *data;
    size_t len;
    uint64_t samples;
};

struct remote {
    struct fetch *fetch;
    char *url, *token;
    struct buf open;
    size_t open_count;
    struct sample samples[REMOTE_BATCH_SAMPLES];
    bool seal_now;
    int64_t open_since_ms; /* 0: since the next tick */
    size_t first, count;
    struct batch queue[REMOTE_QUEUE]; /* from `first` on */
    int transfer;                     /* of the first batch; 0: none under way */
    int64_t not_before_ms, wait_ms;
    int64_t now_ms; /* of the last tick */
    struct remote_counters counters;
};

static const char fields[] =
    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nUser-Agent: musterd\r\n";

static int read_token(struct remote *remote, const char *path, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(TOKEN_MAX_BYTES);
    if (file_read(path, &text, err) < 0)
        return -1;
    size_t len = strcspn(buf_text(&text), " \t\r\n");
    remote->token = mem_strndup(buf_text(&text), len);
    return remote->token ? 0 : err_no_memory(err);
}

int remote_new(const struct remote_options *options, struct remote **out, struct err *err)
{
    cleanup_remote struct remote *remote = mem_zalloc(1, sizeof *remote);
    if (!remote)
        return err_no_memory(err);
    remote->open.max = REMOTE_BATCH_BYTES;
    remote->url = mem_strdup(options->url);
    if (!remote->url)
        return err_no_memory(err);
    if (options->token_path && read_token(remote, options->token_path, err) < 0)
        return err_prefix(err, "token of remote write");
    const struct fetch_options fetch = {.ca_path = options->ca_path, .fields = fields};
    if (fetch_new(&fetch, &remote->fetch, err) < 0)
        return -1;
    *out = TAKE_PTR(remote);
    return 0;
}

void remote_free(struct remote *remote)
{
    if (!remote)
        return;
    if (remote->fetch)
        fetch_free(remote->fetch);
    for (size_t i = 0; i < remote->count; i++)
        free(remote->queue[(remote->first + i) % REMOTE_QUEUE].data);
    buf_fini(&remote->open);
    free(remote->url);
    free(remote->token);
    free(remote);
}

/* ---- batches ---- */

static int by_time(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The request in order of time, compressed. False: no memory. */
static bool pack(struct remote *remote, struct batch *out)
{
    cleanup_free char *sorted = malloc(remote->open.len);
    size_t len = snappy_max_compressed_length(remote->open.len), used = 0;
    char *packed = malloc(len);
    if (!sorted || !packed) {
        free(packed);
        return false;
    }
    qsort(remote->samples, remote->open_count, sizeof remote->samples[0], by_time);
    for (size_t i = 0; i < remote->open_count; i++) {
        memcpy(sorted + used, remote->open.data + remote->samples[i].at, remote->samples[i].len);
        used += remote->samples[i].len;
    }
    if (snappy_compress(sorted, used, packed, &len) != SNAPPY_OK) {
        free(packed);
        return false;
    }
    *out = (struct batch){.data = packed, .len = len, .samples = remote->open_count};
    return true;
}

static void forget_first(struct remote *remote)
{
    struct batch *batch = &remote->queue[remote->first];
    remote->counters.pending -= batch->samples;
    free(batch->data);
    *batch = (struct batch){0};
    remote->first = (remote->first + 1) % REMOTE_QUEUE;
    remote->count--;
}

/* The oldest goes; also one that is under way, whose answer nobody will wait for. */
static void make_room(struct remote *remote)
{
    if (remote->count < REMOTE_QUEUE)
        return;
    if (remote->transfer) {
        fetch_cancel(remote->fetch, remote->transfer);
        remote->transfer = 0;
    }
    remote->counters.dropped += remote->queue[remote->first].samples;
    forget_first(remote);
}

static void seal(struct remote *remote)
{
    if (!remote->open_count)
        return;
    make_room(remote);
    struct batch *batch = &remote->queue[(remote->first + remote->count) % REMOTE_QUEUE];
    if (pack(remote, batch)) {
        remote->count++;
    } else {
        remote->counters.dropped += remote->open_count;
        remote->counters.pending -= remote->open_count;
    }
    buf_reset(&remote->open);
    remote->open_count = 0;
    remote->open_since_ms = 0;
}

void remote_put(struct remote *remote, const struct remote_label *labels, size_t count, double value,
                int64_t time_ms)
{
    struct err err = {0};
    if (remote->open_count == REMOTE_BATCH_SAMPLES)
        seal(remote);
    size_t at = remote->open.len;
    int rc = isfinite(value) ? remote_write_sample(&remote->open, labels, count, value, time_ms, &err) : -1;
    if (rc < 0 && err.code == ERR_TOO_BIG && remote->open_count) {
        seal(remote);
        at = 0;
        err = (struct err){0};
        rc = remote_write_sample(&remote->open, labels, count, value, time_ms, &err);
    }
    if (rc < 0) {
        remote->counters.dropped++;
        return;
    }
    remote->samples[remote->open_count++] =
        (struct sample){.at = (uint32_t)at, .len = (uint32_t)(remote->open.len - at), .time_ms = time_ms};
    remote->counters.pending++;
}

void remote_flush(struct remote *remote)
{
    remote->seal_now = true;
}

/* ---- sending ---- */

static void wait_longer(struct remote *remote)
{
    remote->counters.retries++;
    remote->not_before_ms = remote->now_ms + remote->wait_ms;
    remote->wait_ms = MIN(2 * remote->wait_ms, (int64_t)REMOTE_MAX_WAIT_MS);
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct remote *remote = arg;
    int status = response->status;
    remote->transfer = 0;
    if (status >= 200 && status < 300) {
        remote->counters.sent += remote->queue[remote->first].samples;
        remote->wait_ms = REMOTE_MIN_WAIT_MS;
        remote->counters.last_error[0] = '\0';
        forget_first(remote);
        return;
    }
    str_copy(remote->counters.last_error, sizeof remote->counters.last_error, response->err.text);
    if (status >= 400 && status < 500 && status != 429) {
        remote->counters.refused += remote->queue[remote->first].samples;
        forget_first(remote);
        return;
    }
    wait_longer(remote);
}

static void send_first(struct remote *remote)
{
    struct err err = {0};
    const struct batch *batch = &remote->queue[remote->first];
    const struct fetch_request request = {.method = "POST",
                                          .url = remote->url,
                                          .content_type = "application/x-protobuf",
                                          .bearer = remote->token,
                                          .body = batch->data,
                                          .body_len = batch->len,
                                          .timeout_ms = REMOTE_TIMEOUT_MS,
                                          .max_bytes = 64 << 10};
    remote->counters.requests++;
    if (fetch_start(remote->fetch, &request, on_answer, remote, &remote->transfer, &err) == 0)
        return;
    remote->transfer = 0;
    str_copy(remote->counters.last_error, sizeof remote->counters.last_error, err.text);
    wait_longer(remote);
}

int64_t remote_tick(struct remote *remote, int64_t now_ms)
{
    struct err err = {0};
    remote->now_ms = now_ms;
    if (!remote->wait_ms)
        remote->wait_ms = REMOTE_MIN_WAIT_MS;
    if (remote->open_count && !remote->open_since_ms)
        remote->open_since_ms = now_ms;
    if (remote->seal_now || (remote->open_count && now_ms - remote->open_since_ms >= REMOTE_BATCH_MS))
        seal(remote);
    remote->seal_now = false;
    if (remote->count && !remote->transfer && now_ms >= remote->not_before_ms)
        send_first(remote);
    if (remote->transfer && fetch_poll(remote->fetch, -1, 0, &err) < 0)
        str_copy(remote->counters.last_error, sizeof remote->counters.last_error, err.text);
    return remote->transfer || (remote->count && now_ms >= remote->not_before_ms) ? BUSY_MS : IDLE_MS;
}

void remote_look(const struct remote *remote, struct remote_counters *out)
{
    *out = remote->counters;
}
