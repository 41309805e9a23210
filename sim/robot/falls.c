#include "sim/robot/falls.h"
#include "base/clock.h"
#include "base/mem.h"
#include "muster/muster.h"
#include "sim/fall/fall.h"
#include "sim/robot/journal.h"
#include "sim/robot/rhythm.h"

#include <math.h>

enum { WINDOWS_PER_S = FALL_RATE_HZ / FALL_HOP, AFTER_S = 3, VERTICAL = 2 };
#define STUCK_AT_G 1.0f /* as if it stood still */
#define ALARM_AT 0.5f

struct faller {
    const struct play_options *options;
    struct fall_world world;
    struct muster *robot;
    struct journal journal;
    struct muster_verdict verdict;
    struct fall_act act; /* of the slot that we are in */
    bool alarmed;        /* in this slot */
    bool alarm;          /* now */
    int64_t alarm_index, flushed_ms;
    bool unanswered; /* some window of this act got no result */
};

static int64_t index_at(const struct faller *faller, int64_t wall_ms)
{
    double world_s = (double)(wall_ms % (24 * 3600 * 1000ll)) / 1000 * faller->options->speed;
    int64_t start = (int64_t)(faller->options->seed % 1000) * 3701 * FALL_RATE_HZ;
    return start + (int64_t)(world_s * WINDOWS_PER_S) * FALL_HOP;
}

/* What a broken sensor makes of a window. */
static void break_imu(const struct faller *faller, float *window)
{
    float *vertical = window + VERTICAL * FALL_WINDOW;
    for (int i = 0; faller->options->stuck && i < FALL_WINDOW; i++)
        vertical[i] = STUCK_AT_G;
}

/* Independent of the guard: one probability, or nothing. */
static bool sound(const struct muster_verdict *verdict)
{
    return verdict->answer == MUSTER_SAFE || (verdict->value_count == 1 && isfinite(verdict->values[0]) &&
                                              verdict->values[0] >= 0 && verdict->values[0] <= 1);
}

static void tell_score(struct faller *faller)
{
    bool fall = faller->act.kind < FALL_KINDS, found = faller->alarmed;
    muster_score(faller->robot, &faller->verdict, fall && found, !fall && found, fall && !found);
}

/* The act is over, and the alarm had its time. */
static void close_act(struct faller *faller, int64_t wall_ms)
{
    const struct fall_act *act = &faller->act;
    if (act->kind == ACT_NONE && !faller->alarmed)
        return;
    if (act->drill && !faller->unanswered && faller->verdict.answer != MUSTER_SAFE)
        tell_score(faller);
    double ms_per_sample = 1000.0 / FALL_RATE_HZ / faller->options->speed;
    int64_t now = index_at(faller, wall_ms);
    struct journal_act line = {
        .kind = fall_kind_name(act->kind),
        .fall = act->kind < FALL_KINDS,
        .drill = act->drill,
        .alarmed = faller->alarmed,
        .answered = !faller->unanswered,
        .from_ms = wall_ms - (int64_t)((double)(now - act->from) * ms_per_sample),
        .until_ms = wall_ms - (int64_t)((double)(now - act->until) * ms_per_sample),
        .delay_s = faller->alarmed ? (double)(faller->alarm_index - act->impact) / FALL_RATE_HZ : 0,
    };
    journal_act(&faller->journal, &line, wall_ms);
}

static void follow(struct faller *faller, int64_t index, int64_t wall_ms)
{
    struct fall_act act;
    fall_act(&faller->world, index, &act);
    if (act.from != faller->act.from) {
        if (faller->act.until)
            close_act(faller, wall_ms);
        faller->act = act;
        faller->alarmed = faller->unanswered = false;
    }
    bool was = faller->alarm;
    faller->alarm = faller->verdict.answer != MUSTER_SAFE && faller->verdict.values[0] >= ALARM_AT;
    faller->unanswered |= faller->verdict.answer == MUSTER_SAFE;
    if (faller->alarm && !was) {
        faller->alarmed = true;
        faller->alarm_index = index;
    }
}

static void one_window(struct faller *faller)
{
    int64_t wall_ms = clock_wall_ms(), index = index_at(faller, wall_ms);
    float *window = muster_values_begin(faller->robot);
    fall_window(&faller->world, index, window);
    break_imu(faller, window);
    uint64_t seq = muster_frame_submit(faller->robot, 0, faller->options->deadline_ms * 1000);
    muster_verdict_wait(faller->robot, seq, &faller->verdict);
    wall_ms = clock_wall_ms();
    journal_count(&faller->journal, &faller->verdict, sound(&faller->verdict), wall_ms);
    follow(faller, index, wall_ms);
    if (wall_ms - faller->flushed_ms >= 1000 || wall_ms < faller->flushed_ms) {
        journal_flush(&faller->journal, wall_ms);
        faller->flushed_ms = wall_ms;
    }
}

static int set_up(struct faller *faller, const struct play_options *options, struct err *err)
{
    struct muster_options link = {.run_dir = options->run_dir, .floats = FALL_CHANNELS * FALL_WINDOW};
    char why[MUSTER_TEXT_SIZE];
    faller->options = options;
    fall_init(&faller->world, options->seed);
    if (journal_open(options->log_path, &faller->journal, err) < 0)
        return -1;
    return muster_open(&link, &faller->robot, why) ? err_set(err, ERR_IO, "%s", why) : 0;
}

int play_falls(const struct play_options *options, const volatile sig_atomic_t *stop, struct err *err)
{
    cleanup_free struct faller *faller = mem_zalloc(1, sizeof *faller);
    if (!faller)
        return err_no_memory(err);
    faller->journal.fd = -1;
    int rc = set_up(faller, options, err);
    struct rhythm rhythm = rhythm_of(options->speed * WINDOWS_PER_S);
    for (uint64_t n = 0; rc == 0 && !*stop && (!options->frames || n < options->frames); n++) {
        one_window(faller);
        rhythm_wait(&rhythm, stop);
    }
    if (rc == 0)
        journal_flush(&faller->journal, clock_wall_ms());
    muster_close(faller->robot);
    journal_close(&faller->journal);
    return rc;
}
