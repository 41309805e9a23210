#include "forge/profile/camera.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

const struct camera camera_copies[CAMERA_COPIES] = {
    {0.75, 1, 0}, {1, 1, 0},   {1.5, 1, 0},  {2, 1, 0},    {2.5, 1, 0},  {3, 1, 0},
    {0, 0.7, 0},  {0, 0.5, 0}, {0, 0.35, 0}, {0, 0.25, 0}, {0, 0.15, 0}, {0, 0.1, 0},
    {0, 1, 10},   {0, 1, 20},  {0, 1, 30},   {0, 1, 45},   {0, 1, 60},
};

enum { MAX_RADIUS = 64, NOISE_BINS = 1024 };

/* ---- noise ---- */

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static double next_uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0;
}

static double next_normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(next_uniform(state)));
    return radius * cos(2 * M_PI * next_uniform(state));
}

static int luma(const uint8_t *rgb, int width, int x, int y)
{
    const uint8_t *at = rgb + 3 * ((size_t)y * (size_t)width + (size_t)x);
    return at[0] + at[1] + at[2];
}

/* 3 × luma times the mask 1 -2 1, -2 4 -2, 1 -2 1. */
static int laplacian(const uint8_t *rgb, int width, int x, int y)
{
    static const int mask[3][3] = {{1, -2, 1}, {-2, 4, -2}, {1, -2, 1}};
    int sum = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            sum += mask[dy + 1][dx + 1] * luma(rgb, width, x + dx, y + dy);
    return sum < 0 ? -sum : sum;
}

double camera_noise(const uint8_t *rgb, int width, int height)
{
    size_t bins[NOISE_BINS] = {0}, count = 0, below = 0;
    for (int y = 1; y + 1 < height; y++)
        for (int x = 1; x + 1 < width; x++, count++)
            bins[MIN(laplacian(rgb, width, x, y), NOISE_BINS - 1)]++;
    if (count == 0)
        return 0;
    int median = 0;
    while (median < NOISE_BINS - 1 && (below += bins[median]) * 2 < count)
        median++;
    /* The mask's gain is 6, a median of |normal| 0.6745; of three independent channels the sum has √3 of one's. */
    return median / 0.6745 / 6 / sqrt(3);
}

/* ---- blur ---- */

static int make_kernel(double sigma, float kernel[MAX_RADIUS + 1])
{
    const int radius = (int)fmin(ceil(3 * sigma), MAX_RADIUS);
    double sum = 0;
    for (int i = -radius; i <= radius; i++)
        sum += exp(-i * i / (2 * sigma * sigma));
    for (int i = 0; i <= radius; i++)
        kernel[i] = (float)(exp(-i * i / (2 * sigma * sigma)) / sum);
    return radius;
}

static int inside(int at, int size)
{
    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

/* One line of `size` pixels that lie `step` floats apart. */
static void blur_line(const float *in, float *out, int size, size_t step, const float *kernel, int radius)
{
    for (int x = 0; x < size; x++)
        for (int c = 0; c < 3; c++) {
            float sum = kernel[0] * in[(size_t)x * step + (size_t)c];
            for (int i = 1; i <= radius; i++)
                sum += kernel[i] * (in[(size_t)inside(x - i, size) * step + (size_t)c] +
                                    in[(size_t)inside(x + i, size) * step + (size_t)c]);
            out[(size_t)x * step + (size_t)c] = sum;
        }
}

static void blur(float *pixels, float *scratch, int width, int height, double sigma)
{
    float kernel[MAX_RADIUS + 1];
    const int radius = make_kernel(sigma, kernel);
    const size_t row = 3 * (size_t)width;
    for (int y = 0; y < height; y++)
        blur_line(pixels + (size_t)y * row, scratch + (size_t)y * row, width, 3, kernel, radius);
    for (int x = 0; x < width; x++)
        blur_line(scratch + 3 * (size_t)x, pixels + 3 * (size_t)x, height, row, kernel, radius);
}

/* ---- together ---- */

/* Averaging over a Gaussian leaves 1 / (2 √π σ) of independent noise. */
static double left_of_noise(const struct camera *camera, double sigma)
{
    const double kept = sigma > 0 ? fmin(1, 1 / (2 * sqrt(M_PI) * sigma)) : 1;
    return kept * camera->gain;
}

int camera_take(uint8_t *rgb, int width, int height, const struct camera *camera, double scale, uint64_t seed,
                struct err *err)
{
    const size_t count = 3 * (size_t)width * (size_t)height;
    cleanup_free float *pixels = mem_zalloc(count, sizeof *pixels),
                       *scratch = mem_zalloc(count, sizeof *scratch);
    if (!pixels || !scratch)
        return err_no_memory(err);
    const double sigma = camera->blur * scale, noise = camera_noise(rgb, width, height),
                 left = noise * left_of_noise(camera, sigma);
    const double grain = sqrt(fmax(noise * noise - left * left, 0) + pow(camera->grain, 2));
    for (size_t i = 0; i < count; i++)
        pixels[i] = (float)rgb[i];
    if (sigma > 0)
        blur(pixels, scratch, width, height, sigma);
    for (size_t i = 0; i < count; i++) {
        const double value = (double)pixels[i] * camera->gain + grain * next_normal(&seed);
        rgb[i] = (uint8_t)fmin(fmax(value, 0), 255);
    }
    return 0;
}

int camera_shake(float *values, size_t count, const struct camera *camera, uint64_t seed)
{
    double sum = 0, squares = 0;
    if (camera->grain <= 0 || count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    const double mean = sum / (double)count, sd = sqrt(fmax(squares / (double)count - mean * mean, 0));
    for (size_t i = 0; i < count; i++)
        values[i] += (float)(sd * camera->grain / 60 * next_normal(&seed));
    return 1;
}
