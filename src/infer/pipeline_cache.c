/* The optimized model of this machine, if there is one or one can be made; whatever goes wrong, the plain one runs. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/optimize.h"
#include "infer/pipeline_inside.h"

static const struct derived_limits limits = {
    .time_ms = 120000, .memory_bytes = 2ull << 30, .file_bytes = 1ull << 30, .cache_bytes = 2ull << 30};

static struct derived_request request_of(const char *model_path, const struct pipeline_cache *cache)
{
    return (struct derived_request){
        .dir = cache->dir,
        .source = model_path,
        .source_digest = cache->model,
        .limits = limits,
        .now_ms = clock_wall_ms(),
        .only_look = !cache->golden,
    };
}

/* Loads and warms what was derived. */
static int take(struct pipeline *pipeline, const struct derived_result *found,
                const struct pipeline_options *options, struct err *err)
{
    if (pipeline_load(pipeline, found->path, true, options, err) == 0)
        return 0;
    pipeline_unload(pipeline);
    return -1;
}

bool pipeline_load_derived(struct pipeline *pipeline, const char *model_path,
                           const struct pipeline_options *options)
{
    const struct pipeline_cache *cache = options->cache;
    struct optimizer optimizer = {
        .runtime_path = options->runtime_path, .release = &pipeline->release, .golden = cache->golden};
    struct derived_builder builder = optimize_builder(&optimizer);
    struct derived_request request = request_of(model_path, cache);
    cleanup_derived struct derived_result found = {0};
    struct err err = {0};
    if (derived_open(&request, &builder, &found, &err) < 0) {
        str_copy(pipeline->plain_because, sizeof pipeline->plain_because, err.text);
        return false;
    }
    if (found.ready && take(pipeline, &found, options, &err) == 0)
        return true;
    if (found.ready)
        derived_reject(&request, &builder, &found, err.text);
    str_copy(pipeline->plain_because, sizeof pipeline->plain_because, found.ready ? err.text : found.why);
    return false;
}
