#include "sim/robot/play.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "muster/muster.h"
#include "robot/link/link.h"
#include "sim/camera/camera.h"
#include "sim/robot/audit.h"
#include "sim/robot/journal.h"
#include "sim/robot/rhythm.h"
#include "sim/world/world.h"

enum { FLUSH_EVERY_MS = 1000 };

_Static_assert((int)CAMERA_MAX_BOXES <= (int)WORLD_MAX_BOXES, "truth has room for what a camera knows");

struct player {
    const struct play_options *options;
    struct world *world;
    struct camera *camera; /* NULL: the world is seen directly */
    struct muster *robot;
    struct journal journal;
    struct audit audit;
    int64_t flushed_ms;
    struct world_box boxes[WORLD_MAX_BOXES];
    struct camera_truth seen;
    struct detection truth[WORLD_MAX_BOXES];
    size_t truth_count;
    bool truth_known; /* only at the dock */
    struct muster_verdict verdict;
};

static void render_world(struct player *player, uint8_t *rgb)
{
    player->truth_known = world_at_dock(player->world);
    world_render(player->world, rgb, player->boxes, WORLD_MAX_BOXES, &player->truth_count);
    for (size_t i = 0; i < player->truth_count; i++) {
        const struct world_box *box = &player->boxes[i];
        player->truth[i] = (struct detection){.x0 = box->x0,
                                              .y0 = box->y0,
                                              .x1 = box->x1,
                                              .y1 = box->y1,
                                              .score = 1,
                                              .label = (uint32_t)box->label};
    }
}

static void take_picture(struct player *player, uint8_t *rgb)
{
    struct err err = {0};
    if (camera_next(player->camera, (int)(1000 / player->options->fps), rgb, &player->seen, &err) < 0) {
        log_warn("camera: %s", err.text);
        memset(rgb, 0, WORLD_FRAME_BYTES); /* lens cap on: the robot goes on all the same */
    }
    player->truth_known = player->seen.known;
    player->truth_count = player->seen.count;
    for (size_t i = 0; i < player->seen.count; i++) {
        const struct camera_box *box = &player->seen.boxes[i];
        player->truth[i] = (struct detection){box->x0, box->y0, box->x1, box->y1, 1, (uint32_t)box->label};
    }
}

static void submit(struct player *player)
{
    uint8_t *rgb = muster_frame_begin(player->robot);
    if (player->camera)
        take_picture(player, rgb);
    else
        render_world(player, rgb);
    int64_t now_ns = muster_now_ns();
    struct guard_frame frame = {
        .seq = player->robot->seq + 1,
        .stream = player->robot->stream,
        .capture_ns = now_ns,
        .deadline_ns = now_ns + (int64_t)player->options->deadline_ms * 1000000,
        .width = WORLD_WIDTH,
        .height = WORLD_HEIGHT,
    };
    audit_submitted(&player->audit, &frame);
    uint64_t seq = muster_frame_submit(player->robot, now_ns, player->options->deadline_ms * 1000);
    muster_verdict_wait(player->robot, seq, &player->verdict);
}

static void score(struct player *player)
{
    const struct muster_verdict *verdict = &player->verdict;
    struct detection found[MUSTER_MAX_DETECTIONS];
    memcpy(found, verdict->detections, verdict->count * sizeof found[0]);
    struct detection_match match =
        detection_match(found, verdict->count, player->truth, player->truth_count, 0, 0.5f);
    muster_score(player->robot, verdict, (uint32_t)match.tp, (uint32_t)match.fp, (uint32_t)match.fn);
}

static void one_frame(struct player *player)
{
    submit(player);
    const struct muster_verdict *verdict = &player->verdict;
    bool checked = audit_answer(&player->audit, verdict, link_last_verdict(player->robot),
                                link_page_is_sealed(player->robot), muster_now_ns());
    int64_t wall_ms = clock_wall_ms();
    journal_count(&player->journal, verdict, checked, wall_ms);
    if (player->truth_known) {
        if (verdict->answer != MUSTER_SAFE)
            score(player);
        journal_frame(&player->journal, verdict, player->truth, player->truth_count, wall_ms);
    }
    if (wall_ms - player->flushed_ms >= FLUSH_EVERY_MS || wall_ms < player->flushed_ms) {
        journal_flush(&player->journal, wall_ms);
        player->flushed_ms = wall_ms;
    }
}

/* Where the robot is now: a function of the clock and its seed, so that not all stand at their dock at once.
 */
static int64_t world_now_ms(const struct player *player)
{
    return (clock_wall_ms() + (int64_t)(player->options->seed % 1000) * 3701) % (24 * 3600 * 1000ll);
}

static void play(struct player *player, const volatile sig_atomic_t *stop)
{
    struct rhythm rhythm = rhythm_of(player->options->fps);
    for (uint64_t n = 0; !*stop && (player->options->frames == 0 || n < player->options->frames); n++) {
        world_seek(player->world, world_now_ms(player));
        one_frame(player);
        rhythm_wait(&rhythm, stop);
    }
    journal_flush(&player->journal, clock_wall_ms());
}

static int set_up(struct player *player, const struct play_options *options, struct err *err)
{
    struct muster_options link = {.run_dir = options->run_dir, .width = WORLD_WIDTH, .height = WORLD_HEIGHT};
    char why[MUSTER_TEXT_SIZE];
    player->options = options;
    player->world = world_new(options->seed, options->site);
    if (!player->world)
        return err_set(err, ERR_INVALID, "there is no site %d: take 0 to %d", options->site,
                       world_site_count() - 1);
    if (options->dock_period_ms && !world_set_dock(player->world, options->dock_period_ms, options->dock_ms))
        return err_set(err, ERR_INVALID, "%d ms at the dock of every %d ms leave less than 4 s to drive",
                       options->dock_ms, options->dock_period_ms);
    struct camera_options camera = {options->camera, WORLD_WIDTH, WORLD_HEIGHT};
    if (options->camera && camera_open(&camera, &player->camera, err) < 0)
        return -1;
    if (journal_open(options->log_path, &player->journal, err) < 0)
        return -1;
    if (muster_open(&link, &player->robot, why) != 0)
        return err_set(err, ERR_IO, "%s", why);
    return 0;
}

int play_robot(const struct play_options *options, const volatile sig_atomic_t *stop, struct err *err)
{
    struct player *player = mem_zalloc(1, sizeof *player);
    if (!player)
        return err_no_memory(err);
    player->journal.fd = -1;
    int done = set_up(player, options, err);
    if (done == 0)
        play(player, stop);
    muster_close(player->robot);
    journal_close(&player->journal);
    if (player->camera)
        camera_free(player->camera);
    if (player->world)
        world_free(player->world);
    free(player);
    return done;
}
