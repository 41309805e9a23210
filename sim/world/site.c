#include "sim/world/site.h"

#include "sim/world/prng.h"
#include "sim/world/trig.h"

#include <stddef.h>

static const struct site sites[SITE_COUNT] = {
    {.name = "north",
     .floor = {168, 168, 164},
     .floor_line = {225, 190, 40},
     .grout = {140, 140, 138},
     .tile_m = 4,
     .stains = 0.25f,
     .left = WALL_RACK,
     .right = WALL_RACK,
     .upright = {40, 70, 150},
     .beam = {215, 110, 40},
     .plain = {190, 192, 196},
     .ceiling = {120, 124, 130},
     .haze = {170, 175, 180},
     .haze_per_m = 0.015f,
     .half_width_m = 2.7f,
     .height_m = 4.2f,
     .light = 1.0f,
     .cast = {1.0f, 1.0f, 1.0f}},
    {.name = "harbour",
     .floor = {104, 92, 80},
     .floor_line = {205, 200, 185},
     .grout = {70, 62, 56},
     .tile_m = 0,
     .stains = 0.8f,
     .left = WALL_BRICK,
     .right = WALL_RACK,
     .upright = {96, 66, 40},
     .beam = {126, 90, 54},
     .plain = {130, 72, 56},
     .ceiling = {52, 46, 42},
     .haze = {84, 72, 60},
     .haze_per_m = 0.03f,
     .half_width_m = 3.1f,
     .height_m = 3.6f,
     .light = 0.78f,
     .cast = {1.14f, 1.0f, 0.80f}},
    {.name = "cold",
     .floor = {142, 156, 170},
     .floor_line = {60, 100, 190},
     .grout = {108, 122, 138},
     .tile_m = 0.6f,
     .stains = 0.1f,
     .left = WALL_PANEL,
     .right = WALL_PANEL,
     .upright = {150, 160, 170},
     .beam = {176, 186, 196},
     .plain = {206, 214, 222},
     .ceiling = {176, 186, 196},
     .haze = {196, 208, 220},
     .haze_per_m = 0.06f,
     .half_width_m = 2.9f,
     .height_m = 3.2f,
     .light = 1.08f,
     .cast = {0.86f, 0.98f, 1.14f}},
    {.name = "annex",
     .floor = {84, 120, 92},
     .floor_line = {230, 230, 225},
     .grout = {64, 96, 72},
     .tile_m = 2,
     .stains = 0.45f,
     .left = WALL_RACK,
     .right = WALL_PANEL,
     .upright = {150, 40, 40},
     .beam = {120, 124, 126},
     .plain = {150, 154, 152},
     .ceiling = {84, 92, 86},
     .haze = {120, 130, 122},
     .haze_per_m = 0.02f,
     .half_width_m = 2.5f,
     .height_m = 4.0f,
     .light = 0.9f,
     .cast = {0.95f, 1.06f, 0.92f}},
};

const struct site *site_get(int index)
{
    return index >= 0 && index < SITE_COUNT ? &sites[index] : NULL;
}

static float absf(float x)
{
    return x < 0 ? -x : x;
}

/* Value noise in 0..1, linear between the corners of a grid of `cell` metres. */
static float value_noise(float x, float z, float cell, uint32_t salt)
{
    float gx = x / cell, gz = z / cell;
    int ix = trig_floor(gx), iz = trig_floor(gz);
    float fx = gx - (float)ix, fz = gz - (float)iz;
    float a = (float)(prng_place(ix, iz, salt) & 255), b = (float)(prng_place(ix + 1, iz, salt) & 255);
    float c = (float)(prng_place(ix, iz + 1, salt) & 255),
          d = (float)(prng_place(ix + 1, iz + 1, salt) & 255);

    return ((a + (b - a) * fx) * (1 - fz) + (c + (d - c) * fx) * fz) * (1.0f / 255.0f);
}

struct colour site_floor_texel(const struct site *site, float x_m, float z_m, uint32_t salt)
{
    float line = absf(absf(x_m) - (site->half_width_m - 0.55f));
    float grain = (float)(prng_place(trig_floor(x_m * 30), trig_floor(z_m * 30), salt) & 15) - 7.5f;
    struct colour c = site->floor;

    if (line < 0.06f)
        c = site->floor_line;
    else if (site->tile_m > 0) {
        float gx = x_m / site->tile_m, gz = z_m / site->tile_m, edge = 0.02f / site->tile_m;

        if (gx - (float)trig_floor(gx) < edge || gz - (float)trig_floor(gz) < edge)
            c = site->grout;
    }
    float stain = 1 - site->stains * 0.5f * value_noise(x_m, z_m, 0.9f, salt + 1);
    return (struct colour){c.r * stain + grain, c.g * stain + grain, c.b * stain + grain};
}

/* What stands in a compartment of a rack: cardboard, a wrapped load, or nothing. */
static struct colour rack_goods(uint32_t h, float u, float v)
{
    static const struct colour tones[] = {{150, 112, 72}, {172, 138, 96},  {128, 96, 66}, {186, 176, 160},
                                          {98, 104, 112}, {140, 128, 104}, {110, 84, 60}, {160, 156, 150}};
    static const struct colour hollow = {34, 34, 38};
    float fill = 0.35f + (float)((h >> 4) & 63) / 110.0f;
    int boxes = 1 + (int)((h >> 10) & 3);
    float cell = u * (float)boxes;

    if ((h & 7) == 0 || v > fill)
        return hollow;
    uint32_t own = prng_place(trig_floor(cell), (int)(h & 0xffff), 77);
    float in = cell - (float)trig_floor(cell);
    float edge = in < 0.06f || v > fill - 0.05f ? 0.7f : 1.0f;
    float tape = absf(in - 0.5f) < 0.05f ? 1.12f : 1.0f;
    return colour_scale(tones[own & 7], edge * tape);
}

static struct colour rack_texel(const struct site *site, float along_m, float y_m, uint32_t salt)
{
    float bay = along_m / 1.5f, level = y_m / 1.15f;
    int ib = trig_floor(bay), il = trig_floor(level);
    float u = bay - (float)ib, v = level - (float)il;

    if (u < 0.07f)
        return colour_scale(site->upright, (trig_floor(y_m * 10) & 1) ? 0.9f : 1.0f);
    if (v < 0.10f)
        return site->beam;
    return rack_goods(prng_place(ib, il, salt), (u - 0.07f) / 0.93f, (v - 0.1f) / 0.9f);
}

static struct colour brick_texel(const struct site *site, float along_m, float y_m, uint32_t salt)
{
    int row = trig_floor(y_m / 0.16f);
    float shifted = along_m / 0.42f + ((row & 1) ? 0.5f : 0.0f);
    int column = trig_floor(shifted);
    float v = y_m / 0.16f - (float)row, u = shifted - (float)column;

    if (u < 0.07f || v < 0.14f)
        return colour_scale(site->plain, 1.25f);
    return colour_scale(site->plain, 0.8f + (float)(prng_place(column, row, salt) & 63) / 160.0f);
}

static struct colour panel_texel(const struct site *site, float along_m, float y_m, uint32_t salt)
{
    float panel = along_m / 1.2f;
    int ip = trig_floor(panel);
    float u = panel - (float)ip;

    if (y_m < 0.35f)
        return colour_scale(site->upright, 0.7f);
    if (u < 0.02f)
        return colour_scale(site->plain, 0.72f);
    if ((prng_place(ip, 3, salt) & 7) == 0 && y_m > 1.1f && y_m < 1.7f && u > 0.3f && u < 0.7f)
        return (prng_place(ip, 4, salt) & 1) ? site->beam : site->floor_line; /* a sign */
    return colour_scale(site->plain, 0.92f + (float)(prng_place(ip, 5, salt) & 15) / 160.0f);
}

struct colour site_wall_texel(const struct site *site, enum site_wall kind, float along_m, float y_m,
                              uint32_t salt)
{
    switch (kind) {
    case WALL_RACK:
        return rack_texel(site, along_m, y_m, salt);
    case WALL_BRICK:
        return brick_texel(site, along_m, y_m, salt);
    case WALL_PANEL:
        break;
    }
    return panel_texel(site, along_m, y_m, salt);
}
