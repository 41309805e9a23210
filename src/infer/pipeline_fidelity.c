/* How alike a model answers the golden cases: for variants, which are not meant to give the same numbers. */
#include "base/mem.h"
#include "infer/fidelity.h"
#include "infer/pipeline_inside.h"

struct tensors {
    size_t count;
    struct lab_tensor items[RELEASE_MAX_TENSORS];
    float *copies[RELEASE_MAX_TENSORS]; /* owned; of golden outputs, which may lie unaligned */
};

static void tensors_fini(struct tensors *tensors)
{
    for (size_t i = 0; i < RELEASE_MAX_TENSORS; i++)
        free(tensors->copies[i]);
}
#define cleanup_tensors __attribute__((cleanup(tensors_fini)))

static void put_tensor(struct tensors *to, const struct tensor_spec *spec, const void *data, size_t elements)
{
    struct lab_tensor *item = &to->items[to->count++];
    *item = (struct lab_tensor){
        .dtype = spec->dtype, .dim_count = spec->dim_count, .data = data, .bytes = elements * sizeof(float)};
    memcpy(item->dims, spec->dims, sizeof item->dims);
}

static int wrong_shape(const struct tensor_spec *spec, struct err *err)
{
    return err_set(err, ERR_REFUSED, "output %s has another size than in the golden case", spec->name);
}

static int take_golden(const struct pipeline *pipeline, const struct golden_case *golden, struct tensors *out,
                       struct err *err)
{
    const struct release *release = &pipeline->release;
    const size_t answers = release_answer_count(release);
    if (golden->output_count != answers)
        return err_set(err, ERR_REFUSED, "%u outputs, the release has %zu", golden->output_count, answers);
    for (size_t i = 0; i < answers; i++) {
        if (golden->output_len[i] != tensor_elements(&release->outputs[i]))
            return wrong_shape(&release->outputs[i], err);
        out->copies[i] = mem_dup(golden->outputs[i], golden->output_len[i] * sizeof(float));
        if (!out->copies[i])
            return err_no_memory(err);
        put_tensor(out, &release->outputs[i], out->copies[i], golden->output_len[i]);
    }
    return 0;
}

static int take_answer(const struct pipeline *pipeline, struct tensors *out, struct err *err)
{
    const struct release *release = &pipeline->release;
    for (size_t i = 0; i < release_answer_count(release); i++) {
        size_t count = 0;
        const float *data = pipeline_output(pipeline, i, &count);
        if (!data || count != tensor_elements(&release->outputs[i]))
            return wrong_shape(&release->outputs[i], err);
        put_tensor(out, &release->outputs[i], data, count);
    }
    return 0;
}

static int compare(struct pipeline *pipeline, const struct golden_case *golden, double *out, struct err *err)
{
    cleanup_tensors struct tensors want = {0}, got = {0};
    int64_t ignored_ns;
    if (take_golden(pipeline, golden, &want, err) < 0 ||
        pipeline_time_golden(pipeline, golden, &ignored_ns, err) < 0 || take_answer(pipeline, &got, err) < 0)
        return -1;
    struct fidelity fidelity = fidelity_for(&pipeline->release, want.items, want.count);
    *out = fidelity_of(&fidelity, want.items, got.items);
    return 0;
}

int pipeline_golden_fidelity(struct pipeline *pipeline, const struct golden *golden, double *out,
                             struct err *err)
{
    double sum = 0;
    int result = golden->count ? 0 : err_set(err, ERR_REFUSED, "there are no golden cases");
    pipeline_reset_state(pipeline);
    for (uint32_t i = 0; i < golden->count && result == 0; i++) {
        double alike = 0;
        result = compare(pipeline, &golden->cases[i], &alike, err);
        if (result < 0)
            err_prefix(err, "golden case %u", i);
        sum += alike;
    }
    pipeline_reset_state(pipeline);
    *out = result == 0 ? sum / golden->count : 0;
    return result;
}
