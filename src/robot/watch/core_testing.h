/* The world around a core, for its tests: releases that can all be judged, frames that are there, and what was told. */
#ifndef MUSTER_ROBOT_WATCH_CORE_TESTING_H
#define MUSTER_ROBOT_WATCH_CORE_TESTING_H

#include "base/testing.h"
#include "robot/ctl/ctl.h"
#include "robot/watch/core.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

enum { PUTS = 4096, MINUTE_MS = 60000, FRAMES_PER_MINUTE = 60 };

/* What the core told. */
static struct {
    int count[MAILBOX_KINDS];
    bool full;
    char last_event[4096];
    struct otlp_points points;
    struct sample sample;
    int frames_wanted;
} told;

static struct ring_verdict verdict;
static struct digest release = {{1, 2, 3}};
static char dir[] = "/tmp/muster-core-XXXXXX";
static uint64_t noise;
static bool is_event, no_release, frame_gone;
static float series[600];
static uint8_t rgb[160 * 128 * 3];

static inline int load(const struct digest *digest, struct subject_about *out, void *arg, struct err *err)
{
    (void)digest;
    (void)arg;
    if (no_release)
        return err_set(err, ERR_NOT_FOUND, "no such release");
    *out = (struct subject_about){.version = "2.0.0",
                                  .label_count = 2,
                                  .labels = {"person", "pallet"},
                                  .threshold = 0.35,
                                  .has_profile = true};
    out->is_event = is_event;
    for (int i = 0; i < SIGNALS; i++) {
        struct drift_reference *reference = &out->references[i];
        *reference = (struct drift_reference){.mean = 0.5, .sd = 0.1, .tolerance = 0.01, .memory = 1};
        for (int b = 0; b < DRIFT_BINS - 1; b++)
            reference->edges[b] = 0.5f + 0.1f * (float)(b - 3) * 0.45f;
    }
    return 0;
}

static inline bool frame(uint64_t stream, uint64_t seq, struct core_frame *out, void *arg)
{
    (void)stream;
    (void)seq;
    (void)arg;
    told.frames_wanted++;
    *out = is_event ? (struct core_frame){.data = series, .is_values = true, .width = 600, .height = 1}
                    : (struct core_frame){.data = rgb, .width = 160, .height = 128};
    return !frame_gone;
}

static inline bool still(uint64_t stream, uint64_t seq, void *arg)
{
    (void)stream;
    (void)seq;
    (void)arg;
    return true;
}

static inline int put(enum mailbox_kind kind, const void *data, size_t len, void *arg)
{
    struct err err = {0};
    uint64_t skipped = 0;
    (void)arg;
    if (told.full)
        return 0;
    told.count[kind]++;
    if (kind == MAILBOX_EVENT) {
        assert_in_range(len, 2, sizeof told.last_event - 1);
        memcpy(told.last_event, data, len);
        told.last_event[len] = 0;
    } else if (kind == MAILBOX_METRIC) {
        assert_ok(otlp_points_parse(data, len, &told.points, &skipped, &err), err);
        assert_int_equal(skipped, 0);
    } else {
        assert_ok(sample_parse(data, len, &told.sample, &err), err);
    }
    return 1;
}

static const struct core_outside outside = {.load = load, .frame = frame, .still = still, .put = put};

static inline double unit(void)
{
    uint64_t z = (noise += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static inline struct core *begin(bool keeps)
{
    struct err err = {0};
    struct core *core = NULL;
    struct core_options options = {.block_frames = FRAMES_PER_MINUTE,
                                   .burn_in = 10,
                                   .contexts = 1,
                                   .robots = 10,
                                   .choice = {.seed = 3},
                                   .keep_dir = keeps ? dir : NULL};
    memset(&told, 0, sizeof told);
    assert_ok(core_new(&options, &outside, 0, 1700000000000, &core, &err), err);
    core_stream(core, 1);
    verdict =
        (struct ring_verdict){.stream = 1, .status = RING_VERDICT_OK, .release = release, .label_count = 2};
    return core;
}

static inline int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    noise = 7;
    is_event = no_release = frame_gone = false;
    return mkdtemp(dir) ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

/* One minute of frames, whose signal `moved` lies so many sd beside. */
static inline void minute(struct core *core, int64_t at, enum signal moved, double by)
{
    for (int i = 0; i < FRAMES_PER_MINUTE; i++) {
        int64_t now_ms = at * MINUTE_MS + i * 1000;
        verdict.seq++;
        verdict.signals.valid = 1;
        for (int s = 0; s < SIGNALS; s++)
            verdict.signals.values[s] = (float)(0.5 + 0.1 * (3.46 * (unit() - 0.5)));
        verdict.signals.values[moved] += (float)(0.1 * by);
        core_verdict(core, &verdict, now_ms, 1700000000000 + now_ms);
        core_tick(core, now_ms, 1700000000000 + now_ms);
    }
}

#endif
