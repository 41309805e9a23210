#include "sim/world/objects.h"

#include "base/mem.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

#define NEAR_M 0.35f

/* A solid in the object's own axes: centre of its floor, size, and colour. */
struct block {
    float x, y, z;          /* m; y: of its underside */
    float wide, high, deep; /* m */
    struct colour colour;
};

/* Where one object is painted. */
struct brush {
    const struct object_scene *scene;
    const struct object *object;
    float sin_heading, cos_heading;
    struct spot spot; /* of the object's middle */
    int id;
};

struct size {
    float wide, high, deep; /* m */
};

static const struct colour vests[] = {{240, 130, 30}, {205, 225, 50}, {235, 90, 40},
                                      {60, 80, 150},  {150, 40, 40},  {90, 96, 100}};
static const struct colour trousers[] = {{44, 50, 72}, {60, 60, 62}, {86, 78, 62}, {36, 36, 40}};
static const struct colour skins[] = {{224, 178, 146}, {196, 144, 110}, {142, 96, 68}, {96, 64, 46}};
static const struct colour helmets[] = {
    {240, 200, 40}, {235, 235, 230}, {210, 60, 40}, {50, 44, 40}, {90, 66, 44}};
static const struct colour trucks[] = {{232, 176, 30}, {220, 100, 30}, {190, 44, 36}, {236, 200, 60}};
static const struct colour crates[] = {
    {40, 84, 168}, {58, 108, 190}, {44, 120, 76}, {60, 140, 150}, {36, 60, 120}};
static const struct colour cones[] = {{238, 92, 28}, {244, 120, 36}, {226, 66, 30}};
static const struct colour drums[] = {{52, 60, 84}, {120, 46, 38}, {70, 76, 72}, {150, 150, 148}};
static const struct colour dogs[] = {{236, 236, 240}, {250, 70, 170}, {170, 80, 230}};
static const struct colour rubber = {28, 28, 30};
static const struct colour steel = {62, 64, 68};

static struct prng look_of(const struct object *object)
{
    return prng_of(object->look, (uint64_t)object->kind + 11);
}

#define PICK(rng, table) ((table)[prng_below((rng), (int)ARRAY_LEN(table))])

static struct size object_size(const struct object *object)
{
    struct prng rng = prng_of(object->look, 5);
    float a = prng_unit(&rng), b = prng_unit(&rng), c = prng_unit(&rng);

    switch (object->kind) {
    case OBJECT_PERSON:
        return (struct size){0.62f, (a < 0.12f ? 1.15f : 1.55f) + 0.35f * b, 0.4f};
    case OBJECT_PALLET:
        return (struct size){1.2f, 0.15f * (float)(1 + (int)(a * 4.99f)), 0.8f + 0.2f * b};
    case OBJECT_FORKLIFT:
        return (struct size){1.1f + 0.15f * a, 1.95f + 0.25f * b, 2.1f};
    case OBJECT_CONE:
        return (struct size){0.36f + 0.12f * a, 0.5f + 0.3f * b, 0.36f};
    case OBJECT_CRATE:
        return (struct size){0.55f + 0.4f * a, 0.4f + 0.5f * b, 0.5f + 0.35f * c};
    case OBJECT_DRUM:
        return (struct size){0.58f, 0.85f + 0.1f * a, 0.58f};
    case OBJECT_DOG:
        return (struct size){0.5f, 0.75f + 0.1f * a, 1.0f + 0.1f * b};
    case OBJECT_POST:
        break;
    }
    return (struct size){0.12f, 0.9f + 0.3f * a, 0.12f};
}

float object_radius_m(const struct object *object)
{
    struct size size = object_size(object);

    return 0.5f * MAX(size.wide, size.deep) + 0.1f;
}

/* ---- painting
 * --------------------------------------------------------------------------------------------------- */

static struct colour lit(const struct brush *brush, struct colour colour, float light, float depth)
{
    return colour_mix(brush->scene->corridor->site->haze, colour_scale(colour, light),
                      corridor_clearness(brush->scene->corridor, depth));
}

/* A corner given in the object's axes, in camera space. */
static struct spot corner_spot(const struct brush *brush, float x, float z)
{
    float wx = brush->object->x + x * brush->cos_heading + z * brush->sin_heading;
    float wz = brush->object->z - x * brush->sin_heading + z * brush->cos_heading;

    return view_of(brush->scene->view, wx, wz);
}

static void paint_quad(const struct brush *brush, const struct spot *floor, const float *height,
                       struct colour colour)
{
    struct point corners[4];

    for (int i = 0; i < 4; i++)
        corners[i] = view_project(brush->scene->view, floor[i].right, height[i], MAX(floor[i].depth, NEAR_M));
    canvas_polygon(brush->scene->canvas, corners, 4, colour, brush->id);
}

/* The side from corner a to corner b, if it looks at the camera. */
static void paint_side(const struct brush *brush, const struct block *block, struct spot a, struct spot b)
{
    float facing = a.right * b.depth - b.right * a.depth; /* > 0: seen from outside */
    float top = block->y + block->high;

    if (facing <= 0)
        return;
    float dr = b.right - a.right, dd = b.depth - a.depth;
    float light = 0.62f + 0.3f * (dr * dr) / (dr * dr + dd * dd + 1e-6f);
    paint_quad(brush, (struct spot[]){a, b, b, a}, (float[]){block->y, block->y, top, top},
               lit(brush, block->colour, light, a.depth));
}

static void paint_block(const struct brush *brush, const struct block *block)
{
    float w = 0.5f * block->wide, d = 0.5f * block->deep, top = block->y + block->high;
    struct spot c[4] = {
        corner_spot(brush, block->x - w, block->z - d), corner_spot(brush, block->x + w, block->z - d),
        corner_spot(brush, block->x + w, block->z + d), corner_spot(brush, block->x - w, block->z + d)};

    for (int i = 0; i < 4; i++)
        paint_side(brush, block, c[(i + 1) % 4], c[i]);
    if (top < brush->scene->view->height_m)
        paint_quad(brush, c, (float[]){top, top, top, top}, lit(brush, block->colour, 1.08f, c[0].depth));
}

static float block_depth(const struct brush *brush, const struct block *block)
{
    return corner_spot(brush, block->x, block->z).depth;
}

/* Far ones first; of two at the same place the lower first. */
static void paint_blocks(const struct brush *brush, struct block *blocks, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && block_depth(brush, &blocks[j]) > block_depth(brush, &blocks[j - 1]) + 1e-3f;
             j--) {
            struct block swap = blocks[j];
            blocks[j] = blocks[j - 1];
            blocks[j - 1] = swap;
        }
    for (int i = 0; i < count; i++)
        paint_block(brush, &blocks[i]);
}

/* A point of something that faces the camera: metres right of the middle, metres over the floor. */
static struct point flat_point(const struct brush *brush, float x, float y)
{
    return view_project(brush->scene->view, brush->spot.right + x, y, brush->spot.depth);
}

static float flat_scale(const struct brush *brush, float metres)
{
    return metres * brush->scene->view->focal / brush->spot.depth;
}

static void flat_oval(const struct brush *brush, float x, float y, float radius_x, float radius_y,
                      struct colour c)
{
    canvas_ellipse(brush->scene->canvas, flat_point(brush, x, y), flat_scale(brush, radius_x),
                   flat_scale(brush, radius_y), lit(brush, c, 1, brush->spot.depth), brush->id);
}

/* A trapezoid that stands upright: half widths at bottom and top, and where its middle line starts and ends.
 */
static void flat_trunk(const struct brush *brush, struct point bottom, float half_bottom, struct point top,
                       float half_top, struct colour c)
{
    struct point corners[4] = {flat_point(brush, bottom.x - half_bottom, bottom.y),
                               flat_point(brush, bottom.x + half_bottom, bottom.y),
                               flat_point(brush, top.x + half_top, top.y),
                               flat_point(brush, top.x - half_top, top.y)};

    canvas_polygon(brush->scene->canvas, corners, 4, lit(brush, c, 1, brush->spot.depth), brush->id);
}

/* ---- the kinds
 * -------------------------------------------------------------------------------------------------- */

static void paint_legs(const struct brush *brush, float high, float broad, struct colour cloth)
{
    float swing = 0.16f * trig_sin(brush->object->stride) * (0.4f + 0.6f * broad);
    float hip = 0.48f * high;

    flat_trunk(brush, (struct point){-0.09f - swing, 0.04f}, 0.055f, (struct point){-0.07f, hip}, 0.09f,
               colour_scale(cloth, 0.85f));
    flat_trunk(brush, (struct point){0.09f + swing, 0.04f}, 0.055f, (struct point){0.07f, hip}, 0.09f, cloth);
    flat_oval(brush, -0.1f - swing, 0.05f, 0.085f, 0.05f, rubber);
    flat_oval(brush, 0.1f + swing, 0.05f, 0.085f, 0.05f, rubber);
}

static void paint_arms(const struct brush *brush, float high, float broad, struct colour sleeve,
                       struct colour skin)
{
    float swing = 0.1f * trig_sin(brush->object->stride + TRIG_PI);
    float shoulder = 0.79f * high, hand = 0.46f * high;

    for (int side = -1; side <= 1; side += 2) {
        float s = (float)side * broad;

        flat_trunk(brush, (struct point){0.27f * s + swing * (float)side, hand}, 0.04f,
                   (struct point){0.2f * s, shoulder}, 0.06f, colour_scale(sleeve, 0.8f));
        flat_oval(brush, 0.27f * s + swing * (float)side, hand, 0.045f, 0.05f, skin);
    }
}

static void paint_person(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    float high = object_size(brush->object).high;
    struct colour vest = PICK(&rng, vests), cloth = PICK(&rng, trousers);
    struct colour skin = PICK(&rng, skins), helmet = PICK(&rng, helmets);
    float turn = brush->object->heading - brush->scene->view->sin_yaw;
    float broad = 0.72f + 0.28f * trig_cos(2 * turn); /* seen from the side a person is narrow */
    bool stripes = prng_chance(&rng, 0.7f), carries = prng_chance(&rng, 0.15f);

    paint_legs(brush, high, broad, cloth);
    paint_arms(brush, high, broad, vest, skin);
    flat_trunk(brush, (struct point){0, 0.45f * high}, 0.16f * broad + 0.02f, (struct point){0, 0.8f * high},
               0.19f * broad + 0.02f, vest);
    flat_oval(brush, 0, 0.8f * high, 0.18f * broad + 0.02f, 0.045f, vest);
    if (stripes) {
        struct colour band = {232, 232, 210};
        flat_trunk(brush, (struct point){0, 0.55f * high}, 0.165f * broad + 0.02f,
                   (struct point){0, 0.585f * high}, 0.17f * broad + 0.02f, band);
    }
    flat_trunk(brush, (struct point){0, 0.8f * high}, 0.05f, (struct point){0, 0.87f * high}, 0.05f, skin);
    flat_oval(brush, 0, 0.91f * high, 0.085f, 0.085f * 1.25f, skin);
    flat_oval(brush, 0, 0.945f * high, 0.1f, 0.055f * high * 0.8f, helmet);
    if (carries)
        flat_trunk(brush, (struct point){0, 0.5f * high}, 0.2f, (struct point){0, 0.68f * high}, 0.2f,
                   (struct colour){160, 124, 84});
}

static void paint_pallet(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    struct colour wood = colour_scale((struct colour){196, 152, 98}, prng_range(&rng, 0.7f, 1.1f));
    int layers = (int)(size.high / 0.15f + 0.5f);

    for (int layer = 0; layer < layers; layer++) {
        float y = 0.15f * (float)layer;
        struct block feet[3], boards[5];

        for (int i = 0; i < 3; i++)
            feet[i] = (struct block){0,
                                     y,
                                     (float)(i - 1) * (0.5f * size.deep - 0.06f),
                                     size.wide,
                                     0.1f,
                                     0.12f,
                                     colour_scale(wood, 0.55f)};
        for (int i = 0; i < 5; i++)
            boards[i] = (struct block){
                (float)(i - 2) * 0.25f * (size.wide - 0.16f), y + 0.1f, 0, 0.17f, 0.05f, size.deep,
                colour_scale(wood, (i & 1) ? 0.92f : 1.0f)};
        paint_blocks(brush, feet, 3);
        paint_blocks(brush, boards, 5);
    }
}

static void paint_forklift(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    struct colour paint = PICK(&rng, trucks);
    float w = 0.5f * size.wide, lift = prng_range(&rng, 0.05f, 0.7f);
    struct block blocks[] = {
        {0, 0.25f, -0.55f, size.wide, 0.75f, 0.8f, paint},                     /* counterweight */
        {0, 0.22f, 0.15f, size.wide, 0.35f, 0.75f, colour_scale(paint, 0.9f)}, /* floor of the cabin */
        {-w + 0.1f, 0, -0.6f, 0.2f, 0.5f, 0.5f, rubber},
        {w - 0.1f, 0, -0.6f, 0.2f, 0.5f, 0.5f, rubber},
        {-w + 0.1f, 0, 0.35f, 0.22f, 0.55f, 0.55f, rubber},
        {w - 0.1f, 0, 0.35f, 0.22f, 0.55f, 0.55f, rubber},
        {-w + 0.08f, 0.9f, -0.5f, 0.08f, size.high - 0.95f, 0.08f, steel}, /* posts */
        {w - 0.08f, 0.9f, -0.5f, 0.08f, size.high - 0.95f, 0.08f, steel},
        {-w + 0.08f, 0.5f, 0.4f, 0.08f, size.high - 0.55f, 0.08f, steel},
        {w - 0.08f, 0.5f, 0.4f, 0.08f, size.high - 0.55f, 0.08f, steel},
        {0, 0.95f, -0.35f, 0.5f, 0.5f, 0.15f, {40, 40, 44}},                                /* seat */
        {0, size.high - 0.06f, -0.05f, size.wide, 0.06f, 1.1f, colour_scale(paint, 0.75f)}, /* roof */
        {-0.3f, 0.08f, 0.65f, 0.12f, size.high - 0.1f, 0.12f, {50, 52, 58}},                /* mast */
        {0.3f, 0.08f, 0.65f, 0.12f, size.high - 0.1f, 0.12f, {50, 52, 58}},
        {0, 0.1f + lift, 0.74f, 0.8f, 0.35f, 0.06f, {44, 44, 48}},      /* carriage */
        {-0.25f, 0.06f + lift, 1.0f, 0.1f, 0.05f, 0.55f, {74, 76, 80}}, /* forks */
        {0.25f, 0.06f + lift, 1.0f, 0.1f, 0.05f, 0.55f, {74, 76, 80}},
    };

    paint_blocks(brush, blocks, (int)ARRAY_LEN(blocks));
}

static void paint_cone(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    struct colour body = PICK(&rng, cones);
    int bands = 1 + prng_below(&rng, 2);
    float half = 0.36f * size.wide;
    struct block foot = {0, 0, 0, size.wide, 0.05f, size.wide, prng_chance(&rng, 0.6f) ? rubber : body};

    paint_block(brush, &foot);
    flat_oval(brush, 0, 0.06f, half, 0.35f * half, body);
    flat_trunk(brush, (struct point){0, 0.05f}, half, (struct point){0, size.high}, 0.045f, body);
    for (int i = 0; i < bands; i++) {
        float low = bands == 1 ? 0.45f : 0.34f + 0.28f * (float)i, up = low + 0.17f;

        flat_trunk(brush, (struct point){0, low * size.high}, half + (0.045f - half) * low + 0.003f,
                   (struct point){0, up * size.high}, half + (0.045f - half) * up + 0.003f,
                   (struct colour){236, 236, 232});
    }
}

/* Frame strips over the sides of a crate: bars at the edges, slots between. */
static void paint_crate(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    struct colour plastic = PICK(&rng, crates);
    struct colour dark = colour_scale(plastic, 0.55f);
    int bars = 2 + prng_below(&rng, 3);
    float step = size.high / (float)bars, rim = 0.02f;

    for (int i = 0; i < bars; i++) {
        float y = step * (float)i;
        struct block bar = {0, y, 0, size.wide, 0.62f * step, size.deep, plastic};
        struct block slot = {0, y + 0.62f * step, 0, size.wide - rim, 0.38f * step, size.deep - rim, dark};

        paint_block(brush, &bar);
        paint_block(brush, &slot);
    }
    struct block lid = {
        0, size.high, 0, size.wide + rim, 0.05f, size.deep + rim, colour_scale(plastic, 1.1f)};
    paint_block(brush, &lid);
    if (prng_chance(&rng, 0.5f)) {
        struct block hollow = {0, size.high + 0.05f, 0, size.wide - 0.1f, 0, size.deep - 0.1f, dark};
        paint_block(brush, &hollow);
    }
}

static void paint_drum(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    struct colour metal = PICK(&rng, drums);
    float half = 0.5f * size.wide;

    flat_oval(brush, 0, 0.05f, half, 0.2f * half, colour_scale(metal, 0.7f));
    flat_trunk(brush, (struct point){0, 0.05f}, half, (struct point){0, size.high}, half,
               colour_scale(metal, 0.8f));
    flat_trunk(brush, (struct point){-0.3f * half, 0.05f}, 0.3f * half,
               (struct point){-0.3f * half, size.high}, 0.3f * half, metal);
    for (int i = 1; i <= 2; i++) {
        float y = size.high * (float)i / 3.0f;
        flat_trunk(brush, (struct point){0, y}, half, (struct point){0, y + 0.03f}, half,
                   colour_scale(metal, 0.55f));
    }
    flat_oval(brush, 0, size.high, half, 0.2f * half, colour_scale(metal, 1.2f));
}

static void paint_post(const struct brush *brush)
{
    struct size size = object_size(brush->object);

    for (int i = 0; i < 5; i++) {
        struct colour c = (i & 1) ? (struct colour){40, 40, 42} : (struct colour){214, 182, 50};
        flat_trunk(brush, (struct point){0, size.high * (float)i / 5}, 0.06f,
                   (struct point){0, size.high * (float)(i + 1) / 5}, 0.06f, c);
    }
}

static void paint_dog(const struct brush *brush)
{
    struct prng rng = look_of(brush->object);
    struct size size = object_size(brush->object);
    float swing = 0.12f * trig_sin(brush->object->stride), hip = 0.52f * size.high, long_ = 0.5f * size.deep;
    struct colour shell = PICK(&rng, dogs), joint = {36, 38, 44}, eye = {90, 240, 250};
    struct block blocks[] = {
        {0, hip, 0, 0.3f, 0.34f * size.high, 1.3f * long_, shell},
        {0, hip + 0.02f, 0, 0.34f, 0.08f, 1.0f * long_, joint},
        {0, hip + 0.12f, 0.85f * long_, 0.22f, 0.2f, 0.3f * long_, joint}, /* head */
        {0, hip + 0.2f, 1.02f * long_, 0.16f, 0.05f, 0.03f, eye},
        {-0.19f, 0, 0.55f * long_ + swing, 0.09f, hip, 0.1f, joint}, /* legs */
        {0.19f, 0, 0.55f * long_ - swing, 0.09f, hip, 0.1f, joint},
        {-0.19f, 0, -0.55f * long_ - swing, 0.09f, hip, 0.1f, joint},
        {0.19f, 0, -0.55f * long_ + swing, 0.09f, hip, 0.1f, joint},
        {-0.2f, 0.8f * hip, 0.55f * long_, 0.1f, 0.14f, 0.2f, shell}, /* shoulders and hips */
        {0.2f, 0.8f * hip, 0.55f * long_, 0.1f, 0.14f, 0.2f, shell},
        {-0.2f, 0.8f * hip, -0.55f * long_, 0.1f, 0.14f, 0.2f, shell},
        {0.2f, 0.8f * hip, -0.55f * long_, 0.1f, 0.14f, 0.2f, shell},
        {0, hip + 0.34f * size.high, -0.2f * long_, 0.12f, 0.1f, 0.2f, joint}, /* lidar */
    };

    paint_blocks(brush, blocks, (int)ARRAY_LEN(blocks));
}

static void (*const painters[OBJECT_KINDS])(const struct brush *) = {
    [OBJECT_PERSON] = paint_person, [OBJECT_PALLET] = paint_pallet, [OBJECT_FORKLIFT] = paint_forklift,
    [OBJECT_CONE] = paint_cone,     [OBJECT_CRATE] = paint_crate,   [OBJECT_DRUM] = paint_drum,
    [OBJECT_POST] = paint_post,     [OBJECT_DOG] = paint_dog};

bool object_extent(const struct view *view, const struct object *object, struct point *low,
                   struct point *high)
{
    struct spot spot = view_of(view, object->x, object->z);
    struct size size = object_size(object);
    float half = 0.5f * MAX(size.wide, size.deep);

    if (spot.depth < half + NEAR_M)
        return false;
    float near = spot.depth - (object->kind == OBJECT_PERSON ? 0 : half);
    *low = view_project(view, spot.right - half, size.high, near);
    *high = view_project(view, spot.right + half, 0, near);
    return true;
}

void object_shadow(const struct object_scene *scene, const struct object *object)
{
    struct spot spot = view_of(scene->view, object->x, object->z);
    float radius = object_radius_m(object);

    if (spot.depth < radius + NEAR_M)
        return;
    float far = view_project(scene->view, 0, 0, spot.depth + radius).y;
    float near = view_project(scene->view, 0, 0, spot.depth - radius).y;
    struct point centre = view_project(scene->view, spot.right, 0, spot.depth);
    canvas_shade_ellipse(scene->canvas, (struct point){centre.x, 0.5f * (far + near)},
                         radius * scene->view->focal / spot.depth, 0.5f * (near - far), 0.3f);
}

void object_paint(const struct object_scene *scene, const struct object *object, int id)
{
    struct brush brush = {.scene = scene,
                          .object = object,
                          .sin_heading = trig_sin(object->heading),
                          .cos_heading = trig_cos(object->heading),
                          .spot = view_of(scene->view, object->x, object->z),
                          .id = id};

    painters[object->kind](&brush);
}
