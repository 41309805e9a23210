#include "robot/agent/uplink.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "robot/agent/letters.h"
#include "robot/agent/windows.h"
#include "sys/file.h"

#include <sys/random.h>

enum { POST_TIMEOUT_MS = 20000, GATHER_MS = 100, LOOK_MS = 500, MAX_WINDOW = 1 << 20 };

struct talk { /* one conversation */
    const char *what;
    int transfer; /* id; 0: none on its way */
    uint64_t seq; /* of the record on its way */
    struct backoff backoff;
    enum err_code complained; /* the last error that was logged */
};

struct uplink {
    struct uplink_options options;
    struct talk reports, metrics, samples;
    int64_t next_window_ms;
    int64_t reports_ms; /* when those that wait are sent; 0: none wait, or it is not known yet */
    bool cut_before;    /* a window went to the log in this life */
    bool unkept;        /* the last one did not, and that was logged */
};

int uplink_new(const struct uplink_options *options, struct uplink **out, struct err *err)
{
    struct uplink *uplink = mem_zalloc(1, sizeof *uplink);
    if (!uplink)
        return err_no_memory(err);
    const struct backoff backoff = {.min_ms = 200, .max_ms = 5000};
    uplink->options = *options;
    uplink->reports = (struct talk){.what = "reports", .backoff = backoff};
    uplink->metrics = (struct talk){.what = "telemetry", .backoff = backoff};
    uplink->samples = (struct talk){.what = "frames", .backoff = backoff};
    *out = uplink;
    return 0;
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    const struct talk *talks[] = {&uplink->reports, &uplink->metrics, &uplink->samples};
    for (size_t i = 0; i < ARRAY_LEN(talks); i++)
        if (talks[i]->transfer)
            fetch_cancel(uplink->options.fetch, talks[i]->transfer);
    free(uplink);
}

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

/* Logs each new kind of trouble once. True if all is well. */
static bool well(struct talk *talk, const struct err *err)
{
    if (err->code == ERR_NONE) {
        if (talk->complained != ERR_NONE)
            log_info("%s: works again", talk->what);
        talk->complained = ERR_NONE;
        backoff_reset(&talk->backoff);
        return true;
    }
    if (talk->complained != err->code)
        log_warn("%s: %s", talk->what, err->text);
    talk->complained = err->code;
    backoff_failed(&talk->backoff, clock_mono_ms(), random_bits());
    return false;
}

static void start(struct uplink *uplink, struct talk *talk, struct fetch_request *request, const char *path,
                  fetch_done *done)
{
    struct err err = {0};
    cleanup_free char *url = mem_printf("%s%s", uplink->options.server, path);
    request->url = url;
    if (!url)
        err_no_memory(&err);
    else if (fetch_start(uplink->options.fetch, request, done, uplink, &talk->transfer, &err) == 0)
        return;
    talk->transfer = 0;
    well(talk, &err);
}

/* Reports. */

static void on_reports(const struct fetch_response *response, void *arg)
{
    struct uplink *uplink = arg;
    uplink->reports.transfer = 0;
    struct err err = response->err;
    uint64_t acked = 0;
    if (err.code == ERR_NONE && api_acked_parse(response->body.data, response->body.len, &acked, &err) == 0) {
        size_t before = report_log_pending(uplink->options.log);
        if (report_log_ack(uplink->options.log, acked, clock_wall_ms(), &err) == 0 &&
            report_log_pending(uplink->options.log) >= before)
            err_set(&err, ERR_CONFLICT, "the server acknowledges nothing new");
    }
    well(&uplink->reports, &err);
}

static void post_reports(struct uplink *uplink)
{
    struct err err = {0};
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    if (!reports || report_log_batch(uplink->options.log, reports, &err) < 0) {
        if (!reports)
            err_no_memory(&err);
        well(&uplink->reports, &err);
        return;
    }
    cleanup_free char *text = api_reports_format(reports);
    struct fetch_request request = {.method = "POST",
                                    .content_type = "application/json",
                                    .body = text,
                                    .body_len = text ? strlen(text) : 0,
                                    .timeout_ms = POST_TIMEOUT_MS,
                                    .max_bytes = 64 << 10};
    start(uplink, &uplink->reports, &request, "/api/v1/reports", on_reports);
}

/* Windows and frames. */

/* The server will never take it: so that it does not stand in the way for ever, it is given up, and that is a report. */
static void give_up(struct uplink *uplink, enum forward_class class, uint64_t seq, const char *why)
{
    struct api_report gap = {.kind = REPORT_GAP, .time_ms = clock_wall_ms()};
    struct err err = {0};
    const char *name = class == FORWARD_METRIC ? "metric" : "sample";
    snprintf(gap.text, sizeof gap.text, "the server refused a %s: %.120s", name, why);
    snprintf(gap.detail, sizeof gap.detail,
             "{\"class\":\"%s\",\"count\":1,\"first\":%llu,\"last\":%llu,\"merged\":0,\"numbers\":\"%llu\","
             "\"why\":"
             "\"refused by the server\"}",
             name, (unsigned long long)seq, (unsigned long long)seq, (unsigned long long)seq);
    log_error("%s", gap.text);
    if (report_log_append(uplink->options.log, &gap, &err) < 0 ||
        forward_ack(uplink->options.forward, class, seq, &err) < 0)
        log_error("%s", err.text);
}

/* Not found, denied, refused: musterd says that of no window and no frame, so something before it did, which may go away. */
static bool is_final(enum err_code code)
{
    return code == ERR_INVALID || code == ERR_TOO_BIG;
}

static void on_taken(struct uplink *uplink, struct talk *talk, enum forward_class class, struct err *err)
{
    talk->transfer = 0;
    if (is_final(err->code)) {
        give_up(uplink, class, talk->seq, err->text);
        *err = (struct err){0};
    } else if (err->code == ERR_NONE && forward_ack(uplink->options.forward, class, talk->seq, err) < 0) {
        log_error("%s", err->text);
    }
    well(talk, err);
}

static void on_metrics(const struct fetch_response *response, void *arg)
{
    struct uplink *uplink = arg;
    struct err err = response->err;
    on_taken(uplink, &uplink->metrics, FORWARD_METRIC, &err);
}

static void on_sample(const struct fetch_response *response, void *arg)
{
    struct uplink *uplink = arg;
    struct err err = response->err;
    uint64_t acked = 0;
    if (err.code == ERR_NONE && api_acked_parse(response->body.data, response->body.len, &acked, &err) == 0 &&
        acked < uplink->samples.seq)
        err_set(&err, ERR_CONFLICT, "the server acknowledges nothing new");
    else if (err.code == ERR_INVALID && response->err.code == ERR_NONE)
        err.code = ERR_CONFLICT; /* no answer of ours: somebody else's, and no reason to give the frame up */
    on_taken(uplink, &uplink->samples, FORWARD_SAMPLE, &err);
}

static void post_metrics(struct uplink *uplink)
{
    struct err err = {0};
    struct forward_record record;
    cleanup_buf struct buf body = BUF_INIT(MAX_WINDOW);
    int some = forward_next(uplink->options.forward, FORWARD_METRIC, 0, &record, &err);
    if (some < 0)
        well(&uplink->metrics, &err);
    if (some <= 0)
        return;
    uplink->metrics.seq = record.seq;
    if (window_stamp(&record, uplink->options.robot, forward_stream(uplink->options.forward), &body, &err) <
        0) {
        give_up(uplink, FORWARD_METRIC, record.seq, err.text);
        return;
    }
    struct fetch_request request = {.method = "POST",
                                    .content_type = "application/x-protobuf",
                                    .body = body.data,
                                    .body_len = body.len,
                                    .timeout_ms = POST_TIMEOUT_MS,
                                    .max_bytes = 64 << 10};
    start(uplink, &uplink->metrics, &request, "/v1/metrics", on_metrics);
}

static void post_sample(struct uplink *uplink)
{
    struct err err = {0};
    struct forward_record record;
    char path[128];
    int some = forward_next(uplink->options.forward, FORWARD_SAMPLE, 0, &record, &err);
    if (some < 0)
        well(&uplink->samples, &err);
    if (some <= 0)
        return;
    size_t head = MIN(record.len, (size_t)LETTER_HEAD);
    uplink->samples.seq = record.seq;
    snprintf(path, sizeof path, "/api/v1/samples?stream=%s&seq=%llu", forward_stream(uplink->options.forward),
             (unsigned long long)record.seq);
    struct fetch_request request = {.method = "POST",
                                    .content_type = "application/octet-stream",
                                    .body = record.data + head,
                                    .body_len = record.len - head,
                                    .timeout_ms = 3 * POST_TIMEOUT_MS,
                                    .max_bytes = 64 << 10};
    start(uplink, &uplink->samples, &request, path, on_sample);
}

/* The guard's counters become a window. */

/* Kept before it goes to the log: an agent that is killed meanwhile makes the same window again, and finds it there. */
static void keep_tally(const struct uplink *uplink)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(256 << 10);
    if (tally_save(uplink->options.tally, &bytes, &err) < 0 ||
        file_replace(uplink->options.tally_path, bytes.data, bytes.len, 0600, &err) < 0)
        log_warn("telemetry: %s", err.text);
}

/* 1: the log has this very window, from the life before; 0: not. */
static int has_it(struct uplink *uplink, const struct buf *body, struct err *err)
{
    struct forward_record record;
    if (uplink->cut_before)
        return 0;
    int some = forward_newest(uplink->options.forward, FORWARD_METRIC, WINDOW_TALLY, &record, err);
    return some <= 0 ? some : record.len == body->len && memcmp(record.data, body->data, body->len) == 0;
}

static int put_window(struct uplink *uplink, const struct buf *body, struct err *err)
{
    int there = has_it(uplink, body, err);
    if (there != 0)
        return there < 0 ? -1 : 0;
    return forward_append(uplink->options.forward, FORWARD_METRIC, WINDOW_TALLY, clock_wall_ms(), body->data,
                          body->len, err);
}

static void cut_window(struct uplink *uplink, int64_t now_ms)
{
    const struct buf *body = NULL;
    struct err err = {0};
    uplink->next_window_ms = now_ms + uplink->options.telemetry_ms;
    int some = tally_freeze(uplink->options.tally, clock_wall_ms(), &body, &err);
    if (some < 0)
        log_error("telemetry: a window is lost: %s", err.text);
    if (some <= 0)
        return;
    keep_tally(uplink);
    bool kept = put_window(uplink, body, &err) == 0;
    if (!kept && !uplink->unkept)
        log_warn("telemetry: %s", err.text);
    uplink->unkept = !kept;
    if (!kept)
        return;
    uplink->cut_before = true;
    tally_sent(uplink->options.tally);
}

/* One post for what comes together (an order: its outcome, the guard's new state), and not in the moment in which every robot of
 * a fleet is being stopped. */
static bool reports_due(struct uplink *uplink, int64_t now_ms)
{
    if (report_log_pending(uplink->options.log) == 0)
        return false;
    if (!uplink->reports_ms)
        uplink->reports_ms = now_ms + GATHER_MS;
    return now_ms >= uplink->reports_ms;
}

static bool ready(const struct talk *talk, int64_t now_ms)
{
    return talk->transfer == 0 && backoff_ready(&talk->backoff, now_ms);
}

/* What a person wants to know at once goes first, as long as it goes at all. */
static bool metrics_due(const struct uplink *uplink)
{
    bool reports_go = uplink->reports.complained == ERR_NONE && report_log_pending(uplink->options.log) > 0;
    return !reports_go && forward_pending(uplink->options.forward, FORWARD_METRIC) > 0;
}

static bool samples_wait(const struct uplink *uplink)
{
    return forward_pending(uplink->options.forward, FORWARD_SAMPLE) > 0;
}

static bool samples_due(const struct uplink *uplink)
{
    return samples_wait(uplink) && report_log_pending(uplink->options.log) == 0 &&
           forward_pending(uplink->options.forward, FORWARD_METRIC) == 0 &&
           !uplink->options.busy(uplink->options.arg);
}

void uplink_tick(struct uplink *uplink, int64_t now_ms)
{
    if (now_ms >= uplink->next_window_ms)
        cut_window(uplink, now_ms);
    if (ready(&uplink->reports, now_ms) && reports_due(uplink, now_ms)) {
        uplink->reports_ms = 0;
        post_reports(uplink);
    }
    if (ready(&uplink->metrics, now_ms) && metrics_due(uplink))
        post_metrics(uplink);
    if (ready(&uplink->samples, now_ms) && samples_due(uplink)) {
        uplink->samples.backoff.until_ms = now_ms + LOOK_MS; /* also a pause between two frames */
        post_sample(uplink);
    }
}

int64_t uplink_next_ms(const struct uplink *uplink)
{
    int64_t next = uplink->next_window_ms;
    if (uplink->reports.transfer == 0 && report_log_pending(uplink->options.log) > 0)
        next = MIN(next, MAX(uplink->reports.backoff.until_ms, uplink->reports_ms));
    if (uplink->metrics.transfer == 0 && metrics_due(uplink))
        next = MIN(next, uplink->metrics.backoff.until_ms);
    if (uplink->samples.transfer == 0 && samples_due(uplink))
        next = MIN(next, uplink->samples.backoff.until_ms);
    return next;
}
