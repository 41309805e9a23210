#include "forge/explain/faith.h"

#include "base/mem.h"
#include "forge/explain/masks.h"

#include <math.h>
#include <stdlib.h>

enum { RANDOM_TILES = 16, RANDOM_MAPS = 2 };

const struct faith_steps faith_quick = {12,
                                        {0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.75, 1}};

void faith_fine(struct faith_steps *out)
{
    out->count = 0;
    for (int i = 0; i <= 20; i++) /* to 5 % by quarters of a percent */
        out->share[out->count++] = i / 400.0;
    for (int i = 6; i <= 20; i++)
        out->share[out->count++] = i / 100.0;
    for (int i = 25; i <= 100; i += 5)
        out->share[out->count++] = i / 100.0;
}

struct place {
    float value;
    uint32_t index;
};

static int by_value(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static struct place *sorted(const float *map, size_t count)
{
    struct place *places = mem_zalloc(count, sizeof *places);
    if (!places)
        return NULL;
    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){map[i], (uint32_t)i};
    qsort(places, count, sizeof *places, by_value);
    return places;
}

/* Trapezoids over the steps. */
static int walk(const struct scene *scene, const struct place *places, float *keep, enum faith_kind kind,
                const struct faith_steps *steps, double *out_area, struct err *err)
{
    const size_t count = scene_places(scene);
    size_t done = 0;
    double last = 0, area = 0;
    for (size_t i = 0; i < steps->count; i++) {
        struct answer answer;
        for (const size_t end = (size_t)llround(steps->share[i] * (double)count); done < end; done++)
            keep[places[done].index] = kind == FAITH_DELETION ? 0 : 1;
        if (scene->ask(scene->arg, keep, FILL_MEAN, &answer, err) < 0)
            return -1;
        if (i > 0)
            area += (steps->share[i] - steps->share[i - 1]) * (last + answer.score) / 2;
        last = answer.score;
    }
    *out_area = area;
    return 0;
}

int faith_curve(const struct scene *scene, const float *map, double full, enum faith_kind kind,
                const struct faith_steps *steps, double *out_auc, struct err *err)
{
    const size_t count = scene_places(scene);
    cleanup_free struct place *places = sorted(map, count);
    cleanup_free float *keep = mem_zalloc(count, sizeof *keep);
    double area = 0;
    if (!places || !keep)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        keep[i] = kind == FAITH_DELETION ? 1 : 0;
    if (walk(scene, places, keep, kind, steps, &area, err) < 0)
        return -1;
    *out_auc = full != 0 ? area / full : 0;
    return 0;
}

float *faith_random_map(const struct scene *scene, uint64_t seed)
{
    const int columns = MIN(RANDOM_TILES, scene->width), rows = MIN(RANDOM_TILES, scene->height);
    float tiles[RANDOM_TILES][RANDOM_TILES];
    float *map = mem_zalloc(scene_places(scene), sizeof *map);
    if (!map)
        return NULL;
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            tiles[y][x] = (float)mask_uniform(&seed);
    for (int y = 0; y < scene->height; y++)
        for (int x = 0; x < scene->width; x++)
            map[(size_t)y * (size_t)scene->width + (size_t)x] =
                tiles[y * rows / scene->height][x * columns / scene->width];
    return map;
}

static int judge_random(const struct scene *scene, double full, uint64_t seed, struct faith *out,
                        struct err *err)
{
    for (uint64_t i = 0; i < RANDOM_MAPS; i++) {
        double deletion, insertion;
        cleanup_free float *map = faith_random_map(scene, seed + i);
        if (!map)
            return err_no_memory(err);
        if (faith_curve(scene, map, full, FAITH_DELETION, &faith_quick, &deletion, err) < 0 ||
            faith_curve(scene, map, full, FAITH_INSERTION, &faith_quick, &insertion, err) < 0)
            return -1;
        out->random_deletion += deletion / RANDOM_MAPS;
        out->random_insertion += insertion / RANDOM_MAPS;
    }
    return 0;
}

static double within(double value)
{
    return value > 0 ? MIN(value, 1) : 0;
}

int faith_judge(const struct scene *scene, const float *map, double full, uint64_t seed, struct faith *out,
                struct err *err)
{
    *out = (struct faith){.passes = (int)faith_quick.count * 2 * (1 + RANDOM_MAPS)};
    if (faith_curve(scene, map, full, FAITH_DELETION, &faith_quick, &out->deletion, err) < 0 ||
        faith_curve(scene, map, full, FAITH_INSERTION, &faith_quick, &out->insertion, err) < 0 ||
        judge_random(scene, full, seed, out, err) < 0)
        return -1;
    double deletion = out->random_deletion > 0 ? within(1 - out->deletion / out->random_deletion) : 0;
    double insertion = out->random_insertion < 1
                           ? within((out->insertion - out->random_insertion) / (1 - out->random_insertion))
                           : 0;
    out->worth = (deletion + insertion) / 2;
    return 0;
}
