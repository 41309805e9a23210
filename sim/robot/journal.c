#include "sim/robot/journal.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/random.h>

int journal_open(const char *path, struct journal *out, struct err *err)
{
    uint8_t run[8];
    *out = (struct journal){.fd = -1};
    if (getrandom(run, sizeof run, 0) != (ssize_t)sizeof run)
        return err_errno(err, "random numbers");
    hex_encode(run, sizeof run, out->run);
    if (!path)
        return 0;
    out->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return out->fd < 0 ? err_errno(err, "log %s", path) : 0;
}

void journal_close(struct journal *journal)
{
    mem_cleanup_close(&journal->fd);
    journal->fd = -1;
}

static struct journal_totals *totals_of(struct journal *journal, const char *release)
{
    for (size_t i = 0; i < journal->count; i++)
        if (str_eq(journal->totals[i].release, release))
            return &journal->totals[i];
    if (journal->count == JOURNAL_RELEASES)
        return &journal->totals[JOURNAL_RELEASES - 1];
    struct journal_totals *fresh = &journal->totals[journal->count++];
    str_copy(fresh->release, sizeof fresh->release, release);
    return fresh;
}

/* The model did say something; it was not good enough. */
static bool refused_result(enum muster_reason reason)
{
    return reason == MUSTER_REASON_NOT_FINITE || reason == MUSTER_REASON_RANGE ||
           reason == MUSTER_REASON_TOO_MANY || reason == MUSTER_REASON_OTHER;
}

void journal_count(struct journal *journal, const struct muster_verdict *verdict, bool checked,
                   int64_t wall_ms)
{
    bool answered = verdict->answer != MUSTER_SAFE;
    if (answered)
        str_copy(journal->answered, sizeof journal->answered, verdict->release);
    struct journal_totals *totals = totals_of(journal, journal->answered);
    totals->frames++;
    totals->ok += verdict->answer == MUSTER_OK;
    totals->fallback += verdict->answer == MUSTER_FALLBACK;
    totals->safe += !answered;
    totals->lost += !answered && !refused_result(verdict->reason);
    totals->unchecked += !checked;
    totals->news = true;
    if (!answered)
        return;
    if (!totals->first_ms)
        totals->first_ms = wall_ms;
    totals->last_ms = wall_ms;
}

/* Appends to the line; what does not fit makes the line unusable: used > size. */
static void add(struct journal *journal, size_t *used, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void add(struct journal *journal, size_t *used, const char *fmt, ...)
{
    if (*used >= sizeof journal->line)
        return;
    va_list args;
    va_start(args, fmt);
    *used += (size_t)vsnprintf(journal->line + *used, sizeof journal->line - *used, fmt, args);
    va_end(args);
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

static void put_line(struct journal *journal, size_t used)
{
    if (journal->fd < 0 || used >= sizeof journal->line)
        return;
    ssize_t ignored = write(journal->fd, journal->line, used);
    (void)ignored; /* a full disk must not stop the robot */
}

void journal_frame(struct journal *journal, const struct muster_verdict *verdict,
                   const struct detection *truth, size_t truth_count, int64_t wall_ms)
{
    size_t used = 0;
    add(journal, &used, "{\"kind\":\"frame\",\"t\":%lld,\"release\":\"%s\",\"verdict\":\"%s\",\"truth\":[",
        (long long)wall_ms, journal->answered, muster_answer_name(verdict->answer));
    for (size_t i = 0; i < truth_count; i++)
        add(journal, &used, "%s[%u,%.2f,%.2f,%.2f,%.2f]", i ? "," : "", truth[i].label, (double)truth[i].x0,
            (double)truth[i].y0, (double)truth[i].x1, (double)truth[i].y1);
    add(journal, &used, "],\"found\":[");
    for (uint32_t i = 0; i < verdict->count; i++) {
        const struct muster_detection *item = &verdict->detections[i];
        add(journal, &used, "%s[%u,%.4f,%.2f,%.2f,%.2f,%.2f]", i ? "," : "", item->label, (double)item->score,
            (double)item->x0, (double)item->y0, (double)item->x1, (double)item->y1);
    }
    add(journal, &used, "]}\n");
    put_line(journal, used);
}

void journal_place(struct journal *journal, const struct muster_verdict *verdict, bool flying, double battery,
                   int64_t wall_ms)
{
    size_t used = 0;
    if (verdict->answer == MUSTER_SAFE ||
        (str_eq(journal->placed, verdict->release) && journal->flew == flying))
        return;
    add(journal, &used, "{\"kind\":\"place\",\"t\":%lld,\"release\":\"%s\",\"flying\":%s,\"battery\":%.3f}\n",
        (long long)wall_ms, verdict->release, json_bool(flying), battery);
    put_line(journal, used);
    str_copy(journal->placed, sizeof journal->placed, verdict->release);
    journal->flew = flying;
}

void journal_act(struct journal *journal, const struct journal_act *act, int64_t wall_ms)
{
    size_t used = 0;
    add(journal, &used,
        "{\"kind\":\"act\",\"t\":%lld,\"release\":\"%s\",\"act\":\"%s\",\"fall\":%s,\"drill\":%s,\"alarmed\":"
        "%s,"
        "\"answered\":%s,\"from_ms\":%lld,\"until_ms\":%lld,\"delay_s\":%.2f}\n",
        (long long)wall_ms, journal->answered, act->kind, json_bool(act->fall), json_bool(act->drill),
        json_bool(act->alarmed), json_bool(act->answered), (long long)act->from_ms, (long long)act->until_ms,
        act->delay_s);
    put_line(journal, used);
}

void journal_flush(struct journal *journal, int64_t wall_ms)
{
    for (size_t i = 0; i < journal->count; i++) {
        struct journal_totals *t = &journal->totals[i];
        if (!t->news)
            continue;
        size_t used = 0;
        add(journal, &used,
            "{\"kind\":\"totals\",\"t\":%lld,\"run\":\"%s\",\"release\":\"%s\",\"frames\":%llu,\"ok\":%llu,"
            "\"fallback\":%llu,\"safe\":%llu,\"lost\":%llu,\"unchecked\":%llu,\"first_ms\":%lld,\"last_ms\":%"
            "lld}\n",
            (long long)wall_ms, journal->run, t->release, (unsigned long long)t->frames,
            (unsigned long long)t->ok, (unsigned long long)t->fallback, (unsigned long long)t->safe,
            (unsigned long long)t->lost, (unsigned long long)t->unchecked, (long long)t->first_ms,
            (long long)t->last_ms);
        put_line(journal, used);
        t->news = false;
    }
}
