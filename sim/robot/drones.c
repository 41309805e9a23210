#include "sim/robot/drones.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "muster/muster.h"
#include "robot/link/link.h"
#include "sim/drone/drone.h"
#include "sim/robot/audit.h"
#include "sim/robot/battery.h"
#include "sim/robot/journal.h"
#include "sim/robot/rhythm.h"

enum { TELL_EVERY_MS = 500 };

struct pilot {
    const struct play_options *options;
    struct drone *drone;
    struct drone_state state;
    struct muster *robot;
    struct journal journal;
    struct audit audit;
    struct muster_verdict verdict;
    struct world_box boxes[DRONE_MAX_BOXES];
    size_t box_count;
    int64_t held_ms; /* on the pad, because a change was under way */
    int64_t last_ms, told_ms, flushed_ms;
    bool busy;
};

static int64_t drone_time(const struct pilot *pilot, int64_t wall_ms)
{
    return (wall_ms + (int64_t)(pilot->options->seed % 1000) * 7919) % (24 * 3600 * 1000ll) - pilot->held_ms;
}

/* Off the ground only if the agent agrees. */
static void move(struct pilot *pilot, int64_t wall_ms)
{
    drone_seek(pilot->drone, drone_time(pilot, wall_ms));
    drone_state(pilot->drone, &pilot->state);
    if (pilot->state.flying && !pilot->busy) {
        pilot->busy = muster_busy(pilot->robot, 1) <= 0;
        if (!pilot->busy) { /* the world waits */
            pilot->held_ms += wall_ms - pilot->last_ms;
            drone_seek(pilot->drone, drone_time(pilot, wall_ms));
            drone_state(pilot->drone, &pilot->state);
        }
    } else if (!pilot->state.flying && pilot->busy) {
        muster_busy(pilot->robot, 0);
        pilot->busy = false;
    }
    pilot->last_ms = wall_ms;
}

static void tell_battery(struct pilot *pilot, int64_t wall_ms)
{
    struct err err = {0};
    if (!pilot->options->board || llabs(wall_ms - pilot->told_ms) < TELL_EVERY_MS)
        return;
    pilot->told_ms = wall_ms;
    if (battery_show(pilot->options->board, pilot->state.battery, pilot->state.power_w, &err) < 0)
        log_warn("%s", err.text);
}

static void submit(struct pilot *pilot)
{
    drone_render(pilot->drone, muster_frame_begin(pilot->robot), pilot->boxes, DRONE_MAX_BOXES,
                 &pilot->box_count);
    int64_t now_ns = muster_now_ns();
    const struct guard_frame frame = {.seq = pilot->robot->seq + 1,
                                      .stream = pilot->robot->stream,
                                      .capture_ns = now_ns,
                                      .deadline_ns = now_ns + (int64_t)pilot->options->deadline_ms * 1000000,
                                      .width = WORLD_WIDTH,
                                      .height = WORLD_HEIGHT};
    audit_submitted(&pilot->audit, &frame);
    uint64_t seq = muster_frame_submit(pilot->robot, now_ns, pilot->options->deadline_ms * 1000);
    muster_verdict_wait(pilot->robot, seq, &pilot->verdict);
}

static void compare(struct pilot *pilot, int64_t wall_ms)
{
    struct detection truth[DRONE_MAX_BOXES], found[MUSTER_MAX_DETECTIONS];
    for (size_t i = 0; i < pilot->box_count; i++) {
        const struct world_box *box = &pilot->boxes[i];
        truth[i] = (struct detection){box->x0, box->y0, box->x1, box->y1, 1, (uint32_t)box->label};
    }
    if (pilot->verdict.answer != MUSTER_SAFE) {
        memcpy(found, pilot->verdict.detections, pilot->verdict.count * sizeof found[0]);
        struct detection_match match =
            detection_match(found, pilot->verdict.count, truth, pilot->box_count, 0, 0.5f);
        muster_score(pilot->robot, &pilot->verdict, (uint32_t)match.tp, (uint32_t)match.fp,
                     (uint32_t)match.fn);
    }
    journal_frame(&pilot->journal, &pilot->verdict, truth, pilot->box_count, wall_ms);
}

static void one_frame(struct pilot *pilot)
{
    int64_t wall_ms = clock_wall_ms();
    move(pilot, wall_ms);
    tell_battery(pilot, wall_ms);
    submit(pilot);
    bool checked = audit_answer(&pilot->audit, &pilot->verdict, link_last_verdict(pilot->robot),
                                link_page_is_sealed(pilot->robot), muster_now_ns());
    wall_ms = clock_wall_ms();
    const struct muster_verdict *verdict = &pilot->verdict;
    journal_count(&pilot->journal, verdict, checked, wall_ms);
    journal_place(&pilot->journal, verdict, pilot->state.flying, pilot->state.battery, wall_ms);
    if (!pilot->state.flying)
        compare(pilot, wall_ms);
    if (llabs(wall_ms - pilot->flushed_ms) >= 1000) {
        journal_flush(&pilot->journal, wall_ms);
        pilot->flushed_ms = wall_ms;
    }
}

static int set_up(struct pilot *pilot, const struct play_options *options, struct err *err)
{
    struct muster_options link = {.run_dir = options->run_dir, .width = WORLD_WIDTH, .height = WORLD_HEIGHT};
    char why[MUSTER_TEXT_SIZE];
    pilot->options = options;
    pilot->drone = drone_new(options->seed);
    pilot->last_ms = clock_wall_ms();
    if (!pilot->drone)
        return err_no_memory(err);
    if (journal_open(options->log_path, &pilot->journal, err) < 0)
        return -1;
    return muster_open(&link, &pilot->robot, why) ? err_set(err, ERR_IO, "%s", why) : 0;
}

int play_drone(const struct play_options *options, const volatile sig_atomic_t *stop, struct err *err)
{
    cleanup_free struct pilot *pilot = mem_zalloc(1, sizeof *pilot);
    if (!pilot)
        return err_no_memory(err);
    pilot->journal.fd = -1;
    int rc = set_up(pilot, options, err);
    struct rhythm rhythm = rhythm_of(options->fps);
    for (uint64_t n = 0; rc == 0 && !*stop && (!options->frames || n < options->frames); n++) {
        one_frame(pilot);
        rhythm_wait(&rhythm, stop);
    }
    if (rc == 0)
        journal_flush(&pilot->journal, clock_wall_ms());
    muster_close(pilot->robot);
    journal_close(&pilot->journal);
    if (pilot->drone)
        drone_free(pilot->drone);
    return rc;
}
