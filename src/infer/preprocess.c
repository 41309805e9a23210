#include "infer/preprocess.h"

#include "base/mem.h"
#include "infer/convert.h"

#include <math.h>

static int input_size(const struct release *release, struct preprocess *pre, struct err *err)
{
    const struct tensor_spec *input = &release->inputs[0];
    bool nchw = release->preprocess.layout == LAYOUT_NCHW;
    if (release->input_count < 1 || input->dtype != DTYPE_FLOAT32 || input->dim_count != 4 ||
        input->dims[0] != 1 || input->dims[nchw ? 1 : 3] != 3)
        return err_set(err, ERR_UNSUPPORTED, "frames can only go into one float32 input of shape %s",
                       nchw ? "[1, 3, height, width]" : "[1, height, width, 3]");
    int64_t height = input->dims[nchw ? 2 : 1], width = input->dims[nchw ? 3 : 2];
    if (height < 1 || width < 1 || height > FRAME_MAX_SIDE || width > FRAME_MAX_SIDE)
        return err_set(err, ERR_UNSUPPORTED, "input %s: height and width must be 1..%d", input->name,
                       FRAME_MAX_SIDE);
    pre->width = (int)width;
    pre->height = (int)height;
    return 0;
}

int preprocess_init(struct preprocess *pre, const struct release *release, struct err *err)
{
    *pre = (struct preprocess){
        .mode = release->preprocess.resize,
        .color = release->preprocess.color,
        .layout = release->preprocess.layout,
        .pad = (uint8_t)release->preprocess.pad,
    };
    if (input_size(release, pre, err) < 0)
        return -1;
    for (int c = 0; c < 3; c++) {
        pre->mul[c] = (float)(release->preprocess.scale / release->preprocess.std[c]);
        pre->add[c] = (float)(-release->preprocess.mean[c] / release->preprocess.std[c]);
    }
    pre->staging = mem_zalloc((size_t)pre->width * (size_t)pre->height, 3);
    if (!pre->staging)
        return err_no_memory(err);
    if (resize_init(&pre->resize, pre->width, pre->height, err) < 0) {
        preprocess_fini(pre);
        return -1;
    }
    return 0;
}

void preprocess_fini(struct preprocess *pre)
{
    free(pre->staging);
    pre->staging = NULL;
    resize_fini(&pre->resize);
}

/* Works out where a frame of this size goes, and paints the border. Only when the size changes. */
static void plan(struct preprocess *pre, int width, int height)
{
    int to_width = pre->width, to_height = pre->height;
    if (pre->mode == RESIZE_LETTERBOX) {
        double ratio = fmin((double)pre->width / width, (double)pre->height / height);
        to_width = MAX(1, MIN(pre->width, (int)lround(width * ratio)));
        to_height = MAX(1, MIN(pre->height, (int)lround(height * ratio)));
    }
    int left = (pre->width - to_width) / 2, top = (pre->height - to_height) / 2;
    resize_plan(&pre->resize, width, height, to_width, to_height);
    memset(pre->staging, pre->pad, (size_t)pre->width * (size_t)pre->height * 3);
    pre->inner_offset = ((size_t)top * (size_t)pre->width + (size_t)left) * 3;
    pre->placement = (struct placement){
        .scale_x = (float)to_width / (float)width,
        .scale_y = (float)to_height / (float)height,
        .offset_x = (float)left,
        .offset_y = (float)top,
    };
}

/* The channel of the tensor that a colour of the frame (0 red, 1 green, 2 blue) goes to. */
static int channel_of(const struct preprocess *pre, int color)
{
    return pre->color == COLOR_BGR ? 2 - color : color;
}

static void to_planes(const struct preprocess *pre, const uint8_t *rgb, float *out)
{
    size_t pixels = (size_t)pre->width * (size_t)pre->height;
    struct convert_channel channels[3];
    for (int color = 0; color < 3; color++) {
        int c = channel_of(pre, color);
        channels[color] =
            (struct convert_channel){.out = out + (size_t)c * pixels, .mul = pre->mul[c], .add = pre->add[c]};
    }
    convert_planes(rgb, pixels, channels);
}

static void to_interleaved(const struct preprocess *pre, const uint8_t *rgb, float *out)
{
    size_t pixels = (size_t)pre->width * (size_t)pre->height;
    for (int color = 0; color < 3; color++) {
        int c = channel_of(pre, color);
        for (size_t i = 0; i < pixels; i++)
            out[3 * i + (size_t)c] = (float)rgb[3 * i + (size_t)color] * pre->mul[c] + pre->add[c];
    }
}

int preprocess_run(struct preprocess *pre, const uint8_t *rgb, int width, int height, float *out,
                   struct err *err)
{
    if (width < 1 || height < 1 || width > FRAME_MAX_SIDE || height > FRAME_MAX_SIDE)
        return err_set(err, ERR_INVALID, "frame of %d x %d; sides must be 1..%d", width, height,
                       FRAME_MAX_SIDE);
    if (width != pre->resize.from_width || height != pre->resize.from_height)
        plan(pre, width, height);
    if (width != pre->width || height != pre->height) {
        resize_run(&pre->resize, rgb, pre->staging + pre->inner_offset, (size_t)pre->width * 3);
        rgb = pre->staging;
    }
    (pre->layout == LAYOUT_NCHW ? to_planes : to_interleaved)(pre, rgb, out);
    return 0;
}
