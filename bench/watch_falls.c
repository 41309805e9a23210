/* Humanoids with an inertial unit: all windows of the minute, five a second. Each has its own gait, offsets and tilt, and acts every 12 s, falls among it.
 * Stuck: the vertical accelerometer tells 1 g for ever. Turned: the unit was mounted anew, 25° about the axis from side to side. Vibration: a motor shakes
 * it, 0.1 g and 0.1 rad/s on every channel. */
#include "sim/fall/fall.h"
#include "sim/world/prng.h"
#include "watch.h"

#include <math.h>
#include <stdlib.h>

enum change { STAYS, STUCK, TURNED, SHAKEN };
enum { SAMPLE_MS = 1000 / FALL_RATE_HZ, FORWARD = 0, UP = 2, TURN = 3 /* the first of the turn rates */ };

struct humanoid {
    struct fall_world world;
    int change;
};

static int falls_open(int number, void **out, struct err *err)
{
    struct humanoid *humanoid = calloc(1, sizeof *humanoid);
    if (!humanoid)
        return err_no_memory(err);
    fall_init(&humanoid->world, 100 + (uint64_t)number);
    *out = humanoid;
    return 0;
}

static const char *falls_site(const void *world)
{
    (void)world;
    return "ward";
}

static void falls_change(void *world, int change)
{
    ((struct humanoid *)world)->change = change;
}

static void falls_begin_block(void *world, int64_t time_ms)
{
    (void)world, (void)time_ms;
}

static void stick(float *window)
{
    for (int i = 0; i < FALL_WINDOW; i++)
        window[UP * FALL_WINDOW + i] = 1;
}

/* Accelerations or turn rates, from channel `first` on. */
static void turn(float *window, int first)
{
    const float angle = 25 * 3.14159265f / 180;
    float *forward = window + (ptrdiff_t)(first + FORWARD) * FALL_WINDOW;
    float *up = window + (ptrdiff_t)(first + UP) * FALL_WINDOW;
    for (int i = 0; i < FALL_WINDOW; i++) {
        float x = forward[i], z = up[i];
        forward[i] = cosf(angle) * x + sinf(angle) * z;
        up[i] = cosf(angle) * z - sinf(angle) * x;
    }
}

static void shake(float *window, int64_t time_ms)
{
    struct prng rng = prng_of(7, (uint64_t)time_ms);
    for (int i = 0; i < FALL_CHANNELS * FALL_WINDOW; i++)
        window[i] += prng_range(&rng, -0.17f, 0.17f); /* sd 0.1 */
}

static void falls_see(void *world, int64_t time_ms, struct runner_frame *out)
{
    static _Alignas(64) float window[FALL_CHANNELS * FALL_WINDOW];
    struct humanoid *humanoid = world;
    fall_window(&humanoid->world, time_ms / SAMPLE_MS, window);
    if (humanoid->change == STUCK)
        stick(window);
    if (humanoid->change == TURNED) {
        turn(window, 0);
        turn(window, TURN);
    }
    if (humanoid->change == SHAKEN)
        shake(window, time_ms);
    *out = (struct runner_frame){.payload = (const uint8_t *)window,
                                 .payload_bytes = sizeof window,
                                 .width = FALL_CHANNELS * FALL_WINDOW,
                                 .height = 1,
                                 .format = RING_FLOAT32};
}

const struct watch_scene watch_falls = {.name = "falls",
                                        .block_frames = WATCH_MINUTE_MS / (FALL_HOP * SAMPLE_MS),
                                        .label_count = 1,
                                        .change = {[STAYS] = {"none", ""},
                                                   [STUCK] = {"stuck_accelerometer", "sensor"},
                                                   [TURNED] = {"turned_unit", "environment"},
                                                   [SHAKEN] = {"vibration", "environment"}},
                                        .open = falls_open,
                                        .site = falls_site,
                                        .set_change = falls_change,
                                        .begin_block = falls_begin_block,
                                        .see = falls_see,
                                        .close = free};
