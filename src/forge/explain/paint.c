/* The picture of an explanation. */
#include "forge/explain/explain.h"
#include "forge/explain/subject_inside.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MIN = 640, STRIP = 64, ZOOM_MAX = 64 };

struct colour {
    uint8_t r, g, b;
};
static const struct colour white = {255, 255, 255}, green = {60, 220, 90}, yellow = {250, 220, 50},
                           ink = {20, 20, 20};

static void dot(struct picture *picture, int x, int y, struct colour colour)
{
    if (x < 0 || y < 0 || x >= picture->width || y >= picture->height)
        return;
    uint8_t *rgb = &picture->rgb[3 * ((size_t)y * (size_t)picture->width + (size_t)x)];
    rgb[0] = colour.r;
    rgb[1] = colour.g;
    rgb[2] = colour.b;
}

/* Two pixels wide. */
static void frame(struct picture *picture, int x0, int y0, int x1, int y1, struct colour colour)
{
    for (int thick = 0; thick < 2; thick++) {
        for (int x = x0; x < x1; x++) {
            dot(picture, x, y0 + thick, colour);
            dot(picture, x, y1 - 1 - thick, colour);
        }
        for (int y = y0; y < y1; y++) {
            dot(picture, x0 + thick, y, colour);
            dot(picture, x1 - 1 - thick, y, colour);
        }
    }
}

static float strongest(const struct saliency *saliency)
{
    float most = 0;
    for (size_t i = 0; i < (size_t)saliency->width * (size_t)saliency->height; i++)
        most = MAX(most, fabsf(saliency->map[i]));
    return most;
}

/* Red over it for the decision, blue against it; nothing where nothing hangs on it. */
static void tint(uint8_t rgb[3], float value, float most)
{
    const float strength = most > 0 ? 0.8F * fabsf(value) / most : 0;
    const struct colour over = value >= 0 ? (struct colour){230, 30, 20} : (struct colour){30, 80, 240};
    rgb[0] = (uint8_t)(rgb[0] + ((float)over.r - rgb[0]) * strength);
    rgb[1] = (uint8_t)(rgb[1] + ((float)over.g - rgb[1]) * strength);
    rgb[2] = (uint8_t)(rgb[2] + ((float)over.b - rgb[2]) * strength);
}

struct zoom {
    int x, y; /* pixels per place */
};

static void mark(struct picture *out, const struct zoom *zoom, const struct area *area, struct colour colour)
{
    frame(out, area->x0 * zoom->x, area->y0 * zoom->y, area->x1 * zoom->x, area->y1 * zoom->y, colour);
}

static void mark_all(const struct explanation *explanation, const struct zoom *zoom, struct picture *out)
{
    const struct saliency_tile *context = saliency_context(&explanation->saliency);
    for (size_t i = 0; i < explanation->flip.count; i++)
        mark(out, zoom, &explanation->flip.cells[i].area, yellow);
    if (context)
        mark(out, zoom, &context->area, green);
    const struct detection *box = &explanation->box;
    if (box->x1 > box->x0)
        frame(out, (int)(box->x0 * (float)zoom->x), (int)(box->y0 * (float)zoom->y),
              (int)(box->x1 * (float)zoom->x), (int)(box->y1 * (float)zoom->y), white);
}

static int enough(int width)
{
    return width < WIDTH_MIN ? MIN((WIDTH_MIN + width - 1) / width, ZOOM_MAX) : 1;
}

/* ---- pictures ---- */

static int paint_picture(const struct picture *picture, const struct explanation *explanation,
                         struct picture *out, struct err *err)
{
    const int by = enough(picture->width);
    const float most = strongest(&explanation->saliency);
    if (picture_init(out, picture->width * by, picture->height * by, err) < 0)
        return -1;
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            const size_t place = (size_t)(y / by) * (size_t)picture->width + (size_t)(x / by);
            uint8_t *rgb = &out->rgb[3 * ((size_t)y * (size_t)out->width + (size_t)x)];
            memcpy(rgb, &picture->rgb[3 * place], 3);
            tint(rgb, explanation->saliency.map[place], most);
        }
    mark_all(explanation, &(struct zoom){by, by}, out);
    return 0;
}

/* ---- numbers: a strip per row, its line over its part of the map ---- */

static float value_at(const struct subject *subject, int x, int y)
{
    return subject->values[(size_t)x * subject->layout.step_x + (size_t)y * subject->layout.step_y];
}

static void draw_line(const struct subject *subject, int row, const struct zoom *zoom, struct picture *out)
{
    float low = INFINITY, high = -INFINITY;
    for (int x = 0; x < subject->layout.width; x++) {
        low = MIN(low, value_at(subject, x, row));
        high = MAX(high, value_at(subject, x, row));
    }
    const float range = high > low ? high - low : 1;
    int before = -1;
    for (int x = 0; x < out->width; x++) {
        const float part = (value_at(subject, x / zoom->x, row) - low) / range;
        const int y = row * zoom->y + 3 + (int)((1 - part) * (float)(zoom->y - 7));
        for (int k = MIN(y, before < 0 ? y : before); k <= MAX(y, before); k++)
            dot(out, x, k, ink);
        before = y;
    }
}

static int paint_rows(const struct subject *subject, const struct explanation *explanation,
                      struct picture *out, struct err *err)
{
    const struct saliency *saliency = &explanation->saliency;
    const struct zoom zoom = {enough(saliency->width),
                              saliency->rows_apart ? STRIP : enough(saliency->width)};
    const float most = strongest(saliency);
    if (picture_init(out, saliency->width * zoom.x, saliency->height * zoom.y, err) < 0)
        return -1;
    memset(out->rgb, 255, 3 * (size_t)out->width * (size_t)out->height);
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++)
            tint(&out->rgb[3 * ((size_t)y * (size_t)out->width + (size_t)x)],
                 saliency->map[(size_t)(y / zoom.y) * (size_t)saliency->width + (size_t)(x / zoom.x)], most);
    for (int row = 0; saliency->rows_apart && row < saliency->height; row++)
        draw_line(subject, row, &zoom, out);
    mark_all(explanation, &zoom, out);
    return 0;
}

int explanation_paint(const struct subject *subject, const struct explanation *explanation,
                      struct picture *out, struct err *err)
{
    const struct picture *picture = subject_picture(subject);
    return picture ? paint_picture(picture, explanation, out, err)
                   : paint_rows(subject, explanation, out, err);
}
