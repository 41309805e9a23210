#include "forge/pack_variants.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/golden.h"
#include "wire/onnx/model.h"
#include "wire/onnx/summary.h"

#include <math.h>

/* ---- what it is made of ---- */

static bool is_integer_op(const char *op)
{
    static const char *const ops[] = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
                                      "QLinearConv",    "QLinearMatMul",    "ConvInteger",
                                      "MatMulInteger"};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (str_eq(ops[i], op))
            return true;
    return false;
}

static bool casts_to_half(const struct onnx_node *node)
{
    for (size_t i = 0; i < node->attr_count; i++)
        if (str_eq(node->op, "Cast") && str_eq(node->attrs[i].name, "to") &&
            node->attrs[i].i == DTYPE_FLOAT16)
            return true;
    return false;
}

static enum precision precision_of(const struct onnx_graph *graph)
{
    bool integers = false, half = false;
    for (size_t i = 0; i < graph->node_count; i++) {
        integers |= is_integer_op(graph->nodes[i]->op);
        half |= casts_to_half(graph->nodes[i]);
    }
    for (size_t i = 0; i < graph->weight_count; i++)
        half |= graph->weights[i]->dtype == DTYPE_FLOAT16;
    if (integers)
        return half ? PRECISION_INT8_FP16 : PRECISION_INT8;
    return half ? PRECISION_FP16 : PRECISION_FP32;
}

/* The tensors are the release's, and all is in the file. */
static int look_at(const char *path, const struct release *release, enum precision *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    cleanup_onnx_model struct onnx_model *model = NULL;
    if (!summary)
        return err_no_memory(err);
    if (file_map(path, &map, err) < 0)
        return -1;
    if (onnx_summarize(map.data, map.size, summary, err) < 0 ||
        onnx_model_parse(map.data, map.size, &model, err) < 0) {
        if (err->code == ERR_INVALID)
            err->code = ERR_REFUSED;
        return -1;
    }
    *out = precision_of(onnx_model_graph(model));
    return onnx_check_release(summary, release, err);
}

/* ---- what it is worth ---- */

static int measure(const char *path, const struct release *release, const char *runtime_path,
                   const struct golden *golden, double *out, struct err *err)
{
    const struct pipeline_options options = {.runtime_path = runtime_path, .skip = ~(1U << PROVIDER_CPU)};
    struct pipeline *pipeline = NULL;
    if (pipeline_open(path, release, &options, &pipeline, err) < 0)
        return -1;
    int result = pipeline_golden_fidelity(pipeline, golden, out, err);
    pipeline_close(pipeline);
    return result;
}

/* Of what is for TensorRT the optimizer's word stands alone, if there is one: some of it no processor runs, and ONNX Runtime 1.22 cuts float16 off
 * where TensorRT rounds it into integers (forge/optimize/rehearse.c measures it as if it did not). */
static int promise(const struct recipe_variant *source, const char *path, const struct release *release,
                   const char *runtime_path, const struct golden *golden, double *out, struct err *err)
{
    double measured = 1;
    bool known = source->fidelity_lower < 1;
    if (measure(path, release, runtime_path, golden, &measured, err) < 0) {
        if (!str_eq(source->name, VARIANT_TRT) || !known)
            return -1;
        *err = (struct err){0};
    }
    if (str_eq(source->name, VARIANT_TRT) && known)
        measured = 1;
    if (measured < PACK_MIN_FIDELITY)
        return err_set(err, ERR_REFUSED,
                       "agrees with the model to %.3f only on the golden frames: it is another model",
                       measured);
    *out = floor(fmin(fmin(measured, 1) - PACK_MARGIN, source->fidelity_lower) * 1000) / 1000;
    if (*out > 0)
        return 0;
    return err_set(err, ERR_REFUSED, "the optimizer found that it may have nothing in common with the model");
}

static int try_variant(const struct recipe *recipe, const struct recipe_variant *source, const char *path,
                       const char *runtime_path, const struct golden *golden, struct release_variant *out,
                       struct err *err)
{
    str_copy(out->name, sizeof out->name, source->name);
    if (look_at(path, &recipe->release, &out->precision, err) < 0 ||
        promise(source, path, &recipe->release, runtime_path, golden, &out->fidelity, err) < 0)
        return err_prefix(err, "variant %s, %s", source->name, source->path);
    return 0;
}

/* Variants of last week's model are as alike to this week's as two models are. */
static int check_source(const struct recipe *recipe, struct err *err)
{
    struct digest digest;
    if (digest_is_zero(&recipe->optimized_of))
        return 0;
    if (hash_file(recipe->model_path, &digest, NULL, err) < 0)
        return -1;
    if (digest_equal(&digest, &recipe->optimized_of))
        return 0;
    return err_set(err, ERR_REFUSED, "optimized: made of another model than %s; run muster optimize again",
                   recipe->model_path);
}

int pack_try_variants(struct recipe *recipe, const char *const paths[RELEASE_MAX_VARIANTS],
                      const char *runtime_path, const struct buf *golden_bin, struct err *err)
{
    struct release_variant variants[RELEASE_MAX_VARIANTS] = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    if (!golden)
        return err_no_memory(err);
    if (check_source(recipe, err) < 0)
        return -1;
    if (golden_parse(golden_bin->data, golden_bin->len, golden, err) < 0)
        return -1;
    for (size_t i = 0; i < recipe->variant_count; i++)
        if (try_variant(recipe, &recipe->variants[i], paths[i], runtime_path, golden, &variants[i], err) < 0)
            return -1;
    memcpy(recipe->release.variants, variants, sizeof variants);
    recipe->release.variant_count = recipe->variant_count;
    return 0;
}
