/* This machine's variant of the model, and whether it may serve. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/contest.h"
#include "robot/runner/engine.h"
#include "sys/file.h"

static const struct release_variant *own_variant(const struct engine *engine)
{
    return release_variant(&engine->image.release, variant_of_machine(image_this_machine()));
}

/* What does not open is out of the contest, and no error. */
void engine_unseal_variant(struct engine *engine)
{
    const struct release_variant *variant = own_variant(engine);
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    struct err err = {0};
    if (!variant)
        return;
    if (image_sealed_path(&engine->image, variant->name, &path, &err) < 0 || file_map(path, &map, &err) < 0 ||
        seal_open(map.data, map.size, engine->content_key, &engine->variant_plain, &err) < 0)
        log_warn("variant %s: %s", variant->name, err.text);
}

static int open_variant(struct engine *engine, const char *name, struct pipeline **out, struct err *err)
{
    cleanup_free char *path = NULL;
    struct pipeline_options how = engine->options;
    how.cache = NULL;
    how.skip = ~(1U << PROVIDER_CPU);
    if (image_is_sealed(&engine->image)) {
        if (!engine->variant_plain.data)
            return err_set(err, ERR_REFUSED, "its sealed weights did not open");
        how.model = engine->variant_plain.data;
        how.model_size = engine->variant_plain.size;
        return pipeline_open("sealed weights", &engine->image.release, &how, out, err);
    }
    if (image_variant_path(&engine->image, name, &path, err) < 0)
        return -1;
    return pipeline_open(path, &engine->image.release, &how, out, err);
}

static void compete(struct engine *engine, const struct release_variant *variant, const struct golden *golden,
                    struct pipeline **out, struct contest *contest)
{
    struct err err = {0};
    if (open_variant(engine, variant->name, out, &err) < 0) {
        *contest = (struct contest){.verdict = CONTEST_BROKEN};
        str_copy(contest->reason, sizeof contest->reason, err.text);
        return;
    }
    const struct contest_question question = {
        .parent = engine->pipeline, .variant = *out, .golden = golden, .promised = variant->fidelity};
    contest_run(&question, contest);
}

/* The winner has to be alone before it can be weighed. */
static int weigh(struct engine *engine, struct pipeline **variant, uint64_t parent_bytes,
                 struct contest *contest, struct err *err)
{
    pipeline_close(TAKE_PTR(engine->pipeline));
    contest_weigh(parent_bytes, contest_memory(), contest);
    if (contest->verdict == CONTEST_WON) {
        engine->pipeline = TAKE_PTR(*variant);
        return 0;
    }
    pipeline_close(TAKE_PTR(*variant));
    return engine_open_plain(engine, &engine->options, err);
}

static void say(struct engine *engine, const struct release_variant *variant, const struct contest *contest)
{
    const char *backend = pipeline_backend(engine->pipeline);
    if (contest->verdict == CONTEST_WON) {
        engine->variant = variant;
        snprintf(engine->backend, sizeof engine->backend, "%s, %s %s %.1fx", backend, variant->name,
                 precision_name(variant->precision), contest->gate.speedup);
        snprintf(engine->variant_said, sizeof engine->variant_said, "variant %s serves: %s", variant->name,
                 contest->reason);
        log_info("%s", engine->variant_said);
        return;
    }
    snprintf(engine->backend, sizeof engine->backend, "%s, %s refused: %s", backend, variant->name,
             contest_verdict_name(contest->verdict));
    snprintf(engine->variant_said, sizeof engine->variant_said,
             "variant %s does not serve, the model itself does; %s: %s", variant->name,
             contest_verdict_name(contest->verdict), contest->reason);
    log_warn("%s", engine->variant_said);
}

static void say_none(struct engine *engine, const struct release_variant *variant, const char *why)
{
    snprintf(engine->variant_said, sizeof engine->variant_said, "variant %s is not looked at: %s",
             variant->name, why);
    log_info("%s", engine->variant_said);
}

int engine_hold_contest(struct engine *engine, const struct golden *golden, struct err *err)
{
    const struct release_variant *variant = own_variant(engine);
    struct pipeline *candidate = NULL;
    struct contest contest;
    int result = 0;
    if (!variant)
        return 0;
    if (engine->plain_only || pipeline_provider(engine->pipeline) != PROVIDER_CPU) {
        say_none(engine, variant, engine->plain_only ? "--cpu-only" : "an accelerator runs the model");
        return 0;
    }
    uint64_t parent_bytes = contest_memory();
    compete(engine, variant, golden, &candidate, &contest);
    if (contest.verdict == CONTEST_WON)
        result = weigh(engine, &candidate, parent_bytes, &contest, err);
    pipeline_close(candidate);
    if (result == 0)
        say(engine, variant, &contest);
    return result;
}
