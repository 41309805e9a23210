/* Saliency maps side by side, and what only some of them can find.
 *
 *     bench-explain [--frames N] [--words N] [--cases N] [--check] [--json]
 *
 *   text      pictures with words (tests/corpus/render.py) and the text detector of the corpus, if both are here: the mean probability of text in a word's
 *             box; areas under the deletion and insertion curves relative to the whole frame's score, mean-colour fill, 52 steps; pointing game: the
 *             map's peak lies in the true box
 *   objects   frames of muster-sim's warehouse, the strongest detection of models/detector-2.0.0: the same
 *   small     and the smallest one that is sure and true
 *   planted   the same detector made to hang on a patch in the corner furthest from the box, 10 to 28 pixels wide: the map's peak outside of the focus lies
 *             in that patch, and the context is named; and how often a context is named where nothing was planted
 *   flips     counterfactuals that were stated, and how many of them flip when another session of the model is asked
 *   decision  what it takes to write a decision record
 */
#include "bench/explain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/recipe.h"
#include "sim/frames/frames.h"
#include "sys/file.h"
#include "usage.h"
#include "wire/decision.h"
#include "wire/json_stream.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_PASSES = 100, DECISIONS = 2000, PATCH_MIN = 10, PATCH_MAX = 28 };
static const float sure = 0.5F; /* detections below it are not explained here */

struct bench {
    int frames, words, cases;
    bool json, check;
    char dir[64];
    struct recipe recipe;
    struct subject *subject, *again; /* two sessions of the same model */
    struct table objects, small, text;
    char no_text[128]; /* why there is none */
    struct {
        int cases, located, named, controls, controls_named;
    } planted;
    struct {
        int asked, stated, flipped, context;
        double cells, share, passes;
    } flips;
    double decision_p50_ms, decision_p99_ms;
    uint64_t random;
};

static struct explained explained_of(struct subject *subject, size_t target)
{
    size_t count = 0;
    const struct detection *box = &subject_detections(subject, &count)[target];
    return (struct explained){.scene = subject_scene(subject),
                              .focus = subject_focus(subject),
                              .box = *box,
                              .full = (double)box->score,
                              .subject = subject};
}

/* ---- flips ---- */

/* Another session is asked, about the same frame and the stated cells alone. */
static int flips_again(struct subject *again, const struct picture *picture, const struct flip *flip,
                       bool *out, struct err *err)
{
    struct answer answer;
    if (subject_show(again, picture, err) < 0 || subject_aim(again, 0, err) < 0)
        return -1;
    const struct scene *scene = subject_scene(again);
    cleanup_free float *keep = mem_zalloc(scene_places(scene), sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    flip_mask(scene, flip, keep);
    if (scene->ask(scene->arg, keep, flip->fill, &answer, err) < 0)
        return -1;
    *out = !answer.stands;
    return 0;
}

static int try_flip(struct bench *bench, struct subject *subject, struct subject *again,
                    const struct saliency *saliency, struct err *err)
{
    cleanup_free struct flip *flip = mem_zalloc(1, sizeof *flip);
    const struct area focus = subject_focus(subject);
    bool flipped = false;
    if (!flip)
        return err_no_memory(err);
    if (flip_find(subject_scene(subject), saliency, &focus, subject_raise(subject), flip, err) < 0)
        return -1;
    bench->flips.asked++;
    bench->flips.passes += flip->passes;
    if (!flip->found)
        return 0;
    if (flips_again(again, subject_picture(subject), flip, &flipped, err) < 0)
        return -1;
    bench->flips.stated++;
    bench->flips.flipped += flipped;
    bench->flips.cells += (double)flip->count;
    bench->flips.share += flip->share;
    for (size_t i = 0; i < flip->count; i++)
        if (flip->cells[i].context) {
            bench->flips.context++;
            break;
        }
    return 0;
}

/* ---- planted ---- */

/* In the corner that is furthest from the box. */
static struct area far_patch(struct bench *bench, const struct detection *box)
{
    const int side = PATCH_MIN + (int)(mask_uniform(&bench->random) * (PATCH_MAX - PATCH_MIN + 1));
    const bool left = box->x0 + box->x1 > WORLD_WIDTH, top = box->y0 + box->y1 > WORLD_HEIGHT;
    const int x = left ? 0 : WORLD_WIDTH - side, y = top ? 0 : WORLD_HEIGHT - side;
    return (struct area){x, y, x + side, y + side};
}

static bool overlap(const struct area *a, const struct area *b)
{
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* Of the input's values: pixels / 255, as this release's preprocessing makes them of a frame of the input's own size. */
static double patch_mean(const struct picture *picture, const struct area *patch, size_t channel)
{
    double sum = 0;
    for (int y = patch->y0; y < patch->y1; y++)
        for (int x = patch->x0; x < patch->x1; x++)
            sum += picture->rgb[3 * ((size_t)y * (size_t)picture->width + (size_t)x) + channel];
    return sum / 255 / ((double)(patch->x1 - patch->x0) * (double)(patch->y1 - patch->y0));
}

static struct planted planted_of(const struct picture *picture, const struct area *patch)
{
    struct planted planted = {.patch = *patch};
    for (size_t channel = 0; channel < 3; channel++)
        planted.mean += patch_mean(picture, patch, channel) / 3;
    return planted;
}

static int look_at_planted(struct bench *bench, struct subject *subject, struct subject *again,
                           const struct area *patch, struct err *err)
{
    cleanup_saliency struct saliency saliency = {0};
    const struct area focus = subject_focus(subject);
    const struct explained what = explained_of(subject, 0);
    if (make_ours(&what, CASE_PASSES, bench->random, &saliency, err) < 0)
        return -1;
    const size_t place = peak_of(saliency.map, subject_scene(subject), &focus);
    const bool located =
        area_has(patch, (int)(place % (size_t)saliency.width), (int)(place / (size_t)saliency.width));
    const struct saliency_tile *named = saliency_context(&saliency);
    bench->planted.cases++;
    bench->planted.located += located && named;
    bench->planted.named += named != NULL;
    return try_flip(bench, subject, again, &saliency, err);
}

static int run_planted(struct bench *bench, const struct picture *picture, const struct area *patch,
                       struct err *err)
{
    cleanup_subject struct subject *subject = NULL;
    cleanup_subject struct subject *again = NULL;
    cleanup_free char *path = mem_printf("%s/planted.onnx", bench->dir);
    const struct planted planted = planted_of(picture, patch);
    if (!path)
        return err_no_memory(err);
    if (plant(bench->recipe.model_path, &planted, path, err) < 0 ||
        subject_open(path, &bench->recipe.release, NULL, &subject, err) < 0 ||
        subject_open(path, &bench->recipe.release, NULL, &again, err) < 0 ||
        subject_show(subject, picture, err) < 0 || subject_aim(subject, 0, err) < 0)
        return -1;
    return look_at_planted(bench, subject, again, patch, err);
}

static int one_case(struct bench *bench, const struct picture *picture, struct err *err)
{
    cleanup_saliency struct saliency saliency = {0};
    const struct explained what = explained_of(bench->subject, 0);
    const struct area patch = far_patch(bench, &what.box);
    if (bench->planted.cases >= bench->cases || overlap(&what.focus, &patch))
        return 0;
    if (make_ours(&what, CASE_PASSES, bench->random, &saliency, err) < 0)
        return -1;
    bench->planted.controls++;
    bench->planted.controls_named += saliency_context(&saliency) != NULL;
    if (try_flip(bench, bench->subject, bench->again, &saliency, err) < 0)
        return -1;
    return run_planted(bench, picture, &patch, err);
}

/* ---- frames ---- */

/* The true box of a detection; false: it is not sure enough, or not true. */
static bool truth_of(const struct bench *bench, const struct frames_one *frame, const struct detection *found,
                     struct detection *out)
{
    for (size_t i = 0; i < frame->count && found->score >= sure; i++) {
        const struct world_box *box = &frame->boxes[i];
        *out = (struct detection){.x0 = box->x0, .y0 = box->y0, .x1 = box->x1, .y1 = box->y1};
        if (str_eq(world_class_name(box->label), bench->recipe.release.labels[found->label]) &&
            detection_iou(out, found) >= CANDIDATES_SAME_IOU)
            return true;
    }
    return false;
}

static float size_of(const struct detection *box)
{
    return (box->x1 - box->x0) * (box->y1 - box->y0);
}

/* The smallest one that is sure and true; the first one is both. */
static size_t smallest(const struct bench *bench, const struct frames_one *frame, struct detection *out)
{
    size_t count = 0, best = 0;
    const struct detection *found = subject_detections(bench->subject, &count);
    for (size_t i = 0; i < count; i++) {
        struct detection truth;
        if ((i == 0 || size_of(&found[i]) < size_of(&found[best])) &&
            truth_of(bench, frame, &found[i], &truth)) {
            *out = truth;
            best = i;
        }
    }
    return best;
}

static int add_to(struct bench *bench, struct table *table, size_t target, const struct detection *truth,
                  struct err *err)
{
    if (table->frames >= bench->frames)
        return 0;
    if (subject_aim(bench->subject, target, err) < 0)
        return -1;
    const struct explained what = explained_of(bench->subject, target);
    return table_add(table, &what, truth, err);
}

static int take(void *arg, const struct frames_one *frame, struct err *err)
{
    struct bench *bench = arg;
    struct detection truth, small_truth;
    size_t count = 0;
    const struct picture picture = {WORLD_WIDTH, WORLD_HEIGHT, (uint8_t *)(uintptr_t)frame->rgb};
    if (bench->objects.frames >= bench->frames && bench->planted.cases >= bench->cases)
        return 0;
    if (subject_show(bench->subject, &picture, err) < 0)
        return -1;
    const struct detection *found = subject_detections(bench->subject, &count);
    if (!count || !truth_of(bench, frame, &found[0], &truth))
        return 0;
    const size_t small = smallest(bench, frame, &small_truth);
    if (add_to(bench, &bench->small, small, &small_truth, err) < 0 ||
        add_to(bench, &bench->objects, 0, &truth, err) < 0 || subject_aim(bench->subject, 0, err) < 0)
        return -1;
    return one_case(bench, &picture, err);
}

/* ---- the decision record ---- */

static int compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int time_decisions(struct bench *bench, struct err *err)
{
    static int64_t times[DECISIONS];
    struct decision decision = {.time_ms = 1700000000000,
                                .who = DECIDER_GUARD,
                                .value = 61.2,
                                .limit = 60,
                                .margin = -1.2,
                                .count = 1};
    str_copy(decision.robot, sizeof decision.robot, "r7");
    str_copy(decision.rule, sizeof decision.rule, "deadline");
    str_copy(decision.unit, sizeof decision.unit, "ms");
    str_copy(decision.because, sizeof decision.because,
             "the result came 61.2 ms after its frame; 60 ms are allowed");
    str_copy(decision.otherwise, sizeof decision.otherwise, "at most 60.0 ms, and it would have passed");
    decision.signals.valid = 1;
    for (int i = 0; i < SIGNALS; i++)
        decision.signals.values[i] = (float)i / 7;
    for (int i = 0; i < DECISIONS; i++) {
        int64_t start = clock_mono_ns();
        cleanup_free char *text = decision_format(&decision);
        times[i] = clock_mono_ns() - start;
        if (!text)
            return err_no_memory(err);
    }
    qsort(times, DECISIONS, sizeof times[0], compare_times);
    bench->decision_p50_ms = (double)times[DECISIONS / 2] / 1e6;
    bench->decision_p99_ms = (double)times[DECISIONS * 99 / 100] / 1e6;
    return 0;
}

/* ---- report ---- */

static double share(int part, int all)
{
    return all ? (double)part / all : (double)NAN;
}

static const struct row *row_named(const struct table *table, const char *name, int passes)
{
    for (size_t i = 0; i < method_count; i++)
        if (str_eq(methods[i].name, name) && methods[i].passes == passes)
            return &table->rows[i];
    return NULL;
}

static double ratio(const struct table *table)
{
    return row_named(table, "muster", 100)->deletion / row_named(table, "d-rise", 1000)->deletion;
}

static void json_table(struct json_writer *out, const char *key, const struct table *table)
{
    jsonw_object(out, key);
    jsonw_i64(out, "frames", table->frames);
    jsonw_array(out, "rows");
    for (size_t i = 0; i < method_count && table->frames; i++) {
        const struct row *row = &table->rows[i];
        jsonw_object(out, NULL);
        jsonw_text(out, "method", methods[i].name);
        jsonw_i64(out, "passes", methods[i].passes);
        jsonw_real(out, "deletion_auc", row->deletion / table->frames);
        jsonw_real(out, "insertion_auc", row->insertion / table->frames);
        jsonw_real(out, "pointing", row->pointing / table->frames);
        jsonw_real(out, "made_ms", row->made_ms / table->frames);
        jsonw_close(out);
    }
    jsonw_close(out);
    jsonw_real(out, "deletion_ratio_muster_100_to_d_rise_1000", table->frames ? ratio(table) : (double)NAN);
    jsonw_close(out);
}

static void json_rest(struct json_writer *out, const struct bench *bench)
{
    jsonw_object(out, "planted");
    jsonw_i64(out, "cases", bench->planted.cases);
    jsonw_real(out, "located_share", share(bench->planted.located, bench->planted.cases));
    jsonw_real(out, "named_share", share(bench->planted.named, bench->planted.cases));
    jsonw_i64(out, "controls", bench->planted.controls);
    jsonw_real(out, "controls_named_share", share(bench->planted.controls_named, bench->planted.controls));
    jsonw_close(out);
    jsonw_object(out, "flips");
    jsonw_i64(out, "asked", bench->flips.asked);
    jsonw_i64(out, "stated", bench->flips.stated);
    jsonw_i64(out, "flipped_again", bench->flips.flipped);
    jsonw_i64(out, "with_context", bench->flips.context);
    jsonw_real(out, "cells_mean", bench->flips.cells / MAX(bench->flips.stated, 1));
    jsonw_real(out, "frame_share_mean", bench->flips.share / MAX(bench->flips.stated, 1));
    jsonw_real(out, "passes_mean", bench->flips.passes / MAX(bench->flips.asked, 1));
    jsonw_close(out);
    jsonw_real(out, "decision_p50_ms", bench->decision_p50_ms);
    jsonw_real(out, "decision_p99_ms", bench->decision_p99_ms);
}

static int print_json(const struct bench *bench, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "bench", "explain");
    json_table(&out, "text", &bench->text);
    if (bench->no_text[0])
        jsonw_text(&out, "no_text_because", bench->no_text);
    json_table(&out, "objects", &bench->objects);
    json_table(&out, "small", &bench->small);
    json_rest(&out, bench);
    jsonw_close(&out);
    cleanup_free char *text = jsonw_take(&out, err);
    if (!text)
        return -1;
    puts(text);
    return 0;
}

static void print_table(const char *what, const struct table *table)
{
    printf("%d frames: %s\n%-10s %6s %10s %10s %9s %9s\n", table->frames, what, "method", "passes",
           "deletion", "insertion", "pointing", "ms");
    for (size_t i = 0; i < method_count; i++) {
        const struct row *row = &table->rows[i];
        printf("%-10s %6d %10.4f %10.4f %9.2f %9.1f\n", methods[i].name, methods[i].passes,
               row->deletion / table->frames, row->insertion / table->frames, row->pointing / table->frames,
               row->made_ms / table->frames);
    }
    printf("deletion: muster with 100 passes is %.3f of d-rise with 1000\n\n", ratio(table));
}

static void print_text(const struct bench *bench)
{
    if (bench->text.frames)
        print_table("words, PP-OCRv4's text detector", &bench->text);
    else
        printf("no words: %s\n", bench->no_text);
    print_table("the warehouse, detector 2.0.0: the strongest", &bench->objects);
    print_table("the warehouse, detector 2.0.0: the smallest", &bench->small);
    printf("planted: %d of %d located; without: a context named in %d of %d\n", bench->planted.located,
           bench->planted.cases, bench->planted.controls_named, bench->planted.controls);
    printf("counterfactuals: %d of %d asked for stated, %d flip in another session; %.1f cells, %.2f %% of "
           "the frame, %.0f passes; %d with context\n",
           bench->flips.stated, bench->flips.asked, bench->flips.flipped,
           bench->flips.cells / MAX(bench->flips.stated, 1),
           100 * bench->flips.share / MAX(bench->flips.stated, 1),
           bench->flips.passes / MAX(bench->flips.asked, 1), bench->flips.context);
    printf("decision record: %.3f ms, p99 %.3f ms\n", bench->decision_p50_ms, bench->decision_p99_ms);
}

/* ---- all ---- */

static int run(struct bench *bench, struct err *err)
{
    const struct frames_plan plan = {.seed = 900001,
                                     .site = FRAMES_ALL_SITES,
                                     .count = 10 * (bench->frames + bench->cases),
                                     .sensor = {-1, -1, -1}};
    if (recipe_read(MUSTER_MODELS "/detector-2.0.0/release.yaml", &bench->recipe, err) < 0 ||
        subject_open(bench->recipe.model_path, &bench->recipe.release, NULL, &bench->subject, err) < 0 ||
        subject_open(bench->recipe.model_path, &bench->recipe.release, NULL, &bench->again, err) < 0 ||
        explain_text(bench->words, bench->dir, &bench->text, bench->no_text, err) < 0 ||
        frames_each(&plan, take, bench, err) < 0 || time_decisions(bench, err) < 0)
        return -1;
    if (bench->check && (bench->flips.flipped < bench->flips.stated ||
                         10 * bench->planted.located < 8 * bench->planted.cases))
        return err_set(err, ERR_CONFLICT, "%d of %d counterfactuals flip again, %d of %d patches located",
                       bench->flips.flipped, bench->flips.stated, bench->planted.located,
                       bench->planted.cases);
    if (bench->json)
        return print_json(bench, err);
    print_text(bench);
    return 0;
}

static int run_in_scratch(struct bench *bench, struct err *err)
{
    struct err ignored = {0};
    str_copy(bench->dir, sizeof bench->dir, "/tmp/bench-explain-XXXXXX");
    if (!mkdtemp(bench->dir))
        return err_errno(err, "%s", bench->dir);
    int result = run(bench, err);
    if (bench->subject)
        subject_free(bench->subject);
    if (bench->again)
        subject_free(bench->again);
    recipe_fini(&bench->recipe);
    if (file_remove_tree(bench->dir, &ignored) < 0)
        fprintf(stderr, "bench-explain: %s\n", ignored.text);
    return result;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"frames", required_argument, NULL, 'f'}, {"cases", required_argument, NULL, 'c'},
        {"words", required_argument, NULL, 'w'},  {"json", no_argument, NULL, 'j'},
        {"check", no_argument, NULL, 'k'},        {0}};
    static struct bench bench = {.frames = 20, .cases = 100, .random = 1};
    struct err err = {0};
    usage_on_help(argc, argv,
                  "usage: bench-explain [--frames N] [--words N] [--cases N] [--check] [--json]\n"
                  "example: bench-explain --frames 20 --cases 100 --json\n");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'f')
            bench.frames = (int)strtol(optarg, NULL, 10);
        else if (option == 'w')
            bench.words = (int)strtol(optarg, NULL, 10);
        else if (option == 'c')
            bench.cases = (int)strtol(optarg, NULL, 10);
        else if (option == 'k')
            bench.check = true;
        else if (option == 'j')
            bench.json = true;
        else
            return 2;
    }
    if (bench.frames < 1 || bench.frames > 10000 || bench.words < 0 || bench.words > 10000 ||
        bench.cases < 0 || bench.cases > 10000) {
        fputs("bench-explain: 1 to 10000 frames, at most 10000 words and cases\n", stderr);
        return 2;
    }
    if (run_in_scratch(&bench, &err) == 0)
        return 0;
    fprintf(stderr, "bench-explain: %s\n", err.text);
    return 1;
}
