/* Accelerators: the best provider that this machine has for the release, and the engine that it may need. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline_inside.h"
#include "infer/tensorrt.h"

/* ---- what engines are built from, and how ---- */

/* The variant says in which types it wants to run, which only trtexec obeys. */
static const struct way {
    bool variant;
    enum tensorrt_way how;
} ways[] = {{true, TENSORRT_TRTEXEC}, {false, TENSORRT_TRTEXEC}, {false, TENSORRT_PROVIDER}};

static bool has_source(const struct pipeline_cache *cache, const struct way *way)
{
    return !way->variant || cache->trt.promised > 0;
}

/* ---- the engine in the cache ---- */

struct question {
    struct tensorrt tensorrt;
    struct derived_builder builder;
    struct derived_request request;
    struct derived_result found;
};

static void ask_for(struct question *question, const struct way *way, const struct pipeline *pipeline,
                    const char *model_path, const struct pipeline_options *options, bool only_look)
{
    const struct pipeline_cache *cache = options->cache;
    *question =
        (struct question){.tensorrt = tensorrt_here(pipeline->machine, &pipeline->release, cache->golden,
                                                    options->runtime_path, cache->dir),
                          .request = {.dir = cache->dir,
                                      .source = way->variant ? cache->trt.path : model_path,
                                      .source_digest = way->variant ? cache->trt.digest : cache->model,
                                      .limits = tensorrt_limits(),
                                      .now_ms = clock_wall_ms(),
                                      .only_look = only_look}};
    question->tensorrt.way = way->how;
    question->tensorrt.promised = way->variant ? cache->trt.promised : 0;
    question->tensorrt.timing_seed = cache->trt.timing_cache;
    question->builder = tensorrt_builder(&question->tensorrt);
}

static int take(struct pipeline *pipeline, const char *path, const struct pipeline_options *options,
                struct err *err)
{
    if (tensorrt_check_file(pipeline->machine, path, err) < 0)
        return -1;
    if (pipeline_load(pipeline, path, true, options, err) == 0)
        return 0;
    pipeline_unload(pipeline);
    return -1;
}

/* Of several reasons the first that says more than `nothing`. */
static void keep_reason(struct err *kept, const struct err *why, enum err_code nothing)
{
    if (kept->code == ERR_NONE || (kept->code == nothing && why->code != nothing))
        *kept = *why;
}

/* One way's entry. What does not load after all is not offered again. */
static int load_made(struct pipeline *pipeline, const struct way *way, const char *model_path,
                     const struct pipeline_options *options, struct err *err)
{
    struct question question;
    ask_for(&question, way, pipeline, model_path, options, true);
    int result = derived_open(&question.request, &question.builder, &question.found, err);
    if (result == 0 && !question.found.ready)
        result = err_set(err, ERR_NOT_FOUND, "the engine is not built yet");
    else if (result == 0 && (result = take(pipeline, question.found.path, options, err)) < 0)
        derived_reject(&question.request, &question.builder, &question.found, err->text);
    if (result == 0)
        pipeline->promised = question.tensorrt.promised;
    derived_fini(&question.found);
    return result;
}

int pipeline_load_engine(struct pipeline *pipeline, const char *model_path,
                         const struct pipeline_options *options, struct err *err)
{
    if (!options->cache)
        return err_set(err, ERR_NOT_FOUND, "its engine needs a cache (--cache)");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct err why = {0};
        if (!has_source(options->cache, &ways[i]))
            continue;
        if (load_made(pipeline, &ways[i], model_path, options, &why) == 0)
            return 0;
        keep_reason(err, &why, ERR_NOT_FOUND);
    }
    return -1;
}

/* ---- the best provider ---- */

struct attempt {
    struct pipeline *pipeline;
    const char *model_path;
    const struct pipeline_options *options;
};

static int load_plain(const struct attempt *attempt, struct err *err)
{
    struct pipeline *pipeline = attempt->pipeline;
    if (pipeline_load(pipeline, attempt->model_path, false, attempt->options, err) == 0)
        return 0;
    pipeline_unload(pipeline);
    return -1;
}

static int load_with(void *self, enum provider provider, struct err *err)
{
    const struct attempt *attempt = self;
    struct pipeline *pipeline = attempt->pipeline;
    pipeline->provider = provider;
    if (provider == PROVIDER_TENSORRT)
        return pipeline_load_engine(pipeline, attempt->model_path, attempt->options, err);
    if (provider == PROVIDER_CPU && attempt->options->cache &&
        pipeline_load_derived(pipeline, attempt->model_path, attempt->options))
        return 0;
    return load_plain(attempt, err);
}

int pipeline_load_best(struct pipeline *pipeline, const char *model_path,
                       const struct pipeline_options *options, struct err *err)
{
    struct attempt attempt = {pipeline, model_path, options};
    struct providers picked;
    int result = providers_pick(&pipeline->release, pipeline->machine, options->skip, load_with, &attempt,
                                &picked, err);
    str_copy(pipeline->degraded, sizeof pipeline->degraded, picked.degraded);
    return result;
}

/* ---- building ---- */

/* Whether the release would take TensorRT before anything else that works here. */
static int wants_engine(const struct release *release, const struct machine *machine, struct err *err)
{
    for (size_t i = 0; machine->node && i < release->runtime.provider_count; i++) {
        enum provider provider = release->runtime.providers[i];
        if (provider == PROVIDER_TENSORRT && machine->usable[provider])
            return 0;
        if (provider == PROVIDER_TENSORRT)
            return err_set(err, ERR_UNSUPPORTED, "no tensorrt: %s", machine->why[provider]);
        if (machine->usable[provider])
            break;
    }
    return err_set(err, ERR_UNSUPPORTED, "this release needs no engine on this machine");
}

static int build_one(const struct pipeline *pipeline, const struct way *way, const char *model_path,
                     const struct pipeline_options *options, struct err *err)
{
    struct question question;
    ask_for(&question, way, pipeline, model_path, options, false);
    if (!tensorrt_can_build(&question.tensorrt))
        return err_set(err, ERR_UNSUPPORTED, "trtexec is not here");
    int result = derived_open(&question.request, &question.builder, &question.found, err);
    if (result == 0 && !question.found.ready)
        result = err_set(err, ERR_REFUSED, "%s: %s", question.builder.name, question.found.why);
    derived_fini(&question.found);
    return result;
}

int pipeline_build_engine(const char *model_path, const struct release *release,
                          const struct pipeline_options *options, struct err *err)
{
    const struct machine *machine = options->machine ? options->machine : machine_get(options->runtime_path);
    cleanup_free struct pipeline *asked = mem_zalloc(1, sizeof *asked);
    if (!asked)
        return err_no_memory(err);
    asked->release = *release;
    asked->machine = machine;
    if (!options->cache || !options->cache->golden)
        return err_set(err, ERR_INVALID, "an engine needs a cache and golden cases");
    if (wants_engine(release, machine, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct err why = {0};
        if (!has_source(options->cache, &ways[i]))
            continue;
        if (build_one(asked, &ways[i], model_path, options, &why) == 0)
            return 0;
        keep_reason(err, &why, ERR_UNSUPPORTED);
    }
    return -1;
}
