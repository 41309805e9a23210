#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline_inside.h"

enum { ALIGNMENT = 64, MAX_TENSOR_BYTES = 256 << 20 };

static int tensor_bytes(const struct tensor_spec *spec, size_t *out, struct err *err)
{
    uint64_t bytes = tensor_element_bytes(spec->dtype);
    for (size_t i = 0; i < spec->dim_count; i++) {
        if (spec->dims[i] < 1 || spec->dims[i] > MAX_TENSOR_BYTES)
            return err_set(err, ERR_INVALID, "tensor %s: dimension %zu is out of range", spec->name, i);
        bytes *= (uint64_t)spec->dims[i];
        if (bytes > MAX_TENSOR_BYTES)
            return err_set(err, ERR_TOO_BIG, "tensor %s takes more than %d MiB", spec->name,
                           MAX_TENSOR_BYTES >> 20);
    }
    *out = bytes;
    return 0;
}

static int make_tensor(const struct tensor_spec *spec, void **out, size_t *out_bytes, struct err *err)
{
    if (tensor_bytes(spec, out_bytes, err) < 0)
        return -1;
    size_t rounded = (*out_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out = aligned_alloc(ALIGNMENT, rounded);
    if (!*out)
        return err_no_memory(err);
    memset(*out, 0, rounded);
    return 0;
}

static int index_of(const struct tensor_spec *tensors, size_t count, const char *name, size_t *out,
                    struct err *err)
{
    for (size_t i = 1; i < count; i++)
        if (str_eq(tensors[i].name, name)) {
            *out = i;
            return 0;
        }
    return err_set(err, ERR_INVALID, "state: there is no tensor \"%s\"", name);
}

static int make_state(struct pipeline *pipeline, struct err *err)
{
    const struct release *release = &pipeline->release;
    for (size_t i = 0; i < release->state_count; i++) {
        struct pipeline_state *state = &pipeline->state[i];
        if (index_of(release->inputs, release->input_count, release->state[i].input, &state->input, err) <
                0 ||
            index_of(release->outputs, release->output_count, release->state[i].output, &state->output, err) <
                0)
            return -1;
        for (int k = 0; k < 2; k++)
            if (make_tensor(&release->inputs[state->input], &state->buffers[k], &state->bytes, err) < 0)
                return -1;
    }
    pipeline->variants = release->state_count ? 2 : 1;
    return 0;
}

static bool is_state(const struct pipeline *pipeline, bool input, size_t index)
{
    for (size_t i = 0; i < pipeline->release.state_count; i++)
        if ((input ? pipeline->state[i].input : pipeline->state[i].output) == index)
            return true;
    return false;
}

int pipeline_make_memory(struct pipeline *pipeline, struct err *err)
{
    const struct release *release = &pipeline->release;
    size_t bytes;
    if (make_state(pipeline, err) < 0)
        return -1;
    for (size_t i = 0; i < release->input_count; i++)
        if (!is_state(pipeline, true, i) &&
            make_tensor(&release->inputs[i], &pipeline->inputs[i], &bytes, err) < 0)
            return -1;
    for (size_t i = 0; i < release->output_count; i++)
        if (!is_state(pipeline, false, i) &&
            make_tensor(&release->outputs[i], &pipeline->outputs[i], &bytes, err) < 0)
            return -1;
    return 0;
}

void pipeline_free_memory(struct pipeline *pipeline)
{
    for (size_t i = 0; i < RELEASE_MAX_TENSORS; i++) {
        free(pipeline->inputs[i]);
        free(pipeline->outputs[i]);
        free(pipeline->state[i].buffers[0]);
        free(pipeline->state[i].buffers[1]);
    }
}

void *pipeline_output_memory(const struct pipeline *pipeline, size_t index, size_t turn)
{
    for (size_t i = 0; i < pipeline->release.state_count; i++)
        if (pipeline->state[i].output == index)
            return pipeline->state[i].buffers[1 - turn];
    return pipeline->outputs[index];
}

static int bind_turn(struct pipeline *pipeline, void *frame, size_t turn, struct err *err)
{
    void *inputs[RELEASE_MAX_TENSORS], *outputs[RELEASE_MAX_TENSORS];
    memcpy(inputs, pipeline->inputs, sizeof inputs);
    inputs[0] = frame;
    for (size_t i = 0; i < pipeline->release.state_count; i++)
        inputs[pipeline->state[i].input] = pipeline->state[i].buffers[turn];
    for (size_t i = 0; i < pipeline->release.output_count; i++)
        outputs[i] = pipeline_output_memory(pipeline, i, turn);
    size_t binding;
    return pipeline->backend->bind(pipeline->model, inputs, outputs, &binding, err);
}

int pipeline_bind_place(struct pipeline *pipeline, void *frame, struct err *err)
{
    for (size_t turn = 0; turn < pipeline->variants; turn++)
        if (bind_turn(pipeline, frame, turn, err) < 0)
            return -1;
    return 0;
}
