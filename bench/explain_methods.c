/* Ours, and what it is measured against, each after its paper:
 *
 *   D-RISE     Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps" (CVPR 2021): masks of 16 x 16 cells, p = 0.5; a mask's weight
 *              is the largest IoU x cosine of the class vectors x objectness over all candidates (a head without objectness: its largest probability)
 *   sliding    Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks" (2014): tiles of an equal grid, one at a time
 *   box prior  no pass at all: a Gaussian at the middle of the box, a quarter of its size wide
 *   random     tiles in random order
 */
#include "bench/explain.h"

#include "base/clock.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* ---- ours ---- */

int make_ours(const struct explained *what, int passes, uint64_t seed, struct saliency *out, struct err *err)
{
    const struct saliency_plan plan = {.passes = passes, .seed = seed, .focus = what->focus};
    return saliency_make(what->scene, &plan, out, err);
}

static int ours(const struct explained *what, int passes, struct going *going, float *map, struct err *err)
{
    cleanup_saliency struct saliency saliency = {0};
    if (make_ours(what, passes, going->random, &saliency, err) < 0)
        return -1;
    memcpy(map, saliency.map, scene_places(what->scene) * sizeof *map);
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

/* A mask's weight. */
static double weigh(const struct explained *what, const struct class_vector *wanted, double score)
{
    if (!what->subject)
        return score;
    return similarity(subject_candidates(what->subject), &what->box, wanted);
}

/* The class vector of the whole frame's detection. */
static int look(const struct explained *what, float *keep, struct class_vector *out, struct err *err)
{
    struct answer answer;
    const struct area all = scene_all(what->scene);
    *out = (struct class_vector){0};
    mask_set(&all, what->scene->width, 1, keep);
    if (!what->subject)
        return 0;
    if (what->scene->ask(what->scene->arg, keep, FILL_MEAN, &answer, err) < 0)
        return -1;
    const struct candidates *candidates = subject_candidates(what->subject);
    class_vector(candidates, target_column(candidates, &what->box), out);
    return 0;
}

static int drise(const struct explained *what, int passes, struct going *going, float *map, struct err *err)
{
    const struct scene *scene = what->scene;
    const struct mask_grid grid = {.area = scene_all(scene), .cells_x = 16, .cells_y = 16, .share = 0.5};
    const size_t places = scene_places(scene);
    struct class_vector wanted;
    cleanup_free float *keep = mem_zalloc(places, sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    if (look(what, keep, &wanted, err) < 0)
        return -1;
    for (; going->done < passes; going->done++) {
        struct answer answer;
        mask_smooth(&grid, &going->random, scene->width, keep);
        if (scene->ask(scene->arg, keep, FILL_MEAN, &answer, err) < 0)
            return -1;
        float weight = (float)weigh(what, &wanted, answer.score);
        for (size_t k = 0; k < places; k++)
            map[k] += weight * keep[k];
    }
    return 0;
}

/* ---- others ---- */

static int sliding(const struct explained *what, int passes, struct going *going, float *map, struct err *err)
{
    const struct scene *scene = what->scene;
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

static int box_prior(const struct explained *what, int passes, struct going *going, float *map,
                     struct err *err)
{
    const struct scene *scene = what->scene;
    const struct detection *box = &what->box;
    for (int y = 0; y < scene->height; y++)
        for (int x = 0; x < scene->width; x++) {
            float dx = ((float)x + 0.5F - (box->x0 + box->x1) / 2) / ((box->x1 - box->x0) / 4);
            float dy = ((float)y + 0.5F - (box->y0 + box->y1) / 2) / ((box->y1 - box->y0) / 4);
            map[(size_t)y * (size_t)scene->width + (size_t)x] = -(dx * dx + dy * dy);
        }
    return 0;
}

static int in_random_order(const struct explained *what, int passes, struct going *going, float *map,
                           struct err *err)
{
    const struct scene *scene = what->scene;
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

/* ---- the table ---- */

size_t peak_of(const float *map, const struct scene *scene, const struct area *except)
{
    size_t best = 0;
    float most = -INFINITY;
    for (size_t i = 0; i < scene_places(scene); i++) {
        if (except && area_has(except, (int)(i % (size_t)scene->width), (int)(i / (size_t)scene->width)))
            continue;
        if (map[i] > most) {
            most = map[i];
            best = i;
        }
    }
    return best;
}

static bool in_box(const struct detection *box, const struct scene *scene, size_t place)
{
    const float x = (float)(place % (size_t)scene->width) + 0.5F,
                y = (float)(place / (size_t)scene->width) + 0.5F;
    return x >= box->x0 && x < box->x1 && y >= box->y0 && y < box->y1;
}

struct measuring {
    const struct explained *what;
    const struct detection *truth;
    struct going going;
    float *map;
    uint64_t seed;
};

static int measure(struct measuring *at, const struct method *method, struct row *row, struct err *err)
{
    const struct scene *scene = at->what->scene;
    struct faith_steps steps;
    double deletion, insertion;
    faith_fine(&steps);
    if (!method->goes_on) {
        at->going = (struct going){.random = at->seed};
        memset(at->map, 0, scene_places(scene) * sizeof *at->map);
    }
    int64_t start = clock_mono_ns();
    if (method->make(at->what, method->passes, &at->going, at->map, err) < 0)
        return -1;
    row->made_ms += (double)(clock_mono_ns() - start) / 1e6;
    if (faith_curve(scene, at->map, at->what->full, FAITH_DELETION, &steps, &deletion, err) < 0 ||
        faith_curve(scene, at->map, at->what->full, FAITH_INSERTION, &steps, &insertion, err) < 0)
        return -1;
    row->deletion += deletion;
    row->insertion += insertion;
    row->pointing += in_box(at->truth, scene, peak_of(at->map, scene, NULL));
    return 0;
}

int table_add(struct table *table, const struct explained *what, const struct detection *truth,
              struct err *err)
{
    cleanup_free float *map = mem_zalloc(scene_places(what->scene), sizeof *map);
    struct measuring at = {.what = what, .truth = truth, .map = map, .seed = (uint64_t)table->frames + 1};
    if (!map)
        return err_no_memory(err);
    for (size_t i = 0; i < method_count; i++)
        if (measure(&at, &methods[i], &table->rows[i], err) < 0)
            return -1;
    table->frames++;
    return 0;
}
