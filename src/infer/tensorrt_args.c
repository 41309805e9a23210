#include "infer/tensorrt_args.h"

#include "base/mem.h"

#include <stdlib.h>

void tensorrt_words_fini(struct tensorrt_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->words[i]);
    *words = (struct tensorrt_words){0};
}

static char *program(const struct tensorrt_args *args)
{
    return mem_strdup(args->program);
}

static char *model(const struct tensorrt_args *args)
{
    return mem_printf("--onnx=%s", args->model);
}

static char *plan(const struct tensorrt_args *args)
{
    return mem_printf("--saveEngine=%s", args->plan);
}

static char *timing_cache(const struct tensorrt_args *args)
{
    return mem_printf("--timingCacheFile=%s", args->timing_cache);
}

static char *level(const struct tensorrt_args *args)
{
    return mem_printf("--builderOptimizationLevel=%d", args->level);
}

static char *workspace(const struct tensorrt_args *args)
{
    return mem_printf("--memPoolSize=workspace:%d", args->workspace_mib);
}

static char *no_run(const struct tensorrt_args *args)
{
    (void)args;
    return mem_strdup("--skipInference");
}

static char *strong_types(const struct tensorrt_args *args)
{
    (void)args;
    return mem_strdup("--stronglyTyped");
}

static char *dla(const struct tensorrt_args *args)
{
    return mem_printf("--useDLACore=%d", args->dla_core);
}

static char *dla_fallback(const struct tensorrt_args *args)
{
    (void)args;
    return mem_strdup("--allowGPUFallback");
}

static char *shapes(const struct tensorrt_args *args)
{
    return mem_printf("--shapes=%s", args->shapes);
}

static bool has_timing_cache(const struct tensorrt_args *args)
{
    return args->timing_cache != NULL;
}

static bool has_dla(const struct tensorrt_args *args)
{
    return args->dla_core >= 0;
}

static bool has_shapes(const struct tensorrt_args *args)
{
    return args->shapes != NULL;
}

/* The model's own types, nothing narrower: an option since 9.0, the only way since 11. */
static bool has_strong_types(const struct tensorrt_args *args)
{
    return args->major == 9 || args->major == 10;
}

/* In their order; without `when`: always. */
static const struct word {
    char *(*text)(const struct tensorrt_args *args);
    bool (*when)(const struct tensorrt_args *args);
} table[] = {{program, NULL}, {model, NULL},           {plan, NULL},        {timing_cache, has_timing_cache},
             {level, NULL},   {workspace, NULL},       {no_run, NULL},      {strong_types, has_strong_types},
             {dla, has_dla},  {dla_fallback, has_dla}, {shapes, has_shapes}};

_Static_assert(ARRAY_LEN(table) < TENSORRT_MAX_ARGS, "and the NULL at the end");

int tensorrt_args_words(const struct tensorrt_args *args, struct tensorrt_words *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].when && !table[i].when(args))
            continue;
        char *word = table[i].text(args);
        if (!word)
            return err_no_memory(err);
        out->words[out->count++] = word;
    }
    return 0;
}
