#include "forge/calib/observe.h"

#include "base/str.h"
#include "forge/calib/tally.h"
#include "forge/calib/watch.h"
#include "forge/graph/graph.h"

#include <string.h>

/* ---- the tensors asked for ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct observed *)a)->name, ((const struct observed *)b)->name);
}

static int name_tensors(const char *const *names, size_t count, struct observation *out, struct err *err)
{
    out->tensors = mem_zalloc(count + 1, sizeof *out->tensors);
    if (!out->tensors)
        return err_no_memory(err);
    for (; out->count < count; out->count++) {
        char *copy = mem_strdup(names[out->count]);
        if (!copy)
            return err_no_memory(err);
        out->tensors[out->count] = (struct observed){.name = copy, .finite = true};
    }
    qsort(out->tensors, out->count, sizeof *out->tensors, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (kept && str_eq(out->tensors[kept - 1].name, out->tensors[i].name))
            free((char *)(uintptr_t)out->tensors[i].name);
        else
            out->tensors[kept++] = out->tensors[i];
    }
    out->count = kept;
    return 0;
}

void observation_fini(struct observation *observation)
{
    for (size_t i = 0; i < observation->count; i++)
        free((char *)(uintptr_t)observation->tensors[i].name);
    free(observation->tensors);
    *observation = (struct observation){0};
}

const struct observed *observation_find(const struct observation *observation, const char *name)
{
    const struct observed key = {.name = name};
    return observation->count ? bsearch(&key, observation->tensors, observation->count, sizeof key, by_name)
                              : NULL;
}

/* ---- two passes ---- */

struct passes {
    struct observation *out;
    struct tally *tallies; /* parallel to out->tensors */
    bool second;
    const char *wrong; /* a tensor that is not of float32 */
    enum tensor_dtype wrong_type;
};

static void see(void *arg, size_t which, const struct lab_tensor *tensor)
{
    struct passes *passes = arg;
    struct observed *observed = &passes->out->tensors[which];
    if (tensor->dtype != DTYPE_FLOAT32) {
        passes->wrong = observed->name;
        passes->wrong_type = tensor->dtype;
        return;
    }
    size_t count = tensor->bytes / sizeof(float);
    if (passes->second) {
        tally_count(observed->bins, observed->min, observed->max, tensor->data, count);
        return;
    }
    observed->dtype = tensor->dtype;
    observed->dim_count = tensor->dim_count;
    memcpy(observed->dims, tensor->dims, sizeof observed->dims);
    tally_add(&passes->tallies[which], tensor->data, count);
}

static void finish_first(struct passes *passes)
{
    for (size_t i = 0; i < passes->out->count; i++) {
        const struct tally *tally = &passes->tallies[i];
        struct observed *observed = &passes->out->tensors[i];
        double count = tally->count ? (double)tally->count : 1;
        observed->finite = tally->broken == 0;
        observed->min = tally->min;
        observed->max = tally->max;
        observed->count = tally->count;
        observed->mean = tally->sum / count;
        observed->mean_square = tally->sum_square / count;
    }
    passes->second = true;
}

static int run_pass(struct watched *watched, struct passes *passes, struct samples *samples,
                    const struct observe_options *options, struct err *err)
{
    size_t count = options->count ? options->count : samples_calibrate(samples);
    for (size_t i = 0; i < count; i++) {
        if (options->progress &&
            options->progress(options->arg, passes->second ? count + i : i, 2 * count, err) < 0)
            return -1;
        if (watched_run(watched, samples, options->first + i, err) < 0)
            return -1;
        if (passes->wrong)
            return err_set(err, ERR_UNSUPPORTED, "tensor %s holds %s; only float32 can be observed",
                           passes->wrong, tensor_dtype_name(passes->wrong_type));
    }
    return 0;
}

static int run_passes(const char *model_path, struct samples *samples, const struct observe_options *options,
                      struct passes *passes, struct err *err)
{
    size_t count = passes->out->count;
    cleanup_free const char **names = mem_zalloc(count + 1, sizeof *names);
    cleanup_watched struct watched *watched = NULL;
    if (!names)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        names[i] = passes->out->tensors[i].name;
    if (watched_open(model_path, names, count, (struct lab_watch){.see = see, .arg = passes},
                     options->runtime_path, &watched, err) < 0 ||
        run_pass(watched, passes, samples, options, err) < 0)
        return -1;
    finish_first(passes);
    return run_pass(watched, passes, samples, options, err);
}

static int check_samples(const struct samples *samples, const struct observe_options *options,
                         struct err *err)
{
    size_t count = options->count ? options->count : samples_calibrate(samples);
    if (count > samples_count(samples) || options->first > samples_count(samples) - count)
        return err_set(err, ERR_INVALID, "samples %zu to %zu of %zu cannot be observed", options->first,
                       options->first + count, samples_count(samples));
    return 0;
}

int observe(const char *model_path, const char *const *names, size_t name_count, struct samples *samples,
            const struct observe_options *options, struct observation *out, struct err *err)
{
    cleanup_observation struct observation made = {0};
    if (check_samples(samples, options, err) < 0 || name_tensors(names, name_count, &made, err) < 0)
        return -1;
    cleanup_free struct tally *tallies = mem_zalloc(made.count + 1, sizeof *tallies);
    if (!tallies)
        return err_no_memory(err);
    struct passes passes = {.out = &made, .tallies = tallies};
    if (run_passes(model_path, samples, options, &passes, err) < 0)
        return -1;
    *out = made;
    made = (struct observation){0};
    return 0;
}
