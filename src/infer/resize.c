#include "infer/resize.h"

#include "base/mem.h"

#include <assert.h>

int resize_init(struct resize *resize, int max_to_width, int max_to_height, struct err *err)
{
    *resize = (struct resize){.max_width = max_to_width, .max_height = max_to_height};
    resize->columns = mem_zalloc((size_t)max_to_width, sizeof *resize->columns);
    resize->rows = mem_zalloc((size_t)max_to_height, sizeof *resize->rows);
    if (resize->columns && resize->rows)
        return 0;
    resize_fini(resize);
    return err_no_memory(err);
}

void resize_fini(struct resize *resize)
{
    free(resize->columns);
    free(resize->rows);
    *resize = (struct resize){0};
}

/* Position of output i in the input, in units of 1 / RESIZE_ONE: (i + 0.5) * from / to - 0.5, clamped to the
 * frame. */
static struct resize_tap tap_at(int i, int from, int to)
{
    int64_t at = ((2 * (int64_t)i + 1) * from * RESIZE_ONE / to - RESIZE_ONE) / 2;
    int64_t last = (int64_t)(from - 1) * RESIZE_ONE;
    at = at < 0 ? 0 : MIN(at, last);
    uint32_t near = (uint32_t)(at >> RESIZE_BITS);
    return (struct resize_tap){
        .near = near, .far = MIN(near + 1, (uint32_t)from - 1), .weight = (uint32_t)(at & (RESIZE_ONE - 1))};
}

void resize_plan(struct resize *resize, int from_width, int from_height, int to_width, int to_height)
{
    assert(to_width <= resize->max_width && to_height <= resize->max_height);
    resize->from_width = from_width;
    resize->from_height = from_height;
    resize->to_width = to_width;
    resize->to_height = to_height;
    for (int x = 0; x < to_width; x++)
        resize->columns[x] = tap_at(x, from_width, to_width);
    for (int y = 0; y < to_height; y++)
        resize->rows[y] = tap_at(y, from_height, to_height);
}

static inline uint32_t mix(uint32_t near, uint32_t far, uint32_t weight)
{
    return near * (RESIZE_ONE - weight) + far * weight;
}

static void run_row(const struct resize *resize, const uint8_t *upper, const uint8_t *lower, uint32_t weight,
                    uint8_t *out)
{
    for (int x = 0; x < resize->to_width; x++) {
        const struct resize_tap *tap = &resize->columns[x];
        const size_t near = 3 * (size_t)tap->near, far = 3 * (size_t)tap->far;
        for (size_t c = 0; c < 3; c++) {
            uint32_t top = mix(upper[near + c], upper[far + c], tap->weight);
            uint32_t bottom = mix(lower[near + c], lower[far + c], tap->weight);
            uint32_t both = mix(top, bottom, weight); /* < 256 << 22 */
            out[3 * (size_t)x + c] = (uint8_t)((both + (1U << (2 * RESIZE_BITS - 1))) >> (2 * RESIZE_BITS));
        }
    }
}

void resize_run(const struct resize *resize, const uint8_t *rgb, uint8_t *out, size_t stride_bytes)
{
    const size_t from_stride = 3 * (size_t)resize->from_width;
    for (int y = 0; y < resize->to_height; y++) {
        const struct resize_tap *tap = &resize->rows[y];
        run_row(resize, rgb + tap->near * from_stride, rgb + tap->far * from_stride, tap->weight,
                out + (size_t)y * stride_bytes);
    }
}
