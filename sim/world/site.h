/* Sites: places that look different in floor, walls, light and colour cast. One table row each.
 *
 *     0 "north"   pale epoxy floor, blue racks with orange beams, white light
 *     1 "harbour" dark stained concrete, brick and timber racks, warm dim light
 *     2 "cold"    bluish tiles, white insulated panels, cold hazy light
 *     3 "annex"   green painted floor, grey sheet metal and red racks, greenish light
 */
#ifndef MUSTER_SIM_WORLD_SITE_H
#define MUSTER_SIM_WORLD_SITE_H

#include "sim/world/canvas.h"

#include <stdint.h>

#define SITE_COUNT 4

enum site_wall { WALL_RACK, WALL_BRICK, WALL_PANEL };

struct site {
    const char *name;
    struct colour floor, floor_line, grout;
    float tile_m; /* distance of grout lines; 0: none */
    float stains; /* 0..1 */
    enum site_wall left, right;
    struct colour upright, beam, plain, ceiling, haze;
    float haze_per_m;
    float half_width_m; /* of the aisle */
    float height_m;     /* of the walls */
    float light;        /* 1: normal */
    struct colour cast; /* gain per channel, around 1 */
};

/* NULL if there is no such site. */
const struct site *site_get(int index);

struct colour site_floor_texel(const struct site *site, float x_m, float z_m, uint32_t salt);
struct colour site_wall_texel(const struct site *site, enum site_wall kind, float along_m, float y_m,
                              uint32_t salt);

#endif
