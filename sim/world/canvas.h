/* The canvas: twice the frame in each direction (so edges are smooth after the sensor has averaged 2x2), with
 * an object number per pixel from which the exact boxes are read.
 *
 * Objects are painted back to front. For each object the canvas keeps how many pixels it covered when it was
 * painted; what is left of them in `id` at the end is the visible part.
 */
#ifndef MUSTER_SIM_WORLD_CANVAS_H
#define MUSTER_SIM_WORLD_CANVAS_H

#include <stdint.h>

#define CANVAS_WIDTH 320
#define CANVAS_HEIGHT 256
#define CANVAS_MAX_OBJECTS 48

struct colour {
    float r, g, b; /* 0..255 */
};

struct point {
    float x, y; /* canvas pixels; pixel (0,0) has its centre at (0.5, 0.5) */
};

struct canvas {
    uint8_t rgb[CANVAS_HEIGHT][CANVAS_WIDTH][3];
    uint8_t id[CANVAS_HEIGHT][CANVAS_WIDTH];  /* 0: background, else the object */
    uint32_t painted[CANVAS_MAX_OBJECTS + 1]; /* pixels of each object when it was painted */
};

struct canvas_extent { /* of the visible pixels of one object; x1 and y1 are exclusive; pixels 0: none */
    int x0, y0, x1, y1;
    uint32_t pixels;
};
/* Of every object number, 0 (the background) included. */
void canvas_measure(const struct canvas *canvas, struct canvas_extent out[CANVAS_MAX_OBJECTS + 1]);

void canvas_clear_ids(struct canvas *canvas);

/* A convex polygon (3..8 corners, any direction of turn). */
void canvas_polygon(struct canvas *canvas, const struct point *corners, int count, struct colour colour,
                    int id);

void canvas_ellipse(struct canvas *canvas, struct point centre, float radius_x, float radius_y,
                    struct colour colour, int id);

/* Darkens what is there (a shadow); strength 0..1. Marks no object. */
void canvas_shade_ellipse(struct canvas *canvas, struct point centre, float radius_x, float radius_y,
                          float strength);

static inline struct colour colour_scale(struct colour c, float by)
{
    return (struct colour){c.r * by, c.g * by, c.b * by};
}

static inline struct colour colour_mix(struct colour a, struct colour b, float share_of_b)
{
    return (struct colour){a.r + (b.r - a.r) * share_of_b, a.g + (b.g - a.g) * share_of_b,
                           a.b + (b.b - a.b) * share_of_b};
}

static inline uint8_t colour_byte(float x)
{
    return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)x;
}

#endif
