#include "sim/world/boxes.h"

#include "sim/world/trig.h"

/* The share of the object's own rectangle that lies inside the frame. */
static float inside_share(const struct view *view, const struct object *object)
{
    struct point low, high;

    if (!object_extent(view, object, &low, &high))
        return 0;
    float wide = trig_clamp(high.x, 0, CANVAS_WIDTH) - trig_clamp(low.x, 0, CANVAS_WIDTH);
    float tall = trig_clamp(high.y, 0, CANVAS_HEIGHT) - trig_clamp(low.y, 0, CANVAS_HEIGHT);
    return wide * tall / MAX((high.x - low.x) * (high.y - low.y), 1e-3f);
}

static bool box_of(const struct instant *instant, const struct canvas *canvas, int index,
                   const struct canvas_extent *seen, struct world_box *box)
{
    const struct object *object = &instant->objects[index];
    uint32_t painted = canvas->painted[index + 1];

    if ((int)object->kind >= OBJECT_LABELLED || !seen->pixels || !painted)
        return false;
    *box = (struct world_box){.x0 = (float)seen->x0 * 0.5f,
                              .y0 = (float)seen->y0 * 0.5f,
                              .x1 = (float)seen->x1 * 0.5f,
                              .y1 = (float)seen->y1 * 0.5f,
                              .label = (int)object->kind,
                              .object = index + 1,
                              .visible = (float)seen->pixels / (float)painted *
                                         inside_share(&instant->view, object)};
    return box->visible >= 0.3f && box->x1 - box->x0 >= 6 && box->y1 - box->y0 >= 6;
}

size_t boxes_collect(const struct instant *instant, const struct canvas *canvas, struct world_box *boxes,
                     size_t max)
{
    struct canvas_extent seen[CANVAS_MAX_OBJECTS + 1];
    size_t count = 0;

    canvas_measure(canvas, seen);
    for (int i = instant->object_count - 1; i >= 0 && count < max; i--)
        count += box_of(instant, canvas, i, &seen[i + 1], &boxes[count]);
    return count;
}
