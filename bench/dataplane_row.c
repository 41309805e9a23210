/* One frame size in one mode: the whole way and the bare Run(), in turn. */
#include "base/clock.h"
#include "base/mem.h"
#include "bench/dataplane.h"
#include "robot/link/link.h"
#include "sys/proc.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOUCHED_FRAMES = 40 };

size_t frames_bytes(const struct frames *frames)
{
    return frames->floats ? frames->floats * sizeof(float) : (size_t)frames->width * frames->height * 3;
}

/* ---- one frame ---- */

static void note(struct row *row, enum what what, double us)
{
    struct series *series = &row->series[what];
    series->us[series->count++] = us;
}

/* Past the caches, as the DMA of a camera writes; where the compiler has no such stores: through them. */
static void store(float *to, float a, float b, float c, float d)
{
#if defined(__SSE__)
    _mm_stream_ps(to, _mm_setr_ps(a, b, c, d));
#else
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
#endif
}

/* A camera that is never late, and never the same twice in a row: it writes, and reads nothing. Frames begin at 64
 * bytes and are a multiple of 16 long. */
static void paint(uint8_t *frame, const struct row *row, uint64_t n)
{
    float *to = (float *)(void *)frame;
    size_t count = frames_bytes(&row->frames) / sizeof(float);
    for (size_t i = 0; i < count; i += 4) {
        float at = (float)((i + n * 16) & 1023) * (1.0f / 1024);
        if (row->by_cpu)
            memcpy(to + i, (const float[]){at, 1 - at, at, at * at}, 4 * sizeof at);
        else
            store(to + i, at, 1 - at, at, at * at);
    }
#if defined(__SSE__)
    _mm_sfence();
#endif
}

void row_frame(struct rig *rig, struct row *row, uint64_t n, bool counts)
{
    struct muster_verdict verdict;
    uint8_t *to =
        row->frames.floats ? (uint8_t *)muster_values_begin(rig->robot) : muster_frame_begin(rig->robot);
    paint(to, row, n);
    int64_t start_ns = clock_mono_ns();
    uint64_t seq = muster_frame_submit(rig->robot, start_ns, 1000000);
    enum muster_answer answer = muster_verdict_wait(rig->robot, seq, &verdict);
    int64_t end_ns = clock_mono_ns();
    if (!counts)
        return;
    if (answer != MUSTER_OK) {
        row->not_ok++;
        return;
    }
    const struct ring_verdict *raw = link_last_verdict(rig->robot);
    note(row, WHOLE, (double)(end_ns - start_ns) / 1000);
    note(row, OWN_RUN, (double)raw->run_ns / 1000);
    note(row, OWN_ADDED, (double)(end_ns - start_ns - raw->run_ns) / 1000);
    note(row, TO_RUNNER, (double)(raw->started_ns - start_ns) / 1000);
    note(row, TO_GUARD, (double)(raw->decided_ns - raw->finished_ns) / 1000);
    note(row, TO_PROGRAM, (double)(end_ns - raw->decided_ns) / 1000);
}

static int bare_frame(struct bare *bare, struct row *row, uint64_t n, bool counts, struct err *err)
{
    int64_t run_ns = 0;
    paint(bare_begin(bare), row, n);
    if (bare_run(bare, row->mode->spin, &run_ns, err) < 0)
        return -1;
    if (counts)
        note(row, BARE, (double)run_ns / 1000);
    return 0;
}

/* Until the camera has the next frame. */
static void wait_for_camera(const struct mode *mode)
{
    const struct timespec pause = {.tv_sec = mode->pause_us / 1000000,
                                   .tv_nsec = (long)(mode->pause_us % 1000000) * 1000};
    if (mode->pause_us)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* ---- one row ---- */

static double cpu_seconds(pid_t pid)
{
    char path[48], text[512];
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof text, file))
        return 0;
    return strtod(text, NULL) / 1e9;
}

static int take_turns(struct rig *rig, struct bare *bare, struct row *row, uint64_t frames, struct err *err)
{
    double before = 0;
    for (uint64_t n = 0; n < WARM_FRAMES + frames; n++) {
        if (n == WARM_FRAMES)
            before = cpu_seconds(rig->guard);
        wait_for_camera(row->mode);
        row_frame(rig, row, n, n >= WARM_FRAMES);
        wait_for_camera(row->mode);
        if (bare_frame(bare, row, n, n >= WARM_FRAMES, err) < 0)
            return -1;
    }
    row->guard_cpu_us = (cpu_seconds(rig->guard) - before) * 1e6 / (double)frames;
    return 0;
}

/* Payloads' worth of memory that guard, runner and program touched outside the frames' own while frames went through: a
 * copy of each frame would be at least one. */
static int count_copies(struct rig *rig, struct row *row, struct err *err)
{
    const pid_t pids[] = {rig->guard, rig->runner, getpid()};
    uint64_t bytes = 0, frames_bytes_seen = 0, sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        if (touched_reset(pids[i], err) < 0)
            return -1;
    for (uint64_t n = 0; n < TOUCHED_FRAMES; n++)
        row_frame(rig, row, n, false);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        if (touched_read(pids[i], &bytes, &frames_bytes_seen, err) < 0)
            return -1;
        sum += bytes;
    }
    row->copies = (double)sum / (double)frames_bytes(&row->frames);
    return 0;
}

static int make_series(struct row *row, uint64_t frames, struct err *err)
{
    for (int i = 0; i < WHATS; i++)
        if (!(row->series[i].us = mem_zalloc(frames, sizeof(double))))
            return err_no_memory(err);
    return 0;
}

/* Large frames take their time to be written; as many as there are of the small ones would not say more. */
static uint64_t frames_for(const struct bench *bench, size_t bytes)
{
    uint64_t frames = bench->args.frames;
    return bytes <= 1 << 20 ? frames : MAX(frames * (1 << 20) / bytes, MIN(frames, 200));
}

int row_behind_http(const struct bench *bench, const char *store, struct row *row, struct err *err)
{
    struct http_peer peer;
    uint64_t frames = MAX(frames_for(bench, frames_bytes(&row->frames)) / 4, 20);
    int64_t run_ns;
    int done = http_start(&peer, store, &row->frames, row->mode->cores.runner, err);
    for (uint64_t n = 0; done == 0 && n < WARM_FRAMES / 4 + frames; n++) {
        paint(bench->picture, row, n);
        int64_t start_ns = clock_mono_ns();
        done = http_run(&peer, bench->picture, frames_bytes(&row->frames), &run_ns, err);
        if (done == 0 && n >= WARM_FRAMES / 4)
            note(row, HTTP, (double)(clock_mono_ns() - start_ns) / 1000);
    }
    http_stop(&peer);
    return done;
}

int row_measure(struct bench *bench, const char *store, struct row *row, struct err *err)
{
    size_t bytes = frames_bytes(&row->frames);
    uint64_t frames = frames_for(bench, bytes);
    struct rig rig = {.agent = -1};
    struct bare bare = {.frames = {.fd = -1}, .results = {.fd = -1}};
    if (make_series(row, frames, err) < 0 || pin(0, row->mode->cores.program, err) < 0)
        return -1;
    int done = bare_start(&bare, store, &row->frames, row->mode->cores.runner, err);
    if (done == 0)
        done = rig_start(&rig, bench->dir, store, row->mode, &row->frames, false, err);
    if (done == 0)
        done = take_turns(&rig, &bare, row, frames, err);
    if (done == 0 && bytes == BENCH_LARGEST)
        done = count_copies(&rig, row, err);
    bench->guard_rss_kib = proc_rss_bytes(rig.guard) / 1024;
    rig_stop(&rig);
    bare_stop(&bare);
    return done;
}

void row_free(struct row *row)
{
    for (int what = 0; what < WHATS; what++)
        free(row->series[what].us);
}
