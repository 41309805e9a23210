#include "sim/world/corridor.h"

#include "base/mem.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

#define FAR_M 45.0f

/* What a column of the picture ends at. */
struct wall {
    float depth; /* m, along the view */
    float along; /* m, along the wall: the texture's coordinate */
    float light; /* share of light, by the wall's direction */
    enum site_wall kind;
    bool end; /* the far end: only haze */
};

static float bay_centre(const struct corridor *corridor, float z)
{
    return (float)trig_floor(z / corridor->bay_every_m + 0.5f) * corridor->bay_every_m;
}

static float absf(float x)
{
    return x < 0 ? -x : x;
}

bool corridor_has_room(const struct corridor *corridor, float x, float z, float radius_m)
{
    float w = corridor->site->half_width_m;

    if (absf(x) < w - radius_m)
        return true;
    return x > 0 && x < w + BAY_DEPTH_M - radius_m &&
           absf(z - bay_centre(corridor, z)) < BAY_HALF_M - radius_m;
}

float corridor_clearness(const struct corridor *corridor, float depth_m)
{
    return 1.0f / (1.0f + corridor->site->haze_per_m * depth_m);
}

/* The ray has passed the opening of a bay at depth t: it ends at the bay's back or at one of its sides. */
static struct wall bay_wall(const struct corridor *corridor, const struct view *view, struct point dir,
                            float bay)
{
    float back = (corridor->site->half_width_m + BAY_DEPTH_M - view->x) / dir.x;
    float z = view->z + back * dir.y;

    if (absf(z - bay) <= BAY_HALF_M)
        return (struct wall){back, z, 0.92f, WALL_PANEL, false};
    float side = (bay + (dir.y > 0 ? BAY_HALF_M : -BAY_HALF_M) - view->z) / dir.y;
    return (struct wall){side, view->x + side * dir.x, 0.75f, WALL_PANEL, false};
}

/* dir: x and z (in .y) walked per metre of depth. */
static struct wall wall_hit(const struct corridor *corridor, const struct view *view, struct point dir)
{
    float w = corridor->site->half_width_m;
    float to = dir.x > 0 ? w - view->x : -w - view->x;
    float depth = absf(dir.x) < 1e-4f ? FAR_M : to / dir.x;

    if (depth >= FAR_M || depth <= 0)
        return (struct wall){FAR_M, 0, 1, WALL_PANEL, true};
    float z = view->z + depth * dir.y;
    float bay = bay_centre(corridor, z);
    if (dir.x > 0 && absf(z - bay) < BAY_HALF_M)
        return bay_wall(corridor, view, dir, bay);
    return (struct wall){depth, z, dir.x > 0 ? 1.0f : 0.86f,
                         dir.x > 0 ? corridor->site->right : corridor->site->left, false};
}

static void put(struct canvas *canvas, int x, int y, struct colour c)
{
    canvas->rgb[y][x][0] = colour_byte(c.r);
    canvas->rgb[y][x][1] = colour_byte(c.g);
    canvas->rgb[y][x][2] = colour_byte(c.b);
}

static struct colour ceiling_texel(const struct corridor *corridor, float x, float z)
{
    float lamp = z / 3.0f - (float)trig_floor(z / 3.0f);

    if (absf(x) < 0.25f && lamp < 0.45f)
        return (struct colour){250, 250, 245};
    return colour_scale(corridor->site->ceiling, (trig_floor(z * 2) & 1) ? 0.94f : 1.0f);
}

/* Floor (plane_m = 0) or ceiling seen at this pixel. */
static struct colour plane_pixel(const struct corridor *corridor, const struct view *view, struct point dir,
                                 float y, bool floor)
{
    float over = floor ? view->height_m : view->height_m - corridor->site->height_m;
    float depth = over * view->focal / (y - view->horizon);
    float x = view->x + depth * dir.x, z = view->z + depth * dir.y;
    struct colour c =
        floor ? site_floor_texel(corridor->site, x, z, corridor->salt) : ceiling_texel(corridor, x, z);

    return colour_mix(corridor->site->haze, c, corridor_clearness(corridor, depth));
}

static struct colour wall_pixel(const struct corridor *corridor, const struct view *view,
                                const struct wall *wall, float y)
{
    float y_m = view->height_m - (y - view->horizon) * wall->depth / view->focal;

    if (wall->end)
        return corridor->site->haze;
    struct colour c = site_wall_texel(corridor->site, wall->kind, wall->along, MAX(y_m, 0),
                                      corridor->salt + (wall->light < 0.9f));
    return colour_mix(corridor->site->haze, colour_scale(c, wall->light),
                      corridor_clearness(corridor, wall->depth));
}

/* One evaluation serves two rows: the sensor averages them anyway. */
static void paint_column(const struct corridor *corridor, const struct view *view, struct canvas *canvas,
                         int column)
{
    float side = ((float)column + 0.5f - CANVAS_WIDTH * 0.5f) / view->focal;
    struct point dir = {view->sin_yaw + view->cos_yaw * side, view->cos_yaw - view->sin_yaw * side};
    struct wall wall = wall_hit(corridor, view, dir);
    float top = view_project(view, 0, corridor->site->height_m, wall.depth).y;
    float bottom = view_project(view, 0, 0, wall.depth).y;

    for (int row = 0; row < CANVAS_HEIGHT; row += 2) {
        float y = (float)row + 1;
        bool plane = y < top || y >= bottom;
        struct colour c =
            plane ? plane_pixel(corridor, view, dir, y, y >= bottom) : wall_pixel(corridor, view, &wall, y);

        put(canvas, column, row, c);
        put(canvas, column, row + 1, c);
    }
}

void corridor_paint(const struct corridor *corridor, const struct view *view, struct canvas *canvas)
{
    for (int column = 0; column < CANVAS_WIDTH; column++)
        paint_column(corridor, view, canvas, column);
}
