/* Ours, and what it is measured against, each after its paper:
 *
 *   D-RISE     Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps" (CVPR 2021): masks of 16 x 16 cells, p = 0.5; a mask's weight
 *              is the largest IoU x cosine of the class vectors x objectness over all candidates (a head without objectness: its largest probability)
 *   sliding    Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks" (2014): tiles of an equal grid, one at a time
 *   box prior  no pass at all: a Gaussian at the middle of the box, a quarter of its size wide
 *   random     tiles in random order
 */
#include "bench/explain.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* ---- ours ---- */

int make_ours(struct subject *subject, int passes, uint64_t seed, struct saliency *out, struct err *err)
{
    const struct saliency_plan plan = {.passes = passes, .seed = seed, .focus = subject_focus(subject)};
    return saliency_make(subject_scene(subject), &plan, out, err);
}

static int ours(struct subject *subject, int passes, struct going *going, float *map, struct err *err)
{
    cleanup_saliency struct saliency saliency = {0};
    if (make_ours(subject, passes, going->random, &saliency, err) < 0)
        return -1;
    memcpy(map, saliency.map, scene_places(subject_scene(subject)) * sizeof *map);
    return 0;
}

/* ---- D-RISE ---- */

struct class_vector {
    double value[RELEASE_MAX_LABELS], norm, largest;
};

static void class_vector(const struct candidates *all, size_t column, struct class_vector *out)
{
    double sum = 0;
    out->largest = 0;
    for (size_t label = 0; label < all->labels; label++) {
        out->value[label] = (double)all->values[(4 + label) * all->columns + column];
        sum += out->value[label] * out->value[label];
        out->largest = MAX(out->largest, out->value[label]);
    }
    out->norm = sqrt(sum);
}

/* The candidate that the target came from. */
static size_t target_column(const struct candidates *all, const struct detection *target)
{
    size_t best = 0;
    double best_iou = -1;
    for (size_t i = 0; i < all->columns; i++) {
        const struct detection box = candidates_box(all, i);
        double worth = (double)detection_iou(&box, target) *
                       (double)all->values[(4 + (size_t)target->label) * all->columns + i];
        if (worth > best_iou) {
            best_iou = worth;
            best = i;
        }
    }
    return best;
}

static double cosine(const struct class_vector *a, const struct class_vector *b, size_t labels)
{
    double dot = 0;
    for (size_t i = 0; i < labels; i++)
        dot += a->value[i] * b->value[i];
    return a->norm > 0 && b->norm > 0 ? dot / (a->norm * b->norm) : 0;
}

static double similarity(const struct candidates *all, const struct detection *target,
                         const struct class_vector *wanted)
{
    double best = 0;
    for (size_t i = 0; i < all->columns; i++) {
        struct class_vector have;
        const struct detection box = candidates_box(all, i);
        double iou = (double)detection_iou(&box, target);
        if (iou <= best)
            continue;
        class_vector(all, i, &have);
        best = MAX(best, iou * cosine(&have, wanted, all->labels) * have.largest);
    }
    return best;
}

static int drise(struct subject *subject, int passes, struct going *going, float *map, struct err *err)
{
    const struct scene *scene = subject_scene(subject);
    const struct mask_grid grid = {.area = scene_all(scene), .cells_x = 16, .cells_y = 16, .share = 0.5};
    const size_t places = scene_places(scene);
    size_t count = 0;
    const struct detection target = subject_detections(subject, &count)[0];
    struct class_vector wanted;
    struct answer answer;
    cleanup_free float *keep = mem_zalloc(places, sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    mask_set(&grid.area, scene->width, 1, keep);
    if (scene->ask(scene->arg, keep, FILL_MEAN, &answer, err) < 0)
        return -1;
    const struct candidates *all = subject_candidates(subject);
    class_vector(all, target_column(all, &target), &wanted);
    for (; going->done < passes; going->done++) {
        mask_smooth(&grid, &going->random, scene->width, keep);
        if (scene->ask(scene->arg, keep, FILL_MEAN, &answer, err) < 0)
            return -1;
        float weight = (float)similarity(all, &target, &wanted);
        for (size_t k = 0; k < places; k++)
            map[k] += weight * keep[k];
    }
    return 0;
}

/* ---- others ---- */

static int sliding(struct subject *subject, int passes, struct going *going, float *map, struct err *err)
{
    const struct scene *scene = subject_scene(subject);
    const int side = (int)sqrt((double)passes);
    const struct area all = scene_all(scene);
    struct answer full, one;
    cleanup_free float *keep = mem_zalloc(scene_places(scene), sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    mask_set(&all, scene->width, 1, keep);
    if (scene->ask(scene->arg, keep, FILL_MEAN, &full, err) < 0)
        return -1;
    for (int i = 0; i < side * side; i++) {
        const int x = i % side, y = i / side;
        const struct area tile = {scene->width * x / side, scene->height * y / side,
                                  scene->width * (x + 1) / side, scene->height * (y + 1) / side};
        mask_set(&tile, scene->width, 0, keep);
        if (scene->ask(scene->arg, keep, FILL_MEAN, &one, err) < 0)
            return -1;
        mask_set(&tile, scene->width, 1, keep);
        mask_set(&tile, scene->width, (float)(full.score - one.score), map);
    }
    return 0;
}

static int box_prior(struct subject *subject, int passes, struct going *going, float *map, struct err *err)
{
    const struct scene *scene = subject_scene(subject);
    size_t count = 0;
    const struct detection *box = &subject_detections(subject, &count)[0];
    for (int y = 0; y < scene->height; y++)
        for (int x = 0; x < scene->width; x++) {
            float dx = ((float)x + 0.5F - (box->x0 + box->x1) / 2) / ((box->x1 - box->x0) / 4);
            float dy = ((float)y + 0.5F - (box->y0 + box->y1) / 2) / ((box->y1 - box->y0) / 4);
            map[(size_t)y * (size_t)scene->width + (size_t)x] = -(dx * dx + dy * dy);
        }
    return 0;
}

static int in_random_order(struct subject *subject, int passes, struct going *going, float *map,
                           struct err *err)
{
    const struct scene *scene = subject_scene(subject);
    cleanup_free float *random = faith_random_map(scene, going->random);
    if (!random)
        return err_no_memory(err);
    memcpy(map, random, scene_places(scene) * sizeof *map);
    return 0;
}

const struct method methods[] = {
    {"muster", 20, ours, false},           {"muster", 60, ours, false},
    {"muster", 100, ours, false},          {"muster", 300, ours, false},
    {"d-rise", 100, drise, false},         {"d-rise", 300, drise, true},
    {"d-rise", 1000, drise, true},         {"sliding", 100, sliding, false},
    {"sliding", 400, sliding, false},      {"box prior", 0, box_prior, false},
    {"random", 0, in_random_order, false},
};
const size_t method_count = ARRAY_LEN(methods);
