#include "forge/explain/masks.h"

#include "base/mem.h"

#include <math.h>

uint64_t mask_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

double mask_uniform(uint64_t *state)
{
    return (double)(mask_random(state) >> 11) * 0x1p-53;
}

/* Where a place lies between two nodes. */
struct between {
    int node;
    float part;
};

static struct between between_nodes(int place, int from, double cell, double shift, int nodes)
{
    double at = ((double)(place - from) + 0.5) / cell + shift;
    int node = (int)at;
    if (node > nodes - 2)
        return (struct between){nodes - 2, 1};
    return (struct between){node, (float)(at - (double)node)};
}

typedef float node_grid[MASK_MAX_CELLS + 2][MASK_MAX_CELLS + 2];

static void draw_nodes(const struct mask_grid *grid, uint64_t *random, node_grid nodes)
{
    for (int y = 0; y < grid->cells_y + 2; y++)
        for (int x = 0; x < grid->cells_x + 2; x++)
            nodes[y][x] = mask_uniform(random) < grid->share ? 1 : 0;
}

static float blend(float a, float b, float part)
{
    return a + (b - a) * part;
}

void mask_smooth(const struct mask_grid *grid, uint64_t *random, int width, float *keep)
{
    const struct area *area = &grid->area;
    const double cell_x = (double)(area->x1 - area->x0) / grid->cells_x;
    const double cell_y = (double)(area->y1 - area->y0) / grid->cells_y;
    node_grid nodes;
    draw_nodes(grid, random, nodes);
    const double shift_x = mask_uniform(random), shift_y = mask_uniform(random);
    for (int y = area->y0; y < area->y1; y++) {
        struct between row = between_nodes(y, area->y0, cell_y, shift_y, grid->cells_y + 2);
        if (grid->rows_apart)
            row = (struct between){(int)((double)(y - area->y0) / cell_y), 0};
        for (int x = area->x0; x < area->x1; x++) {
            struct between column = between_nodes(x, area->x0, cell_x, shift_x, grid->cells_x + 2);
            float above = blend(nodes[row.node][column.node], nodes[row.node][column.node + 1], column.part);
            float below =
                blend(nodes[row.node + 1][column.node], nodes[row.node + 1][column.node + 1], column.part);
            keep[(size_t)y * (size_t)width + (size_t)x] = blend(above, below, row.part);
        }
    }
}

void mask_complement(const struct area *area, int width, float *keep)
{
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++) {
            float *place = &keep[(size_t)y * (size_t)width + (size_t)x];
            *place = 1 - *place;
        }
}

void mask_set(const struct area *area, int width, float value, float *keep)
{
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++)
            keep[(size_t)y * (size_t)width + (size_t)x] = value;
}
