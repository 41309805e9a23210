#include "bench/explain.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/floats.h"
#include "infer/lab.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 256, LAYERS = 3, MAX_BOXES = 16, MAX_TRUTH = 4 << 20 };
static const double readable = 0.3; /* a word that the detector does not see is nothing to explain */

struct reading {
    struct lab *lab;
    const float *pixels; /* [3][SIDE][SIDE], as the model takes them */
    float covered[LAYERS * SIDE * SIDE], fill[LAYERS], contrast[SIDE * SIDE];
    struct detection box;
};

static double mean_in(const float *values, const struct detection *box)
{
    double sum = 0;
    size_t count = 0;
    for (int y = (int)box->y0; y < (int)box->y1; y++)
        for (int x = (int)box->x0; x < (int)box->x1; x++, count++)
            sum += (double)values[y * SIDE + x];
    return count ? sum / (double)count : 0;
}

static int ask(void *arg, const float *keep, enum fill fill, struct answer *out, struct err *err)
{
    struct reading *at = arg;
    struct lab_tensor output;
    const struct lab_tensor input = {.dtype = DTYPE_FLOAT32,
                                     .dim_count = 4,
                                     .dims = {1, LAYERS, SIDE, SIDE},
                                     .data = at->covered,
                                     .bytes = sizeof at->covered};
    for (int i = 0; i < LAYERS * SIDE * SIDE; i++) {
        const float base = fill == FILL_MEAN ? at->fill[i / (SIDE * SIDE)] : 0;
        at->covered[i] = base + (at->pixels[i] - base) * keep[i % (SIDE * SIDE)];
    }
    if (lab_run(at->lab, &input, NULL, 1, &output, err) < 0)
        return -1;
    if (output.dtype != DTYPE_FLOAT32 || output.bytes != SIDE * SIDE * sizeof(float))
        return err_set(err, ERR_REFUSED, "the text detector gives something else than a map");
    double score = mean_in(output.data, &at->box);
    *out = (struct answer){score, score >= readable};
    return 0;
}

static void see(struct reading *at, const float *pixels)
{
    at->pixels = pixels;
    for (int layer = 0; layer < LAYERS; layer++) {
        double sum = 0;
        for (int i = 0; i < SIDE * SIDE; i++)
            sum += (double)pixels[layer * SIDE * SIDE + i];
        at->fill[layer] = (float)(sum / (SIDE * SIDE));
    }
    memset(at->contrast, 0, sizeof at->contrast);
    for (int i = 0; i < LAYERS * SIDE * SIDE; i++)
        at->contrast[i % (SIDE * SIDE)] += fabsf(pixels[i] - at->fill[i / (SIDE * SIDE)]);
}

/* The first word of a scene that is seen. */
static int explain_scene(struct reading *at, const struct detection *boxes, size_t count, struct table *table,
                         struct err *err)
{
    const struct scene scene = {
        .width = SIDE, .height = SIDE, .contrast = at->contrast, .ask = ask, .arg = at};
    cleanup_free float *keep = mem_zalloc(scene_places(&scene), sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    const struct area all = scene_all(&scene);
    mask_set(&all, SIDE, 1, keep);
    for (size_t i = 0; i < count; i++) {
        struct answer answer;
        at->box = boxes[i];
        if (ask(at, keep, FILL_MEAN, &answer, err) < 0)
            return -1;
        if (!answer.stands)
            continue;
        const struct explained what = {.scene = &scene,
                                       .focus = area_around(&boxes[i], SIDE, SIDE),
                                       .box = boxes[i],
                                       .full = answer.score};
        return table_add(table, &what, &boxes[i], err);
    }
    return 0;
}

static size_t read_boxes(struct json_at scene, struct detection out[MAX_BOXES])
{
    size_t count = 0, read = 0;
    struct json_at list = json_list(scene, "boxes", MAX_BOXES, &count);
    for (size_t i = 0; i < count; i++) {
        struct detection *box = &out[read];
        cleanup_free char *text = json_canonical(json_item(list, i));
        if (text && sscanf(text, "[%f,%f,%f,%f]", &box->x0, &box->y0, &box->x1, &box->y1) == 4)
            read++;
    }
    return read;
}

static int explain_file(struct reading *at, const char *dir, const char *name, struct json_at truth,
                        struct table *table, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free char *path = file_join(dir, name);
    struct detection boxes[MAX_BOXES] = {0};
    const uint8_t *floats = NULL;
    size_t count = 0;
    if (!path)
        return err_no_memory(err);
    if (file_map(path, &map, err) < 0 || floats_find(path, map.data, map.size, &floats, &count, err) < 0)
        return -1;
    if (count != LAYERS * SIDE * SIDE)
        return err_set(err, ERR_INVALID, "%s: %zu numbers", name, count);
    cleanup_free float *pixels = mem_dup(floats, count * sizeof *pixels);
    if (!pixels)
        return err_no_memory(err);
    see(at, pixels);
    return explain_scene(at, boxes, read_boxes(truth, boxes), table, err);
}

struct reading_all {
    struct reading at;
    const char *dir;
    struct table *table;
    struct err *err;
    bool failed;
};

static void visit(const char *name, struct json_at scene, void *arg)
{
    struct reading_all *all = arg;
    if (!all->failed)
        all->failed = explain_file(&all->at, all->dir, name, scene, all->table, all->err) < 0;
}

static int explain_scenes(struct lab *lab, const char *dir, struct table *table, struct err *err)
{
    struct json_reader reader;
    cleanup_free char *path = file_join(dir, "truth.json");
    cleanup_buf struct buf text = BUF_INIT(MAX_TRUTH);
    cleanup_free struct reading_all *all = mem_zalloc(1, sizeof *all);
    if (!path || !all)
        return err_no_memory(err);
    *all = (struct reading_all){.at.lab = lab, .dir = dir, .table = table, .err = err};
    if (file_read(path, &text, err) < 0 || json_read(&reader, "truth.json", text.data, text.len, err) < 0)
        return -1;
    json_each(json_root(&reader), visit, all);
    struct err finishing = {0};
    if (json_finish(&reader, &finishing) < 0 && !all->failed) {
        *err = finishing;
        return -1;
    }
    return all->failed ? -1 : 0;
}

/* False: there is no Python that can. */
static bool render(const char *dir, int frames)
{
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};
    char count[16];
    snprintf(count, sizeof count, "%d", frames);
    for (size_t i = 0; i < ARRAY_LEN(pythons); i++) {
        struct err err = {0};
        int status = 1;
        const char *const argv[] = {pythons[i], MUSTER_TESTS "/corpus/render.py",
                                    "scenes",   dir,
                                    "--size",   "256",
                                    "--count",  count,
                                    "--seed",   "7",
                                    NULL};
        if (proc_run(argv, 120000, NULL, &status, &err) == 0 && status == 0)
            return true;
    }
    return false;
}

int explain_text(int frames, const char *dir, struct table *table, char out_why[128], struct err *err)
{
    cleanup_lab struct lab *lab = NULL;
    cleanup_free char *scenes = file_join(dir, "scenes");
    const struct lab_how how = {.level = LAB_ALL};
    struct err missing = {0};
    if (!scenes)
        return err_no_memory(err);
    if (!frames) {
        snprintf(out_why, 128, "not asked for: --words N; a pass takes some 20 ms");
        return 0;
    }
    if (lab_open(MUSTER_MODELS_CORPUS "/ch_PP-OCRv4_det_infer.onnx", NULL, 0, &how, &lab, &missing) < 0) {
        snprintf(out_why, 128, "%.100s (make corpus)", missing.text);
        return 0;
    }
    if (!render(scenes, frames)) {
        snprintf(out_why, 128, "tests/corpus/render.py needs python3-pil, python3-numpy, fonts-dejavu-core");
        return 0;
    }
    return explain_scenes(lab, scenes, table, err);
}
