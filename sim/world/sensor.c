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

/* How much of the smear lies over a pixel: all of it inside, fading out towards the edge. */
static float dirt_at(const struct sensor *sensor, int x, int y)
{
    float dx = ((float)x - sensor->dirt_x) / sensor->dirt_radius_x;
    float dy = ((float)y - sensor->dirt_y) / sensor->dirt_radius_y;
    float inside = 1.6f - 1.6f * (dx * dx + dy * dy);

    return sensor->dirt * (inside <= 0 ? 0 : inside >= 1 ? 1 : inside);
}

/* Grease scatters: what lies behind it is blurred and veiled by stray light. */
static void smear_lens(const struct sensor *sensor, uint8_t *rgb)
{
    enum { PASSES = 10, VEIL = 128, VEIL_PERCENT = 38 };
    static _Thread_local uint8_t blurred[SENSOR_HEIGHT * ROW];

    memcpy(blurred, rgb, sizeof(blurred));
    for (int i = 0; i < PASSES; i++)
        soften(blurred);
    for (int y = 0; y < SENSOR_HEIGHT; y++)
        for (int x = 0; x < SENSOR_WIDTH; x++) {
            int share = (int)(256 * dirt_at(sensor, x, y));

            for (int c = 0; c < 3; c++) {
                uint8_t *at = &rgb[y * ROW + x * 3 + c];
                int veiled =
                    (blurred[y * ROW + x * 3 + c] * (100 - VEIL_PERCENT) + VEIL * VEIL_PERCENT) / 100;
                *at = (uint8_t)((*at * (256 - share) + veiled * share) >> 8);
            }
        }
}

static float lamp_light(const struct sensor *sensor, int x, int y)
{
    float light = 0.3f;

    for (int i = 0; i < sensor->lamp_count; i++) {
        const struct sensor_lamp *lamp = &sensor->lamps[i];
        float dx = ((float)x - lamp->x) / lamp->radius, dy = ((float)y - lamp->y) / lamp->radius;

        light += 0.45f / (1 + dx * dx + dy * dy);
    }
    return light < 1 ? light : 1;
}

static void darken(const struct sensor *sensor, uint8_t *rgb)
{
    for (int y = 0; y < SENSOR_HEIGHT; y++)
        for (int x = 0; x < SENSOR_WIDTH; x++) {
            int share = (int)(256 * lamp_light(sensor, x, y));

            for (int c = 0; c < 3; c++) {
                uint8_t *at = &rgb[y * ROW + x * 3 + c];
                *at = (uint8_t)((*at * share) >> 8);
            }
        }
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
    if (sensor->night)
        darken(sensor, rgb);
    if (sensor->dirt > 0)
        smear_lens(sensor, rgb);
    expose_light(sensor, rgb);
    if (sensor->noise > 0)
        add_noise(sensor, rgb);
}
