#include "robot/agent/uplink.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "sys/file.h"

#include <sys/random.h>

enum { POST_TIMEOUT_MS = 20000, GATHER_MS = 100 };

struct talk { /* one conversation */
    const char *what;
    int transfer; /* id; 0: none on its way */
    struct backoff backoff;
    enum err_code complained; /* the last error that was logged */
};

struct uplink {
    struct uplink_options options;
    struct talk reports, metrics;
    int64_t next_metrics_ms;
    int64_t reports_ms; /* when those that wait are sent; 0: none wait, or it is not known yet */
    bool posting;       /* a frozen export is being tried */
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
    *out = uplink;
    return 0;
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    const struct talk *talks[] = {&uplink->reports, &uplink->metrics};
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

/* Telemetry. */

static void on_metrics(const struct fetch_response *response, void *arg)
{
    struct uplink *uplink = arg;
    uplink->metrics.transfer = 0;
    struct err err = response->err;
    bool sent = well(&uplink->metrics, &err);
    /* What the server refuses for good would be refused for ever: it is given up, and said so. */
    if (!sent && (err.code == ERR_INVALID || err.code == ERR_TOO_BIG)) {
        log_error("telemetry: a window is lost: %s", err.text);
        sent = true;
    }
    if (!sent)
        return;
    tally_sent(uplink->options.tally);
    uplink->posting = false;
}

/* Kept before it is sent: an agent that is killed meanwhile sends the same again under the same number. */
static void keep_tally(const struct uplink *uplink)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(256 << 10);
    if (tally_save(uplink->options.tally, &bytes, &err) < 0 ||
        file_replace(uplink->options.tally_path, bytes.data, bytes.len, 0600, &err) < 0)
        log_warn("telemetry: %s", err.text);
}

static void post_metrics(struct uplink *uplink, int64_t now_ms)
{
    const struct buf *body = NULL;
    bool again = uplink->posting;
    if (!again)
        uplink->next_metrics_ms = now_ms + uplink->options.telemetry_ms;
    struct err err = {0};
    int some = tally_freeze(uplink->options.tally, clock_wall_ms(), &body, &err);
    if (some < 0)
        log_error("telemetry: a window is lost: %s", err.text);
    if (some <= 0)
        return;
    if (!again)
        keep_tally(uplink);
    uplink->posting = true;
    struct fetch_request request = {.method = "POST",
                                    .content_type = "application/x-protobuf",
                                    .body = body->data,
                                    .body_len = body->len,
                                    .timeout_ms = POST_TIMEOUT_MS,
                                    .max_bytes = 64 << 10};
    start(uplink, &uplink->metrics, &request, "/v1/metrics", on_metrics);
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

void uplink_tick(struct uplink *uplink, int64_t now_ms)
{
    if (ready(&uplink->reports, now_ms) && reports_due(uplink, now_ms)) {
        uplink->reports_ms = 0;
        post_reports(uplink);
    }
    if (ready(&uplink->metrics, now_ms) && (uplink->posting || now_ms >= uplink->next_metrics_ms))
        post_metrics(uplink, now_ms);
}

int64_t uplink_next_ms(const struct uplink *uplink)
{
    int64_t next = INT64_MAX;
    if (uplink->reports.transfer == 0 && report_log_pending(uplink->options.log) > 0)
        next = MIN(next, MAX(uplink->reports.backoff.until_ms, uplink->reports_ms));
    if (uplink->metrics.transfer == 0)
        next = MIN(next, uplink->posting ? uplink->metrics.backoff.until_ms : uplink->next_metrics_ms);
    return next;
}
