#include "sim/world/sensor.h"

#include "base/mem.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

#define ROW (SENSOR_WIDTH * 3)

static void average(const struct canvas *canvas, uint8_t *rgb)
{
    for (int y = 0; y < SENSOR_HEIGHT; y++)
        for (int x = 0; x < SENSOR_WIDTH; x++)
            for (int c = 0; c < 3; c++) {
                int sum = canvas->rgb[2 * y][2 * x][c] + canvas->rgb[2 * y][2 * x + 1][c] +
                          canvas->rgb[2 * y + 1][2 * x][c] + canvas->rgb[2 * y + 1][2 * x + 1][c];
                rgb[y * ROW + x * 3 + c] = (uint8_t)((sum + 2) >> 2);
            }
}

/* Mean of the `length` pixels that end at x, per row; the left edge repeats. */
static void smear_row(uint8_t *row, int length)
{
    uint8_t old[ROW];

    memcpy(old, row, ROW);
    for (int x = 0; x < SENSOR_WIDTH; x++)
        for (int c = 0; c < 3; c++) {
            int sum = 0;
            for (int k = 0; k < length; k++)
                sum += old[MAX(x - k, 0) * 3 + c];
            row[x * 3 + c] = (uint8_t)(sum / length);
        }
}

/* 1-2-1 along a line of pixels `step` bytes apart. */
static void soften_line(uint8_t *line, int count, int step)
{
    int before = line[0];

    for (int i = 0; i < count; i++) {
        int here = line[i * step];
        int after = i + 1 < count ? line[(i + 1) * step] : here;
        line[i * step] = (uint8_t)((before + 2 * here + after + 2) >> 2);
        before = here;
    }
}

static void soften(uint8_t *rgb)
{
    for (int y = 0; y < SENSOR_HEIGHT; y++)
        for (int c = 0; c < 3; c++)
            soften_line(rgb + y * ROW + c, SENSOR_WIDTH, 3);
    for (int i = 0; i < ROW; i++)
        soften_line(rgb + i, SENSOR_HEIGHT, ROW);
}

/* Gain per channel in 1/256 over byte values, with a soft knee where the chip saturates. */
static void gain_table(float gain, uint8_t table[256])
{
    for (int i = 0; i < 256; i++) {
        float x = (float)i * gain;
        table[i] = colour_byte(x < 200 ? x : 200 + (x - 200) * 0.6f);
    }
}

static void expose_light(const struct sensor *sensor, uint8_t *rgb)
{
    uint8_t table[3][256];

    gain_table(sensor->gain.r, table[0]);
    gain_table(sensor->gain.g, table[1]);
    gain_table(sensor->gain.b, table[2]);
    for (int i = 0; i < SENSOR_HEIGHT * SENSOR_WIDTH; i++)
        for (int c = 0; c < 3; c++)
            rgb[i * 3 + c] = table[c][rgb[i * 3 + c]];
}

/* The sum of four bytes is nearly normal, with a standard deviation of 147.8. */
static void add_noise(const struct sensor *sensor, uint8_t *rgb)
{
    struct prng rng = prng_of(sensor->seed, 3);
    int scale = (int)(sensor->noise * (65536.0f / 147.8f));

    for (int i = 0; i < SENSOR_HEIGHT * ROW; i++) {
        uint32_t bits = prng_next(&rng);
        int sum =
            (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24) - 510;
        int value = rgb[i] + ((sum * scale + 32768) >> 16);
        rgb[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

void sensor_expose(const struct sensor *sensor, const struct canvas *canvas, uint8_t *rgb)
{
    average(canvas, rgb);
    if (sensor->motion_px > 1)
        for (int y = 0; y < SENSOR_HEIGHT; y++)
            smear_row(rgb + y * ROW, MIN(sensor->motion_px, 12));
    for (int i = 0; i < MIN(sensor->defocus, 4); i++)
        soften(rgb);
    expose_light(sensor, rgb);
    if (sensor->noise > 0)
        add_noise(sensor, rgb);
}
