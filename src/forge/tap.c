#include "forge/tap.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/lab.h"
#include "sys/file.h"
#include "wire/onnx/model.h"

#include <sys/mman.h>

#define MODEL_MAX_BYTES ((size_t)2 << 30)

void tapped_close(struct tapped *tapped)
{
    mem_cleanup_close(&tapped->fd);
    tapped->fd = -1;
}

/* ---- in the graph ---- */

static struct onnx_value_info *find_output(const struct onnx_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->output_count; i++)
        if (str_eq(graph->outputs[i]->name, name))
            return graph->outputs[i];
    return NULL;
}

static bool is_made(const struct onnx_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t k = 0; k < graph->nodes[i]->output_count; k++)
            if (str_eq(graph->nodes[i]->outputs[k], name))
                return true;
    return false;
}

/* What a person could have meant: the last activation, or else the last node's first tensor but one. */
static const char *suggestion(const struct onnx_graph *graph)
{
    const char *found = "";
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct onnx_node *node = graph->nodes[i];
        bool feature = str_eq(node->op, "Mul") || str_eq(node->op, "Relu") || str_eq(node->op, "Conv");
        if (feature && node->output_count && !find_output(graph, node->outputs[0]))
            found = node->outputs[0];
    }
    return found;
}

static int check_made(const struct onnx_graph *graph, const char *name, struct err *err)
{
    if (is_made(graph, name))
        return 0;
    return err_set(err, ERR_REFUSED,
                   "tap: the model computes no tensor \"%.60s\"; one that it does: \"%.60s\"", name,
                   suggestion(graph));
}

static int put_bytes(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static int write_model(const struct onnx_model *model, struct buf *out, struct err *err)
{
    buf_reset(out);
    return onnx_model_write(model, &(struct onnx_writer){.put = put_bytes, .arg = out}, err);
}

/* ---- its shape ---- */

static int make_inputs(const struct lab *lab, const struct release *release,
                       struct lab_tensor inputs[RELEASE_MAX_TENSORS], struct err *err)
{
    for (size_t i = 0; i < lab_input_count(lab); i++) {
        const struct tensor_spec *spec = NULL;
        for (size_t k = 0; k < release->input_count && i < RELEASE_MAX_TENSORS; k++)
            if (str_eq(release->inputs[k].name, lab_input(lab, i)->name))
                spec = &release->inputs[k];
        if (!spec)
            return err_set(err, ERR_REFUSED,
                           "input \"%.60s\": the model has it, the release does not name it",
                           lab_input(lab, i)->name);
        const size_t bytes = tensor_elements(spec) * tensor_element_bytes(spec->dtype);
        inputs[i] = (struct lab_tensor){
            .dtype = spec->dtype, .dim_count = spec->dim_count, .data = mem_zalloc(1, bytes), .bytes = bytes};
        if (!inputs[i].data)
            return err_no_memory(err);
        memcpy(inputs[i].dims, spec->dims, sizeof spec->dims);
    }
    return 0;
}

static int take_spec(const struct lab_tensor *tensor, const char *name, struct tensor_spec *out,
                     struct err *err)
{
    *out = (struct tensor_spec){.dtype = tensor->dtype, .dim_count = tensor->dim_count};
    str_copy(out->name, sizeof out->name, name);
    memcpy(out->dims, tensor->dims, sizeof out->dims);
    bool fits = out->dtype == DTYPE_FLOAT32 && out->dim_count >= 2 && out->dim_count <= 4 &&
                out->dims[0] == 1 && out->dims[1] <= RELEASE_MAX_TAP_CHANNELS && str_eq(out->name, name);
    if (fits)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "tap: \"%.60s\" is no feature map: float32 of 1 x at most %d channels x at most two sides",
                   name, RELEASE_MAX_TAP_CHANNELS);
}

static int run_once(struct lab *lab, const struct release *release, const char *name, struct tensor_spec *out,
                    struct err *err)
{
    struct lab_tensor inputs[RELEASE_MAX_TENSORS] = {0}, output = {0};
    size_t which = 0;
    while (which < lab_output_count(lab) && !str_eq(lab_output(lab, which)->name, name))
        which++;
    int result = make_inputs(lab, release, inputs, err);
    if (result == 0)
        result = lab_run(lab, inputs, &which, 1, &output, err);
    if (result == 0)
        result = take_spec(&output, name, out, err);
    for (size_t i = 0; i < RELEASE_MAX_TENSORS; i++)
        free((void *)(uintptr_t)inputs[i].data);
    return result;
}

static int look(const struct buf *model, const struct release *release, const char *name,
                const char *runtime_path, struct tensor_spec *out, struct err *err)
{
    cleanup_lab struct lab *lab = NULL;
    const struct lab_how how = {.runtime_path = runtime_path, .level = LAB_BASIC};
    if (lab_open(NULL, model->data, model->len, &how, &lab, err) < 0)
        return -1;
    return run_once(lab, release, name, out, err);
}

/* ---- together ---- */

static int keep(const struct buf *model, struct tapped *out, struct err *err)
{
    out->fd = memfd_create("model.onnx", MFD_CLOEXEC);
    if (out->fd < 0)
        return err_errno(err, "memory for the model with its tap");
    snprintf(out->path, sizeof out->path, "/proc/self/fd/%d", out->fd);
    for (size_t at = 0; at < model->len;) {
        ssize_t written = write(out->fd, model->data + at, model->len - at);
        if (written < 0)
            return err_errno(err, "memory for the model with its tap");
        at += (size_t)written;
    }
    return 0;
}

static bool is_shaped(const struct onnx_value_info *info, const struct tensor_spec *spec)
{
    return info->shaped && info->dim_count == spec->dim_count;
}

static int give_shape(struct onnx_model *model, const struct tensor_spec *spec, struct tapped *out,
                      struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(MODEL_MAX_BYTES);
    struct onnx_value_info *info = find_output(onnx_model_graph(model), spec->name);
    info->raw = (struct onnx_bytes){0};
    info->dtype = spec->dtype;
    info->shaped = true;
    info->dim_count = spec->dim_count;
    memcpy(info->dims, spec->dims, spec->dim_count * sizeof info->dims[0]);
    return write_model(model, &bytes, err) < 0 ? -1 : keep(&bytes, out, err);
}

/* Once without the shape, to be told it by a run; then with. */
static int expose(struct onnx_model *model, const char *name, const struct release *release,
                  const char *runtime_path, struct tapped *out, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(MODEL_MAX_BYTES);
    struct onnx_graph *graph = onnx_model_graph(model);
    const bool known = out->spec.dim_count > 0, had = find_output(graph, name) != NULL;
    if (known && !is_made(graph, name))
        return err_set(err, ERR_REFUSED,
                       "it has not the tap of the model; make it anew: muster optimize release.yaml");
    if (check_made(graph, name, err) < 0)
        return -1;
    if (!had &&
        !onnx_model_add_value(model, &graph->outputs, &graph->output_count, name, DTYPE_FLOAT32, NULL, 0))
        return err_no_memory(err);
    if (!known && (write_model(model, &bytes, err) < 0 ||
                   look(&bytes, release, name, runtime_path, &out->spec, err) < 0))
        return -1;
    return had && is_shaped(find_output(graph, name), &out->spec) ? 0
                                                                  : give_shape(model, &out->spec, out, err);
}

int tapped_open(const char *model_path, const char *name, const struct release *release,
                const struct tensor_spec *known, const char *runtime_path, struct tapped *out,
                struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_onnx_model struct onnx_model *model = NULL;
    *out = (struct tapped){.fd = -1};
    if (known)
        out->spec = *known;
    int result = file_map(model_path, &map, err);
    if (result == 0)
        result = onnx_model_parse(map.data, map.size, &model, err);
    if (result == 0)
        result = expose(model, name, release, runtime_path, out, err);
    if (result == 0)
        return 0;
    if (err->code == ERR_INVALID)
        err->code = ERR_REFUSED;
    tapped_close(out);
    return err_prefix(err, "%s", model_path);
}

int tap_release(const struct tensor_spec *spec, struct release *release, struct err *err)
{
    if (release->output_count == RELEASE_MAX_TENSORS)
        return err_set(err, ERR_REFUSED, "tap: the release has %d outputs already, there is no room for it",
                       RELEASE_MAX_TENSORS);
    release->outputs[release->output_count++] = *spec;
    str_copy(release->tap, sizeof release->tap, spec->name);
    return release_check(release, err);
}
