#include "sim/drone/ground.h"

#include "base/mem.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

#define CELL_M 4.0f
#define FIELD_M 9.0f
#define ROAD_EVERY_M 36.0f
#define WIDTH_PER_METRE 1.6f /* what is seen of the ground per metre of height */

enum { PAD, PERSON, CAR, UNLABELLED };

struct painter {
    const struct ground_view *view;
    struct canvas *canvas;
    float scale; /* canvas pixels per metre */
    struct ground_object *objects;
    int count;
};

static struct point to_canvas(const struct painter *p, float x, float y)
{
    float dx = x - p->view->x, dy = y - p->view->y;
    return (struct point){CANVAS_WIDTH / 2.0f + p->scale * (dx * p->view->cos + dy * p->view->sin),
                          CANVAS_HEIGHT / 2.0f + p->scale * (dy * p->view->cos - dx * p->view->sin)};
}

struct place { /* of a thing, on the ground */
    float x, y, sin, cos;
};

/* A rectangle of the thing's own frame, metres. */
static void box(const struct painter *p, struct place at, const float rect[4], struct colour colour, int id)
{
    struct point corners[4];
    const float u[4] = {rect[0], rect[2], rect[2], rect[0]}, v[4] = {rect[1], rect[1], rect[3], rect[3]};
    for (int i = 0; i < 4; i++)
        corners[i] = to_canvas(p, at.x + u[i] * at.cos - v[i] * at.sin, at.y + u[i] * at.sin + v[i] * at.cos);
    canvas_polygon(p->canvas, corners, 4, colour, id);
}

static void disc(const struct painter *p, float x, float y, float radius_m, struct colour colour, int id)
{
    canvas_ellipse(p->canvas, to_canvas(p, x, y), radius_m * p->scale, radius_m * p->scale, colour, id);
}

static void shade(const struct painter *p, float x, float y, float radius_m)
{
    canvas_shade_ellipse(p->canvas, to_canvas(p, x, y), radius_m * p->scale, radius_m * p->scale, 0.35f);
}

static struct colour vary(struct prng *rng, struct colour c, float by)
{
    return colour_scale(c, prng_range(rng, 1 - by, 1 + by));
}

static void paint_pad(const struct painter *p, struct place at, struct prng *rng, int id)
{
    struct colour white = vary(rng, (struct colour){225, 225, 220}, 0.08f);
    struct colour dark = prng_chance(rng, 0.5f) ? (struct colour){55, 60, 66} : (struct colour){150, 60, 40};
    const float left[4] = {-0.42f, -0.5f, -0.24f, 0.5f}, right[4] = {0.24f, -0.5f, 0.42f, 0.5f},
                bar[4] = {-0.3f, -0.1f, 0.3f, 0.1f};
    disc(p, at.x, at.y, 1.0f, white, id);
    disc(p, at.x, at.y, 0.85f, dark, id);
    box(p, at, left, white, id);
    box(p, at, right, white, id);
    box(p, at, bar, white, id);
}

static void paint_person(const struct painter *p, struct place at, struct prng *rng, int id)
{
    static const struct colour coats[] = {
        {190, 40, 40}, {40, 60, 150}, {230, 190, 40}, {235, 235, 235}, {40, 40, 45}};
    struct colour coat = vary(rng, coats[prng_below(rng, (int)ARRAY_LEN(coats))], 0.15f);
    const float body[4] = {-0.17f, -0.32f, 0.17f, 0.32f};
    shade(p, at.x + 0.15f, at.y + 0.2f, 0.4f);
    box(p, at, body, coat, id);
    disc(p, at.x, at.y, 0.15f, vary(rng, (struct colour){120, 85, 60}, 0.4f), id);
}

static void paint_car(const struct painter *p, struct place at, struct prng *rng, int id)
{
    static const struct colour paints[] = {
        {200, 200, 205}, {35, 35, 40}, {160, 30, 30}, {40, 70, 140}, {120, 125, 130}};
    struct colour paint = vary(rng, paints[prng_below(rng, (int)ARRAY_LEN(paints))], 0.12f);
    const float body[4] = {-1.75f, -0.75f, 1.75f, 0.75f}, glass[4] = {-1.2f, -0.62f, 0.9f, 0.62f},
                roof[4] = {-0.85f, -0.6f, 0.4f, 0.6f};
    shade(p, at.x + 0.3f, at.y + 0.3f, 1.9f);
    box(p, at, body, paint, id);
    box(p, at, glass, (struct colour){40, 50, 60}, id);
    box(p, at, roof, colour_scale(paint, 1.1f), id);
}

static void paint_tree(const struct painter *p, struct place at, struct prng *rng, int id)
{
    struct colour leaves = vary(rng, (struct colour){46, 84, 38}, 0.3f);
    shade(p, at.x + 0.4f, at.y + 0.5f, 1.3f);
    for (int i = 0; i < 5; i++)
        disc(p, at.x + prng_range(rng, -0.6f, 0.6f), at.y + prng_range(rng, -0.6f, 0.6f),
             prng_range(rng, 0.4f, 0.9f), vary(rng, leaves, 0.15f), id);
}

static void paint_roof(const struct painter *p, struct place at, struct prng *rng, int id)
{
    struct colour tiles = vary(rng, (struct colour){140, 80, 60}, 0.3f);
    const float one[4] = {-1.9f, -1.6f, 1.9f, 0}, other[4] = {-1.9f, 0, 1.9f, 1.6f},
                chimney[4] = {0.7f, -0.9f, 1.1f, -0.5f};
    box(p, at, one, tiles, id);
    box(p, at, other, colour_scale(tiles, 0.78f), id);
    box(p, at, chimney, (struct colour){90, 70, 65}, id);
}

typedef void paint_fn(const struct painter *p, struct place at, struct prng *rng, int id);

static void put(struct painter *p, paint_fn *paint, int label, struct place at, struct prng *rng)
{
    struct point middle = to_canvas(p, at.x, at.y);
    float reach = 3 * p->scale;
    if (middle.x < -reach || middle.x > CANVAS_WIDTH + reach || middle.y < -reach ||
        middle.y > CANVAS_HEIGHT + reach)
        return;
    if (label == UNLABELLED || p->count == GROUND_MAX_OBJECTS) {
        paint(p, at, rng, 0);
        return;
    }
    p->objects[p->count++] = (struct ground_object){label};
    paint(p, at, rng, p->count);
}

static struct place turned(float x, float y, float angle)
{
    return (struct place){x, y, trig_sin(angle), trig_cos(angle)};
}

/* Slowly to and fro; cars along, people about. */
static struct place moved(const struct painter *p, struct place at, struct prng *rng, float reach_m)
{
    float phase = prng_range(rng, 0, 6.2f) +
                  (float)(p->view->time_ms % 3600000) * 0.001f * prng_range(rng, 0.1f, 0.35f);
    float along = reach_m * trig_sin(phase);
    at.x += along * at.cos;
    at.y += along * at.sin;
    return at;
}

static void paint_cell(struct painter *p, int cx, int cy)
{
    struct prng rng = prng_of(p->view->seed, ((uint64_t)(uint32_t)cx << 32) ^ (uint32_t)cy ^ 0xce11u);
    float kind = prng_unit(&rng);
    struct place at = turned(((float)cx + prng_range(&rng, 0.3f, 0.7f)) * CELL_M,
                             ((float)cy + prng_range(&rng, 0.3f, 0.7f)) * CELL_M, prng_range(&rng, 0, 6.28f));
    float hx = at.x - p->view->home_x, hy = at.y - p->view->home_y;
    if (hx * hx + hy * hy < 9)
        return; /* nothing stands on the drone's own pad */
    if (kind < 0.05f)
        put(p, paint_pad, PAD, at, &rng);
    else if (kind < 0.3f)
        put(p, paint_person, PERSON, moved(p, at, &rng, 0.7f), &rng);
    else if (kind < 0.42f)
        put(p, paint_car, CAR, moved(p, at, &rng, 0.5f), &rng);
    else if (kind < 0.6f)
        put(p, paint_tree, UNLABELLED, at, &rng);
    else if (kind < 0.68f)
        put(p, paint_roof, UNLABELLED, at, &rng);
}

static void paint_fields(const struct painter *p, int reach)
{
    int cx = trig_floor(p->view->x / FIELD_M), cy = trig_floor(p->view->y / FIELD_M);
    for (int y = cy - reach; y <= cy + reach; y++)
        for (int x = cx - reach; x <= cx + reach; x++) {
            struct prng rng = prng_of(p->view->seed, ((uint64_t)(uint32_t)x << 32) ^ (uint32_t)y ^ 0xf1e1du);
            struct colour grass = {96 + prng_range(&rng, -18, 24), 112 + prng_range(&rng, -20, 22),
                                   66 + prng_range(&rng, -14, 26)};
            struct colour paved = {132, 130, 126};
            const float rect[4] = {0, 0, FIELD_M + 0.05f, FIELD_M + 0.05f};
            box(p, (struct place){(float)x * FIELD_M, (float)y * FIELD_M, 0, 1}, rect,
                prng_chance(&rng, 0.35f) ? vary(&rng, paved, 0.12f) : grass, 0);
        }
}

static void paint_roads(const struct painter *p)
{
    float at = ((float)trig_floor(p->view->x / ROAD_EVERY_M) + 0.5f) * ROAD_EVERY_M;
    const float road[4] = {-2.2f, -30, 2.2f, 30};
    box(p, (struct place){at, p->view->y, 0, 1}, road, (struct colour){84, 84, 88}, 0);
    for (int i = -8; i <= 8; i++) {
        const float stripe[4] = {-0.07f, 0, 0.07f, 1.5f};
        float y = ((float)trig_floor(p->view->y / 4) + (float)i) * 4;
        box(p, (struct place){at, y, 0, 1}, stripe, (struct colour){200, 200, 195}, 0);
    }
}

int ground_paint(const struct ground_view *view, struct canvas *canvas,
                 struct ground_object objects[GROUND_MAX_OBJECTS])
{
    float width_m = MAX(view->altitude_m, 0.8f) * WIDTH_PER_METRE;
    struct painter p = {view, canvas, CANVAS_WIDTH / width_m, objects, 0};
    int cx = trig_floor(view->x / CELL_M), cy = trig_floor(view->y / CELL_M),
        reach = 2 + (int)(width_m * 0.7f / CELL_M);
    struct prng rng = prng_of(view->seed, 0x9ad);
    canvas_clear_ids(canvas);
    paint_fields(&p, 1 + (int)(width_m * 0.7f / FIELD_M) + 1);
    paint_roads(&p);
    put(&p, paint_pad, PAD, turned(view->home_x, view->home_y, 0.4f), &rng);
    for (int y = cy - reach; y <= cy + reach; y++)
        for (int x = cx - reach; x <= cx + reach; x++)
            paint_cell(&p, x, y);
    return p.count;
}
