#include "infer/decode_yolov8.h"

#include "base/mem.h"
#include "infer/convert.h"

enum { MAX_COLUMNS = 1 << 20 };

static int allocate(struct decoder *decoder, struct err *err)
{
    decoder->best = mem_zalloc(decoder->columns, sizeof *decoder->best);
    decoder->best_label = mem_zalloc(decoder->columns, sizeof *decoder->best_label);
    decoder->candidates = mem_zalloc(decoder->columns, sizeof *decoder->candidates);
    if (decoder->best && decoder->best_label && decoder->candidates)
        return 0;
    decoder_fini(decoder);
    return err_no_memory(err);
}

int decoder_init(struct decoder *decoder, const struct release *release, struct err *err)
{
    const struct tensor_spec *output = &release->outputs[0];
    *decoder = (struct decoder){
        .labels = release->label_count,
        .score_threshold = (float)release->postprocess.score_threshold,
        .iou_threshold = (float)release->postprocess.iou_threshold,
    };
    if (release->output_count < 1 || output->dtype != DTYPE_FLOAT32 || output->dim_count != 3 ||
        output->dims[0] != 1 || output->dims[1] != (int64_t)(4 + decoder->labels) || output->dims[2] < 1 ||
        output->dims[2] > MAX_COLUMNS)
        return err_set(err, ERR_UNSUPPORTED, "decoder yolov8 needs a float32 output of shape [1, %zu, n]",
                       4 + decoder->labels);
    decoder->columns = (size_t)output->dims[2];
    return allocate(decoder, err);
}

void decoder_fini(struct decoder *decoder)
{
    free(decoder->best);
    free(decoder->best_label);
    free(decoder->candidates);
    *decoder = (struct decoder){0};
}

static float clip(float value, float max)
{
    return value < 0 ? 0 : MIN(value, max);
}

struct detection decoder_box(const float *output, size_t n, size_t column, const struct placement *placement,
                             float frame_width, float frame_height)
{
    const float cx = output[column], cy = output[n + column];
    const float half_width = output[2 * n + column] / 2, half_height = output[3 * n + column] / 2;
    return (struct detection){
        .x0 = clip((cx - half_width - placement->offset_x) / placement->scale_x, frame_width),
        .y0 = clip((cy - half_height - placement->offset_y) / placement->scale_y, frame_height),
        .x1 = clip((cx + half_width - placement->offset_x) / placement->scale_x, frame_width),
        .y1 = clip((cy + half_height - placement->offset_y) / placement->scale_y, frame_height),
    };
}

static void find_best_labels(struct decoder *decoder, const float *output)
{
    const size_t n = decoder->columns;
    memset(decoder->best, 0, n * sizeof *decoder->best);
    memset(decoder->best_label, 0, n * sizeof *decoder->best_label);
    for (size_t label = 0; label < decoder->labels; label++)
        convert_keep_best(output + (4 + label) * n, n, (int32_t)label, decoder->best, decoder->best_label);
}

size_t decoder_run(struct decoder *decoder, const float *output, const struct placement *placement,
                   int frame_width, int frame_height, struct detection *out, size_t max)
{
    find_best_labels(decoder, output);
    size_t count = 0;
    for (size_t i = 0; i < decoder->columns; i++) {
        if (decoder->best[i] < decoder->score_threshold || decoder->best[i] <= 0)
            continue;
        struct detection box =
            decoder_box(output, decoder->columns, i, placement, (float)frame_width, (float)frame_height);
        box.score = decoder->best[i];
        box.label = (uint32_t)decoder->best_label[i];
        if (box.x1 > box.x0 && box.y1 > box.y0)
            decoder->candidates[count++] = box;
    }
    size_t kept = detection_nms(decoder->candidates, count, decoder->iou_threshold, max);
    memcpy(out, decoder->candidates, kept * sizeof *out);
    return kept;
}
