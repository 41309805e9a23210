#include "infer/fidelity.h"

#include "base/mem.h"
#include "infer/decode_yolov8.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MAP_MIN_SIDE = 8, MAX_FOUND = 256 };
#define POSITIVE 0.5F
#define SAME_OBJECT 0.5F
#define ROW_SUM_SLACK 0.01

const char *fidelity_kind_name(enum fidelity_kind kind)
{
    static const char *const names[] = {[FIDELITY_VALUES] = "values",
                                        [FIDELITY_CLASSES] = "classes",
                                        [FIDELITY_DETECTIONS] = "detections",
                                        [FIDELITY_MAP] = "map"};
    return names[kind];
}

static size_t element_count(const struct lab_tensor *tensor)
{
    return tensor->bytes / sizeof(float);
}

/* ---- what is looked at ---- */

/* Rows of at least two numbers in [0, 1] that add up to 1. */
static bool is_classes(const struct lab_tensor *tensor)
{
    const float *data = tensor->data;
    const size_t count = element_count(tensor);
    const size_t row = tensor->dim_count >= 2 ? (size_t)tensor->dims[tensor->dim_count - 1] : 0;
    if (row < 2 || count == 0 || count % row)
        return false;
    for (size_t at = 0; at < count; at += row) {
        double sum = 0;
        for (size_t i = 0; i < row; i++) {
            if (!(data[at + i] >= 0))
                return false;
            sum += (double)data[at + i];
        }
        if (!(fabs(sum - 1) <= ROW_SUM_SLACK))
            return false;
    }
    return true;
}

static bool is_map(const struct lab_tensor *tensor)
{
    const float *data = tensor->data;
    const size_t n = tensor->dim_count;
    if (n < 3 || tensor->dims[n - 1] < MAP_MIN_SIDE || tensor->dims[n - 2] < MAP_MIN_SIDE)
        return false;
    for (size_t i = 0; i < element_count(tensor); i++)
        if (!(data[i] >= 0 && data[i] <= 1))
            return false;
    return true;
}

static bool all_are(const struct lab_tensor *outputs, size_t count, bool (*is)(const struct lab_tensor *))
{
    for (size_t i = 0; i < count; i++)
        if (outputs[i].dtype != DTYPE_FLOAT32 || !is(&outputs[i]))
            return false;
    return count > 0;
}

static enum fidelity_kind kind_of_outputs(const struct lab_tensor *outputs, size_t count)
{
    if (all_are(outputs, count, is_classes))
        return FIDELITY_CLASSES;
    return all_are(outputs, count, is_map) ? FIDELITY_MAP : FIDELITY_VALUES;
}

struct fidelity fidelity_for(const struct release *release, const struct lab_tensor *outputs, size_t count)
{
    struct fidelity fidelity = {.release = release, .output_count = count};
    if (release && release->state_count < count)
        fidelity.output_count = count - release->state_count;
    if (release && release->postprocess.decoder == DECODER_YOLOV8)
        fidelity.kind = FIDELITY_DETECTIONS;
    else if (release && (release->task == TASK_CLASSIFICATION || release->task == TASK_TIMESERIES))
        fidelity.kind = FIDELITY_CLASSES;
    else if (!release || release->task == TASK_RAW)
        fidelity.kind = kind_of_outputs(outputs, fidelity.output_count);
    else
        fidelity.kind = FIDELITY_VALUES;
    if (fidelity.kind == FIDELITY_DETECTIONS)
        fidelity.output_count = MIN(fidelity.output_count, (size_t)1);
    return fidelity;
}

/* ---- one output ---- */

static bool all_finite(const struct lab_tensor *tensor)
{
    const float *data = tensor->data;
    for (size_t i = 0; i < element_count(tensor); i++)
        if (!isfinite(data[i]))
            return false;
    return true;
}

static bool same_shape(const struct lab_tensor *a, const struct lab_tensor *b)
{
    return a->dtype == b->dtype && a->bytes == b->bytes && a->dim_count == b->dim_count &&
           memcmp(a->dims, b->dims, a->dim_count * sizeof a->dims[0]) == 0;
}

static double values(const float *a, const float *b, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        size += (double)a[i] * (double)a[i];
    }
    if (size > 0)
        return fmax(0, 1 - sqrt(difference / size));
    return difference > 0 ? 0 : 1;
}

static size_t largest(const float *row, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (row[i] > row[best])
            best = i;
    return best;
}

/* The score from which on a single one means yes. */
static float yes_from(const struct release *release)
{
    return release && release->postprocess.activation == ACTIVATION_SIGMOID ? 0 : POSITIVE;
}

static double classes(const struct fidelity *fidelity, const struct lab_tensor *parent, const float *a,
                      const float *b)
{
    const size_t count = element_count(parent);
    const size_t row = parent->dim_count ? (size_t)parent->dims[parent->dim_count - 1] : 1;
    const float yes = yes_from(fidelity->release);
    if (count == 0 || row == 0)
        return 1;
    size_t same = 0;
    for (size_t at = 0; at + row <= count; at += row)
        same += row == 1 ? (a[at] >= yes) == (b[at] >= yes) : largest(a + at, row) == largest(b + at, row);
    return (double)same / (double)(count / row);
}

static double f1(uint64_t both, uint64_t only_a, uint64_t only_b)
{
    uint64_t all = 2 * both + only_a + only_b;
    return all ? 2 * (double)both / (double)all : 1;
}

static double map(const float *a, const float *b, size_t count)
{
    uint64_t both = 0, only_a = 0, only_b = 0;
    for (size_t i = 0; i < count; i++) {
        bool in_a = a[i] >= POSITIVE, in_b = b[i] >= POSITIVE;
        both += in_a && in_b;
        only_a += in_a && !in_b;
        only_b += in_b && !in_a;
    }
    return f1(both, only_a, only_b);
}

/* Width and height of the picture that goes in: the frame that boxes are clipped to. */
static void input_size(const struct release *release, int *out_width, int *out_height)
{
    const int64_t *dims = release->inputs[0].dims;
    const bool planes = release->preprocess.layout == LAYOUT_NCHW;
    *out_height = (int)dims[planes ? 2 : 1];
    *out_width = (int)dims[planes ? 3 : 2];
}

/* 0 also if there is no memory for it: then nothing is known in the candidate's favour. */
static double detections(const struct release *release, const struct lab_tensor *parent, const float *a,
                         const float *b)
{
    static const struct placement as_is = {.scale_x = 1, .scale_y = 1};
    struct detection found[2][MAX_FOUND];
    struct decoder decoder;
    struct err err = {0};
    int width, height;
    if (!release || decoder_init(&decoder, release, &err) < 0)
        return 0;
    if (element_count(parent) != (4 + decoder.labels) * decoder.columns) {
        decoder_fini(&decoder);
        return 0;
    }
    input_size(release, &width, &height);
    const size_t max = MIN((size_t)release->postprocess.max_detections, (size_t)MAX_FOUND);
    size_t in_a = decoder_run(&decoder, a, &as_is, width, height, found[0], max);
    size_t in_b = decoder_run(&decoder, b, &as_is, width, height, found[1], max);
    decoder_fini(&decoder);
    struct detection_match match = detection_match(found[1], in_b, found[0], in_a, 0, SAME_OBJECT);
    return f1(match.tp, match.fn, match.fp);
}

static double one_output(const struct fidelity *fidelity, const struct lab_tensor *parent,
                         const struct lab_tensor *candidate)
{
    if (!same_shape(parent, candidate))
        return 0;
    if (parent->dtype != DTYPE_FLOAT32)
        return memcmp(parent->data, candidate->data, parent->bytes) == 0;
    if (!all_finite(candidate) || !all_finite(parent))
        return 0;
    const float *a = parent->data, *b = candidate->data;
    switch (fidelity->kind) {
    case FIDELITY_CLASSES:
        return classes(fidelity, parent, a, b);
    case FIDELITY_DETECTIONS:
        return detections(fidelity->release, parent, a, b);
    case FIDELITY_MAP:
        return map(a, b, element_count(parent));
    case FIDELITY_VALUES:
        break;
    }
    return values(a, b, element_count(parent));
}

double fidelity_of(const struct fidelity *fidelity, const struct lab_tensor *parent,
                   const struct lab_tensor *candidate)
{
    double least = 1;
    for (size_t i = 0; i < fidelity->output_count; i++)
        least = fmin(least, one_output(fidelity, &parent[i], &candidate[i]));
    return least;
}
