#include "sim/world/canvas.h"

#include "base/mem.h"
#include "sim/world/trig.h"

#include <math.h>

struct span {
    int y, x0, x1; /* x0..x1-1 */
};

struct ink {
    uint8_t r, g, b, id;
};

static struct ink ink_of(struct colour c, int id)
{
    return (struct ink){colour_byte(c.r), colour_byte(c.g), colour_byte(c.b), (uint8_t)id};
}

/* The first pixel whose centre lies at or behind x, inside the canvas. */
static int pixel_from(float x, int limit)
{
    if (x < 0.5f)
        return 0;
    if (x > (float)limit)
        return limit;
    return trig_floor(x + 0.5f) > limit ? limit : trig_floor(x + 0.5f);
}

static void paint_span(struct canvas *canvas, struct span span, struct ink ink)
{
    uint8_t *rgb = canvas->rgb[span.y][span.x0];
    uint8_t *id = &canvas->id[span.y][span.x0];
    uint32_t fresh = 0;

    for (int x = span.x0; x < span.x1; x++, rgb += 3, id++) {
        rgb[0] = ink.r;
        rgb[1] = ink.g;
        rgb[2] = ink.b;
        fresh += *id != ink.id;
        *id = ink.id;
    }
    canvas->painted[ink.id] += fresh;
}

void canvas_measure(const struct canvas *canvas, struct canvas_extent out[CANVAS_MAX_OBJECTS + 1])
{
    for (int i = 0; i <= CANVAS_MAX_OBJECTS; i++)
        out[i] = (struct canvas_extent){CANVAS_WIDTH, CANVAS_HEIGHT, 0, 0, 0};
    for (int y = 0; y < CANVAS_HEIGHT; y++)
        for (int x = 0; x < CANVAS_WIDTH; x++) {
            struct canvas_extent *extent = &out[canvas->id[y][x]];

            extent->x0 = MIN(extent->x0, x);
            extent->x1 = MAX(extent->x1, x + 1);
            extent->y0 = MIN(extent->y0, y);
            extent->y1 = y + 1;
            extent->pixels++;
        }
}

void canvas_clear_ids(struct canvas *canvas)
{
    memset(canvas->id, 0, sizeof(canvas->id));
    memset(canvas->painted, 0, sizeof(canvas->painted));
}

/* Where the line y cuts the outline: leftmost and rightmost. */
static void polygon_cut(const struct point *p, int count, float y, float *left, float *right)
{
    *left = 1e9f;
    *right = -1e9f;
    for (int i = 0; i < count; i++) {
        struct point a = p[i], b = p[(i + 1) % count];

        if ((a.y <= y) == (b.y <= y))
            continue;
        float x = a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y));
        *left = MIN(*left, x);
        *right = MAX(*right, x);
    }
}

void canvas_polygon(struct canvas *canvas, const struct point *corners, int count, struct colour colour,
                    int id)
{
    struct ink ink = ink_of(colour, id);
    float top = 1e9f, bottom = -1e9f;

    for (int i = 0; i < count; i++) {
        top = MIN(top, corners[i].y);
        bottom = MAX(bottom, corners[i].y);
    }
    int y1 = pixel_from(bottom, CANVAS_HEIGHT);
    for (int y = pixel_from(top, CANVAS_HEIGHT); y < y1; y++) {
        float left, right;

        polygon_cut(corners, count, (float)y + 0.5f, &left, &right);
        struct span span = {y, pixel_from(left, CANVAS_WIDTH), pixel_from(right, CANVAS_WIDTH)};
        if (span.x0 < span.x1)
            paint_span(canvas, span, ink);
    }
}

/* Half the width of an ellipse at height dy (-1..1 of its radius). sqrtf is exactly rounded everywhere. */
static float half_width(float dy)
{
    float s = 1 - dy * dy;

    return s > 0 ? sqrtf(s) : 0;
}

void canvas_ellipse(struct canvas *canvas, struct point centre, float radius_x, float radius_y,
                    struct colour colour, int id)
{
    struct ink ink = ink_of(colour, id);
    int y1 = pixel_from(centre.y + radius_y, CANVAS_HEIGHT);

    for (int y = pixel_from(centre.y - radius_y, CANVAS_HEIGHT); y < y1; y++) {
        float half = radius_x * half_width(((float)y + 0.5f - centre.y) / radius_y);
        struct span span = {y, pixel_from(centre.x - half, CANVAS_WIDTH),
                            pixel_from(centre.x + half, CANVAS_WIDTH)};

        if (span.x0 < span.x1)
            paint_span(canvas, span, ink);
    }
}

void canvas_shade_ellipse(struct canvas *canvas, struct point centre, float radius_x, float radius_y,
                          float strength)
{
    int keep = (int)(256 * (1 - strength));
    int y1 = pixel_from(centre.y + radius_y, CANVAS_HEIGHT);

    for (int y = pixel_from(centre.y - radius_y, CANVAS_HEIGHT); y < y1; y++) {
        float half = radius_x * half_width(((float)y + 0.5f - centre.y) / radius_y);
        int x1 = pixel_from(centre.x + half, CANVAS_WIDTH);

        for (int x = pixel_from(centre.x - half, CANVAS_WIDTH); x < x1; x++)
            for (int c = 0; c < 3; c++)
                canvas->rgb[y][x][c] = (uint8_t)((canvas->rgb[y][x][c] * keep) >> 8);
    }
}
