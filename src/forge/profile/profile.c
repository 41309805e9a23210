#include "forge/profile/profile.h"

#include "base/buf.h"
#include "base/mem.h"
#include "forge/profile/answers.h"
#include "forge/profile/embed.h"
#include "forge/profile/frames.h"
#include "forge/profile/reference.h"
#include "infer/novelty.h"
#include "infer/signals.h"

#include <math.h>

enum { RUN = 16 }; /* frames in a row that are held out, or not: neighbours are alike */

struct maker {
    const struct pack_profile_job *job;
    const struct release *release;
    struct frames frames;
    struct pipeline *pipeline;
    struct signal_maker *signals;
    struct embed embed;
    float *values; /* [SIGNALS][frames]: of one signal one after the other */
    uint32_t *sequence;
    float *scratch;              /* features that are averaged */
    struct labelfree_copy share; /* labels of results: all[label] */
    size_t done, total;
};

static void maker_fini(struct maker *maker)
{
    frames_close(&maker->frames);
    pipeline_close(maker->pipeline);
    signal_maker_free(maker->signals);
    embed_fini(&maker->embed);
    free(maker->values);
    free(maker->sequence);
    free(maker->scratch);
}
#define cleanup_maker __attribute__((cleanup(maker_fini)))

static void step(void *arg)
{
    struct maker *maker = arg;
    maker->done++;
    if (maker->job->progress)
        maker->job->progress(MIN(maker->done, maker->total), maker->total, maker->job->progress_arg);
}

static bool is_held(size_t i)
{
    return i / RUN % 3 == 2;
}

static const struct tensor_spec *tap_of(const struct release *release)
{
    return release->tap[0] ? &release->outputs[release->output_count - 1] : NULL;
}

/* ---- frame by frame ---- */

struct seen {
    struct pipeline_frame frame;
    struct detection found[ANSWERS_MAX_DETECTIONS];
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result;
    struct frame_signals signals;
};

static int see_frame(struct maker *maker, size_t i, struct seen *seen, struct err *err)
{
    seen->result = (struct pipeline_result){.detections = seen->found,
                                            .max_detections = ANSWERS_MAX_DETECTIONS,
                                            .values = seen->values,
                                            .max_values = PIPELINE_MAX_VALUES};
    if (frames_load(&maker->frames, i, &seen->frame, err) < 0 ||
        pipeline_process(maker->pipeline, &seen->frame, &seen->result, NULL, err) < 0)
        return err_prefix(err, "%s", maker->frames.files[i].path);
    signal_maker_frame(maker->signals, &seen->frame, maker->pipeline, &seen->result, 0, &seen->signals);
    maker->sequence[i] = maker->frames.files[i].sequence;
    return 0;
}

static void keep_signals(struct maker *maker, size_t i, const struct frame_signals *signals, bool novelty)
{
    for (size_t s = 0; s < SIGNALS; s++)
        if ((signal_infos[s].family == FAMILY_NOVELTY) == novelty)
            maker->values[s * maker->frames.count + i] = signals->values[s];
}

static int keep_features(struct maker *maker, size_t i, const struct seen *seen, struct err *err)
{
    struct novelty_candidate candidates[NOVELTY_CANDIDATES];
    const size_t count =
        novelty_candidates(maker->pipeline, &seen->frame, &seen->result, maker->scratch, candidates);
    for (size_t k = 0; k < count; k++)
        if (embed_add(&maker->embed, candidates[k].features, candidates[k].stride, candidates[k].label,
                      is_held(i), err) < 0)
            return -1;
    return 0;
}

static void keep_labels(struct maker *maker, const struct pipeline_result *result)
{
    if (maker->release->task == TASK_DETECTION) {
        for (size_t i = 0; i < result->count; i++)
            maker->share.all[MIN(result->detections[i].label, (uint32_t)SIGNAL_LABELS - 1)]++;
        return;
    }
    size_t top = 0;
    for (size_t i = 1; i < result->count; i++)
        top = result->values[i] > result->values[top] ? i : top;
    maker->share.all[MIN(top, (size_t)SIGNAL_LABELS - 1)]++;
}

static int open_signals(struct maker *maker, const struct profile *profile, struct err *err)
{
    signal_maker_free(maker->signals);
    maker->signals = NULL;
    return signal_maker_new(maker->release, profile, &maker->signals, err);
}

static void begin_frame(struct maker *maker, size_t i, bool afresh)
{
    if (!afresh && i && maker->frames.files[i - 1].sequence == maker->frames.files[i].sequence)
        return;
    signal_maker_reset(maker->signals);
    pipeline_reset_state(maker->pipeline);
}

static int first_pass(struct maker *maker, struct seen *seen, struct err *err)
{
    const size_t stride = maker->frames.count * NOVELTY_CANDIDATES / EMBED_MAX_VECTORS + 1;
    if (open_signals(maker, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < maker->frames.count; i++) {
        begin_frame(maker, i, false);
        if (see_frame(maker, i, seen, err) < 0)
            return -1;
        keep_signals(maker, i, &seen->signals, false);
        keep_labels(maker, &seen->result);
        if (maker->scratch && i % stride == 0 && keep_features(maker, i, seen, err) < 0)
            return -1;
        step(maker);
    }
    return 0;
}

/* How new frames look that nothing was fitted to. A model with memory has to see the others too. */
static int second_pass(struct maker *maker, const struct profile *profile, struct seen *seen, struct err *err)
{
    const bool all = maker->release->state_count > 0;
    if (open_signals(maker, profile, err) < 0)
        return -1;
    for (size_t i = 0; i < maker->frames.count; i++) {
        if (!all && !is_held(i))
            continue;
        begin_frame(maker, i, false);
        if (see_frame(maker, i, seen, err) < 0)
            return -1;
        if (is_held(i))
            keep_signals(maker, i, &seen->signals, true);
        step(maker);
    }
    return 0;
}

/* ---- what comes of it ---- */

/* A camera's frames resemble the ones before; scenes that were chosen one by one do not. */
static bool is_sequence(const struct maker *maker)
{
    static const enum signal slow[] = {SIGNAL_LUMA, SIGNAL_CONTRAST};
    for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
        const struct reference_series series = {.values = maker->values + slow[i] * maker->frames.count,
                                                .sequence = maker->sequence,
                                                .count = maker->frames.count};
        if (reference_memory(&series) >= 3)
            return true;
    }
    return false;
}

static bool is_watched(enum signal signal, bool sequence)
{
    return signal != SIGNAL_RUN_MS && (sequence || (signal != SIGNAL_CHANGE && signal != SIGNAL_FLICKER));
}

static int fit_signals(struct maker *maker, struct profile *out, struct err *err)
{
    const size_t count = maker->frames.count;
    cleanup_free float *sorted = mem_zalloc(count, sizeof *sorted);
    if (!sorted)
        return err_no_memory(err);
    const bool sequence = is_sequence(maker);
    for (enum signal s = 0; s < SIGNALS; s++) {
        const struct reference_series series = {
            .values = maker->values + s * count, .sequence = maker->sequence, .count = count};
        if (is_watched(s, sequence))
            reference_of(&series, sequence ? 0 : PROFILE_UNKNOWN_MEMORY, sorted, &out->signals[s]);
    }
    return 0;
}

static void fit_labels(const struct maker *maker, struct profile *out)
{
    double sum = 0;
    for (size_t i = 0; i < SIGNAL_LABELS; i++)
        sum += (double)maker->share.all[i];
    for (size_t i = 0; i < SIGNAL_LABELS && sum > 0; i++)
        out->label_share[i] = (double)maker->share.all[i] / sum;
}

/* ---- together ---- */

static int make_room(struct maker *maker, struct err *err)
{
    const size_t count = maker->frames.count;
    const struct tensor_spec *tap = tap_of(maker->release);
    if (count < PROFILE_MIN_FRAMES)
        return err_set(err, ERR_INVALID, "%zu frames are too few to know what is ordinary; take %d or more",
                       count, PROFILE_MIN_FRAMES);
    maker->values = mem_zalloc(SIGNALS * count, sizeof *maker->values);
    maker->sequence = mem_zalloc(count, sizeof *maker->sequence);
    if (tap)
        maker->scratch = mem_zalloc(PROFILE_MAX_CHANNELS, sizeof *maker->scratch);
    if (!maker->values || !maker->sequence || (tap && !maker->scratch))
        return err_no_memory(err);
    for (size_t i = 0; i < SIGNALS * count; i++)
        maker->values[i] = NAN;
    embed_init(&maker->embed, tap ? (size_t)tap->dims[1] : 0);
    maker->total = count + (tap ? count / 3 : 0) + answers_runs(&maker->frames);
    return 0;
}

static int open_maker(struct maker *maker, struct err *err)
{
    /* The reference is the processor: every robot has one, and it repeats itself. */
    const struct pipeline_options options = {.runtime_path = maker->job->runtime_path,
                                             .skip = ~(1U << PROVIDER_CPU)};
    if (frames_open(maker->job->calib, maker->release, &maker->frames, err) < 0 || make_room(maker, err) < 0)
        return -1;
    return pipeline_open(maker->job->model_path, maker->release, &options, &maker->pipeline, err);
}

static int work(struct maker *maker, struct profile *out, struct err *err)
{
    cleanup_free struct seen *seen = mem_zalloc(1, sizeof *seen);
    if (!seen)
        return err_no_memory(err);
    if (open_maker(maker, err) < 0 || first_pass(maker, seen, err) < 0)
        return -1;
    if (maker->scratch && (embed_fit(&maker->embed, maker->release->tap, out, err) < 0 ||
                           second_pass(maker, out, seen, err) < 0))
        return -1;
    if (fit_signals(maker, out, err) < 0)
        return -1;
    fit_labels(maker, out);
    return answers_fit(&maker->frames, maker->pipeline, step, maker, &out->accuracy, err);
}

int profile_make(const struct pack_profile_job *job, struct profile *out, struct err *err)
{
    cleanup_maker struct maker maker = {.job = job, .release = job->release};
    *out = (struct profile){.accuracy.accuracy = NAN};
    if (work(&maker, out, err) == 0)
        return 0;
    profile_fini(out);
    return -1;
}

int profile_make_bytes(const struct pack_profile_job *job, struct buf *out, struct err *err)
{
    cleanup_profile struct profile profile = {0};
    return profile_make(job, &profile, err) < 0 ? -1 : profile_format(&profile, out, err);
}
