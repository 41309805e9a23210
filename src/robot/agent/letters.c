#include "robot/agent/letters.h"

#include "base/log.h"
#include "robot/agent/windows.h"
#include "robot/store/reports.h"
#include "wire/api.h"
#include "wire/otlp_points.h"
#include "wire/sample.h"

#include <string.h>

enum { LOOK_MS = 1000, MOST_AT_ONCE = 16 };

static const struct {
    enum forward_class class;
    uint8_t kind;
} places[MAILBOX_KINDS] = {
    [MAILBOX_EVENT] = {FORWARD_EVENT, REPORT_WATCHED},
    [MAILBOX_METRIC] = {FORWARD_METRIC, WINDOW_WATCH},
    [MAILBOX_SAMPLE] = {FORWARD_SAMPLE, LETTER_SAMPLE},
};

void letters_init(struct letters *letters, const char *run_dir, struct forward *forward)
{
    *letters = (struct letters){.run_dir = run_dir, .forward = forward};
}

static uint64_t number_of(const struct forward_record *record)
{
    uint64_t number = 0;
    if (record->len >= LETTER_HEAD)
        memcpy(&number, record->data, sizeof number);
    return number;
}

static int open_box(struct letters *letters, struct err *err)
{
    if (mailbox_open(letters->run_dir, &letters->mailbox, err) < 0)
        return -1;
    for (size_t i = 0; i < MAILBOX_KINDS; i++) {
        struct forward_record record;
        int some = forward_newest(letters->forward, places[i].class, places[i].kind, &record, err);
        if (some < 0)
            return -1;
        letters->last[i] = some ? number_of(&record) : 0;
    }
    letters->is_open = true;
    return 0;
}

/* What it says it is, so that nothing which the server would refuse is carried for weeks. */
static int check(enum mailbox_kind kind, const uint8_t *data, size_t len, int64_t *out_time_ms,
                 struct err *err)
{
    cleanup_free struct api_report *report = mem_zalloc(1, sizeof *report);
    cleanup_free struct otlp_points *points = mem_zalloc(1, sizeof *points);
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    uint64_t skipped;
    if (!report || !points || !sample)
        return err_no_memory(err);
    int rc = kind == MAILBOX_EVENT    ? api_report_from_event(data, len, report, err)
             : kind == MAILBOX_METRIC ? otlp_points_parse(data, len, points, &skipped, err)
                                      : sample_parse(data, len, sample, err);
    *out_time_ms = kind == MAILBOX_EVENT    ? report->time_ms
                   : kind == MAILBOX_SAMPLE ? sample->time_ms
                   : points->count          ? points->points[0].end_ms
                                            : 0;
    return rc;
}

static int keep(struct letters *letters, enum mailbox_kind kind, uint64_t number, int64_t time_ms,
                const struct buf *data, struct err *err)
{
    cleanup_buf struct buf letter = BUF_INIT(FORWARD_MAX_RECORD);
    if (buf_put(&letter, &number, LETTER_HEAD, err) < 0 || buf_put(&letter, data->data, data->len, err) < 0)
        return -1;
    return forward_append(letters->forward, places[kind].class, places[kind].kind, time_ms, letter.data,
                          letter.len, err);
}

/* 1: it may be taken away. */
static int take_in(struct letters *letters, enum mailbox_kind kind, uint64_t number, const struct buf *data,
                   struct err *err)
{
    int64_t time_ms = 0;
    if (number == letters->last[kind])
        return 1;
    if (check(kind, data->data, data->len, &time_ms, err) == 0 &&
        keep(letters, kind, number, time_ms, data, err) == 0) {
        letters->last[kind] = number;
        return 1;
    }
    if (err->code != ERR_INVALID && err->code != ERR_TOO_BIG)
        return -1;
    log_warn("a letter of muster-watch is thrown away: %s", err->text);
    *err = (struct err){0};
    return 1;
}

/* 1: there was one; 0: none. */
static int take_one(struct letters *letters, struct err *err)
{
    cleanup_buf struct buf data = BUF_INIT(FORWARD_MAX_RECORD);
    enum mailbox_kind kind = MAILBOX_EVENT;
    uint64_t number = 0;
    int some = mailbox_take(&letters->mailbox, &number, &kind, &data, err);
    if (some <= 0)
        return some;
    if (take_in(letters, kind, number, &data, err) < 0)
        return -1;
    return mailbox_drop(&letters->mailbox, number, kind, err) < 0 ? -1 : 1;
}

static int take_some(struct letters *letters, struct err *err)
{
    if (!letters->is_open && open_box(letters, err) < 0)
        return -1;
    int some = 1;
    for (int i = 0; i < MOST_AT_ONCE && some > 0; i++)
        some = take_one(letters, err);
    return some < 0 ? -1 : 0;
}

void letters_tick(struct letters *letters, int64_t now_ms)
{
    struct err err = {0};
    if (now_ms < letters->next_ms)
        return;
    letters->next_ms = now_ms + LOOK_MS;
    bool well = take_some(letters, &err) == 0;
    if (!well && !letters->complained)
        log_warn("letters of muster-watch wait: %s", err.text);
    letters->complained = !well;
}
