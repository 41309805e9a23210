#include "robot/store/reports.h"

#include "base/str.h"
#include "robot/store/reports_inside.h"

#include <string.h>

enum { MAX_BATCH_BYTES = 256 << 10 };

struct report_log {
    struct forward *forward;
};

int report_log_open(struct forward *forward, const char *old_path, struct report_log **out, struct err *err)
{
    if (old_path && reports_import(forward, old_path, err) < 0)
        return -1;
    struct report_log *log = mem_zalloc(1, sizeof *log);
    if (!log)
        return err_no_memory(err);
    log->forward = forward;
    *out = log;
    return 0;
}

void report_log_free(struct report_log *log)
{
    free(log);
}

int report_put(struct forward *forward, const struct api_report *report, struct err *err)
{
    struct api_report tame = *report;
    tame.seq = 0;
    tame.time_ms = MAX(tame.time_ms, (int64_t)0);
    if (!str_is_name(tame.version, sizeof tame.version - 1))
        tame.version[0] = 0;
    if (!tame.guard)
        tame.who[0] = 0;
    cleanup_free char *text = api_report_format(&tame);
    if (!text)
        return err_no_memory(err);
    return forward_append(forward, FORWARD_EVENT, REPORT_RECORD, tame.time_ms, text, strlen(text), err);
}

int report_log_append(struct report_log *log, const struct api_report *report, struct err *err)
{
    return report_put(log->forward, report, err);
}

size_t report_log_pending(const struct report_log *log)
{
    return (size_t)forward_pending(log->forward, FORWARD_EVENT);
}

uint64_t report_log_last_seq(const struct report_log *log)
{
    return forward_last(log->forward, FORWARD_EVENT);
}

/* Reading back. */

/* The word or number behind "key": in a GAP's text, which robot/forward wrote. */
static void pick(const char *text, const char *key, char *out, size_t size)
{
    const char *at = strstr(text, key);
    out[0] = 0;
    if (!at)
        return;
    at += strlen(key);
    size_t len = strcspn(at, at[0] == '"' ? "}" : ",}");
    if (at[0] == '"')
        len = strcspn(++at, "\"");
    snprintf(out, size, "%.*s", (int)len, at);
}

static void decode_gap(const struct forward_record *record, struct api_report *out)
{
    char class[16], count[24], why[128];
    snprintf(out->detail, sizeof out->detail, "%.*s", (int)record->len, (const char *)record->data);
    pick(out->detail, "\"class\":", class, sizeof class);
    pick(out->detail, "\"count\":", count, sizeof count);
    pick(out->detail, "\"why\":", why, sizeof why);
    out->time_ms = record->time_ms;
    out->kind = REPORT_GAP;
    snprintf(out->text, sizeof out->text, "%s %ss: %s", count, class, why);
    if (!str_eq(class, "event"))
        return;
    *out = (struct api_report){.time_ms = record->time_ms, .kind = REPORT_RESTARTED};
    snprintf(out->text, sizeof out->text, "reports were lost: %s", why);
}

static int decode(const struct forward_record *record, struct api_report *out, struct err *err)
{
    if (record->kind == REPORT_RECORD)
        return api_report_parse(record->data, record->len, out, err);
    if (record->kind == REPORT_WATCHED && record->len > REPORT_WATCHED_HEAD)
        return api_report_from_event(record->data + REPORT_WATCHED_HEAD, record->len - REPORT_WATCHED_HEAD,
                                     out, err);
    if (record->kind != FORWARD_KIND_GAP)
        return err_set(err, ERR_INVALID, "a record of kind %d", record->kind);
    *out = (struct api_report){0};
    decode_gap(record, out);
    return 0;
}

static void decode_or_say_so(const struct forward_record *record, struct api_report *out)
{
    struct err err = {0};
    if (decode(record, out, &err) < 0) {
        *out = (struct api_report){.time_ms = MAX(record->time_ms, (int64_t)0), .kind = REPORT_GAP};
        snprintf(out->text, sizeof out->text, "a report cannot be read: %.120s", err.text);
    }
    out->seq = record->seq;
}

int report_log_batch(struct report_log *log, struct api_reports *out, struct err *err)
{
    struct forward_record record;
    size_t bytes = 0;
    uint64_t after = 0;
    str_copy(out->stream, sizeof out->stream, forward_stream(log->forward));
    for (out->count = 0; out->count < API_MAX_RECORDS && bytes < MAX_BATCH_BYTES; out->count++) {
        int some = forward_next(log->forward, FORWARD_EVENT, after, &record, err);
        if (some < 0)
            return -1;
        if (some == 0)
            return 0;
        decode_or_say_so(&record, &out->records[out->count]);
        after = record.seq;
        bytes += record.len;
    }
    return 0;
}

int report_log_ack(struct report_log *log, uint64_t acked, int64_t now_ms, struct err *err)
{
    if (acked > report_log_last_seq(log))
        return forward_restart(log->forward, now_ms, "the server knows more reports than the robot", err);
    if (acked < forward_acked(log->forward, FORWARD_EVENT))
        return forward_restart(log->forward, now_ms, "the server lost reports that it had acknowledged", err);
    return forward_ack(log->forward, FORWARD_EVENT, acked, err);
}
