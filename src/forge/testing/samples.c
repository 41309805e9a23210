#include "base/mem.h"
#include "forge/testing/layers.h"
#include "forge/testing/nets.h"
#include "sys/file.h"

#include <math.h>

enum { HEADER = 128, BLOBS = 6 };

/* NumPy's format, version 1.0: magic, length of the header, a Python dictionary, padded to 64 bytes. */
static void npy_header(uint8_t out[HEADER], int size)
{
    static const uint8_t magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0};
    memset(out, ' ', HEADER);
    memcpy(out, magic, sizeof magic);
    char text[HEADER];
    int len = snprintf(text, sizeof text,
                       "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, %d, %d), }", size, size);
    memcpy(out + sizeof magic, text, (size_t)len);
    out[HEADER - 1] = '\n';
}

struct blob {
    float x, y, reach, colour[3];
};

/* Bright and dark spots on a gradient, and some noise. */
static void paint(struct layers *dice, int size, float *out)
{
    struct blob blobs[BLOBS];
    for (int i = 0; i < BLOBS; i++) {
        blobs[i] = (struct blob){.x = 0.5F + 0.3F * layers_normal(dice),
                                 .y = 0.5F + 0.3F * layers_normal(dice),
                                 .reach = 0.05F + 0.1F * fabsf(layers_normal(dice))};
        for (int c = 0; c < 3; c++)
            blobs[i].colour[c] = 0.4F * layers_normal(dice);
    }
    float tilt = 0.3F * layers_normal(dice), light = 0.5F + 0.15F * layers_normal(dice);
    for (int i = 0; i < 3 * size * size; i++) {
        int c = i / (size * size);
        float x = (float)(i % size) / (float)size, y = (float)(i / size % size) / (float)size;
        float value = light + tilt * (x - y) + 0.03F * layers_normal(dice);
        for (int b = 0; b < BLOBS; b++) {
            float dx = (x - blobs[b].x) / blobs[b].reach, dy = (y - blobs[b].y) / blobs[b].reach;
            value += blobs[b].colour[c] * expf(-0.5F * (dx * dx + dy * dy));
        }
        out[i] = fminf(fmaxf(value, 0), 1);
    }
}

int net_samples(const char *dir, int size, size_t count, uint32_t seed, struct err *err)
{
    size_t bytes = HEADER + 3 * (size_t)size * (size_t)size * sizeof(float);
    struct layers dice = {.random = seed};
    cleanup_free uint8_t *file = mem_zalloc(bytes, 1);
    if (!file)
        return err_no_memory(err);
    if (file_make_dirs(dir, 0755, err) < 0)
        return -1;
    npy_header(file, size);
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *path = mem_printf("%s/x-%03zu.npy", dir, i);
        if (!path)
            return err_no_memory(err);
        paint(&dice, size, (float *)(void *)(file + HEADER));
        if (file_replace(path, file, bytes, 0644, err) < 0)
            return -1;
    }
    return 0;
}
