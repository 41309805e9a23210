/* What the signals of a frame cost (src/infer/signals.h), part by part and all together, novelty and drift included. No model runs: a view of made-up
 * tensors stands for what a run leaves behind.
 *
 *     bench-signals [--rounds N] [--json]
 *
 * One JSON object; each figure is the median over the rounds of the mean over a round's frames. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/signals_inside.h"
#include "stats/drift/drift.h"
#include "usage.h"

#include <math.h>

enum { FRAMES = 8, PER_ROUND = 400, MOST_ROUNDS = 1000, LABELS = 5, CHANNELS = 64 };

enum part { PART_SENSOR, PART_SCORES, PART_RESULT, PART_NOVELTY, PART_DRIFT, PART_ALL, PARTS };
static const char *const part_names[PARTS] = {"sensor_ns",  "scores_ns", "result_ns",
                                              "novelty_ns", "drift_ns",  "all_ns"};

struct scene { /* one of several frames, so that nothing is learned by heart */
    uint8_t *picture;
    float *output, *best, *tap;
    struct detection items[16];
    struct signal_view view;
    struct pipeline_frame frame;
    struct pipeline_result result;
};

struct bench {
    int width, height;
    size_t columns;
    uint32_t map_width, map_height;
    struct placement placement;
    struct scene scenes[FRAMES];
    struct profile profile;
    struct novelty_index index;
    struct signal_maker *maker;
    struct sensor sensor;
    struct result_memory memory;
    struct drift *drift;
    void *drift_memory;
    uint64_t random;
    volatile float sink;
};

static float uniform(struct bench *bench)
{
    bench->random = bench->random * 6364136223846793005u + 1442695040888963407u;
    return (float)(bench->random >> 40) / (float)(1 << 24);
}

/* ---- what there is to look at ---- */

static void fill_scene(struct bench *bench, struct scene *scene)
{
    const size_t bytes = (size_t)bench->width * (size_t)bench->height * 3;
    const size_t cells = (size_t)bench->map_width * bench->map_height;
    for (size_t i = 0; i < bytes; i++)
        scene->picture[i] = (uint8_t)(uniform(bench) * 255);
    for (size_t i = 0; i < CHANNELS * cells; i++)
        scene->tap[i] = uniform(bench) - 0.3f;
    for (size_t i = 0; i < bench->columns; i++) {
        float u = uniform(bench), score = powf(u, 100); /* one in seventy is something */
        const float box[4] = {uniform(bench) * (float)bench->width, uniform(bench) * (float)bench->height,
                              10 + 30 * uniform(bench), 10 + 30 * uniform(bench)};
        for (size_t k = 0; k < 4; k++)
            scene->output[k * bench->columns + i] = box[k];
        for (size_t k = 0; k < LABELS; k++)
            scene->output[(4 + k) * bench->columns + i] = score / (float)(1 + k);
        scene->best[i] = score;
    }
    for (size_t i = 0; i < ARRAY_LEN(scene->items); i++) {
        float x = uniform(bench) * (float)bench->width * 0.8f,
              y = uniform(bench) * (float)bench->height * 0.8f;
        scene->items[i] =
            (struct detection){x, y, x + 20, y + 15, 0.9f - (float)i / 50, (uint32_t)i % LABELS};
    }
}

static int make_scene(struct bench *bench, struct scene *scene)
{
    const size_t cells = (size_t)bench->map_width * bench->map_height;
    scene->picture = mem_zalloc((size_t)bench->width * (size_t)bench->height, 3);
    scene->output = mem_zalloc((4 + LABELS) * bench->columns, sizeof(float));
    scene->best = mem_zalloc(bench->columns, sizeof(float));
    scene->tap = mem_zalloc(CHANNELS * cells, sizeof(float));
    if (!scene->picture || !scene->output || !scene->best || !scene->tap)
        return -1;
    fill_scene(bench, scene);
    scene->view = (struct signal_view){.format = FRAME_RGB8,
                                       .decoder = DECODER_YOLOV8,
                                       .threshold = 0.35f,
                                       .output = scene->output,
                                       .labels = LABELS,
                                       .columns = bench->columns,
                                       .best = scene->best,
                                       .placement = &bench->placement,
                                       .input_width = bench->width,
                                       .input_height = bench->height,
                                       .tap = scene->tap,
                                       .channels = CHANNELS,
                                       .map_height = bench->map_height,
                                       .map_width = bench->map_width,
                                       .map = true};
    scene->frame =
        (struct pipeline_frame){.data = scene->picture, .width = bench->width, .height = bench->height};
    scene->result = (struct pipeline_result){.detections = scene->items, .count = ARRAY_LEN(scene->items)};
    return 0;
}

static int make_profile(struct bench *bench)
{
    struct profile *profile = &bench->profile;
    profile->channels = CHANNELS;
    profile->prototype_count = PROFILE_MAX_PROTOTYPES;
    profile->quantile_count = PROFILE_MAX_QUANTILES;
    profile->projection = mem_zalloc(CHANNELS * PROFILE_DIMS, sizeof(float));
    profile->prototypes = mem_zalloc(PROFILE_MAX_PROTOTYPES, PROFILE_DIMS);
    profile->quantiles = mem_zalloc(PROFILE_MAX_QUANTILES, sizeof(float));
    if (!profile->projection || !profile->prototypes || !profile->quantiles)
        return -1;
    for (size_t i = 0; i < CHANNELS * PROFILE_DIMS; i++)
        profile->projection[i] = uniform(bench) - 0.5f;
    for (size_t i = 0; i < PROFILE_MAX_PROTOTYPES; i++)
        for (size_t d = 0; d < PROFILE_DIMS; d++)
            profile->prototypes[i][d] = (int8_t)(44 * (uniform(bench) - 0.5f));
    for (size_t i = 0; i < PROFILE_MAX_QUANTILES; i++)
        profile->quantiles[i] = (float)i / PROFILE_MAX_QUANTILES;
    return 0;
}

static int make_drift(struct bench *bench, struct err *err)
{
    struct drift_reference references[SIGNALS];
    const struct drift_options options = {.contexts = 1, .burn_in = 10, .arl_blocks = 1e6};
    for (size_t i = 0; i < SIGNALS; i++)
        references[i] = (struct drift_reference){
            .mean = 0.5, .sd = 0.2, .tolerance = 0.05, .memory = 1, .edges = {-1, -.5f, 0, .5f, 1, 1.5f, 2}};
    bench->drift_memory = malloc(drift_size());
    if (!bench->drift_memory)
        return err_no_memory(err);
    return drift_init(bench->drift_memory, references, &options, &bench->drift, err);
}

static void bench_fini(struct bench *bench)
{
    for (size_t i = 0; i < FRAMES; i++) {
        free(bench->scenes[i].picture);
        free(bench->scenes[i].output);
        free(bench->scenes[i].best);
        free(bench->scenes[i].tap);
    }
    novelty_index_fini(&bench->index);
    signal_maker_free(bench->maker);
    profile_fini(&bench->profile);
    free(bench->drift_memory);
}

static int bench_init(struct bench *bench, struct err *err)
{
    struct release release = {.tap = "tap", .output_count = 2};
    bench->placement = (struct placement){.scale_x = 1, .scale_y = 1};
    bench->map_width = (uint32_t)bench->width / 8;
    bench->map_height = (uint32_t)bench->height / 8;
    bench->random = 1;
    for (size_t i = 0; i < FRAMES; i++)
        if (make_scene(bench, &bench->scenes[i]) < 0)
            return err_no_memory(err);
    if (make_profile(bench) < 0)
        return err_no_memory(err);
    release.outputs[1] = (struct tensor_spec){.name = "tap", .dim_count = 4, .dims = {1, CHANNELS, 1, 1}};
    snprintf(bench->profile.tap, sizeof bench->profile.tap, "tap");
    if (novelty_index_init(&bench->index, &bench->profile, err) < 0 ||
        signal_maker_new(&release, &bench->profile, &bench->maker, err) < 0)
        return -1;
    return make_drift(bench, err);
}

/* ---- the parts ---- */

static void run_part(struct bench *bench, enum part part, struct scene *scene)
{
    struct best_columns best;
    struct frame_signals signals = {.valid = 1};
    switch (part) {
    case PART_SENSOR:
        sensor_read(&bench->sensor, &scene->frame, FRAME_RGB8, signals.values);
        break;
    case PART_SCORES:
        result_find_best(&scene->view, &best);
        signals.values[0] = best.most;
        break;
    case PART_RESULT:
        best = (struct best_columns){.count = RESULT_BEST, .best = {1, 5, 9, 100, 200, 300, 350, 399}};
        result_read(&bench->memory, &scene->view, &best, &scene->frame, &scene->result, signals.values);
        break;
    case PART_NOVELTY:
        best = (struct best_columns){.below_count = 2, .below = {7, 77}};
        novelty_score(&bench->index, &scene->view, &best, &scene->frame, &scene->result, 0, &signals);
        break;
    case PART_DRIFT:
        signals.values[0] = drift_frame(bench->drift, &scene->output[0], 0);
        break;
    case PART_ALL:
        signal_maker_view(bench->maker, &scene->frame, &scene->view, &scene->result, 5000000, &signals);
        signals.values[0] += drift_frame(bench->drift, signals.values, 0);
        break;
    case PARTS:
        break;
    }
    bench->sink = signals.values[0];
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_part(struct bench *bench, enum part part, uint64_t rounds)
{
    static double times[MOST_ROUNDS];
    for (size_t i = 0; i < PER_ROUND; i++)
        run_part(bench, part, &bench->scenes[i % FRAMES]);
    for (uint64_t round = 0; round < rounds; round++) {
        int64_t start_ns = clock_mono_ns();
        for (size_t i = 0; i < PER_ROUND; i++)
            run_part(bench, part, &bench->scenes[i % FRAMES]);
        times[round] = (double)(clock_mono_ns() - start_ns) / PER_ROUND;
    }
    qsort(times, rounds, sizeof *times, by_size);
    return times[rounds / 2];
}

static int measure(int width, int height, size_t columns, uint64_t rounds, bool first, struct err *err)
{
    static struct bench bench;
    bench = (struct bench){.width = width, .height = height, .columns = columns};
    if (bench_init(&bench, err) < 0) {
        bench_fini(&bench);
        return -1;
    }
    printf("%s{\"frame\": \"%dx%d\", \"columns\": %zu, \"labels\": %d, \"channels\": %d, \"prototypes\": %d, "
           "\"candidates\": %d",
           first ? "" : ", ", width, height, columns, LABELS, CHANNELS, PROFILE_MAX_PROTOTYPES, NOVELTY_EACH);
    for (enum part part = 0; part < PARTS; part++)
        printf(", \"%s\": %.0f", part_names[part], time_part(&bench, part, rounds));
    putchar('}');
    bench_fini(&bench);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        int width, height;
        size_t columns;
    } rows[] = {{160, 128, 400}, {640, 480, 400}, {160, 128, 8400}, {640, 480, 8400}};
    uint64_t rounds = 101;
    struct err err = {0};
    usage_on_help(argc, argv,
                  "usage: bench-signals [--rounds N] [--json]\n"
                  "Nanoseconds that the signals of one frame cost, part by part.\n"
                  "example: bench-signals --rounds 501 --json\n");
    for (int i = 1; i + 1 < argc; i++)
        if (str_eq(argv[i], "--rounds") &&
            (!str_to_u64(argv[i + 1], &rounds) || rounds < 1 || rounds > MOST_ROUNDS))
            return fputs("bench-signals: --rounds is from 1 to 1000\n", stderr), 2;
    printf("{\"rounds\": %llu, \"rows\": [", (unsigned long long)rounds);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (measure(rows[i].width, rows[i].height, rows[i].columns, rounds, i == 0, &err) < 0)
            return fprintf(stderr, "bench-signals: %s\n", err.text), 1;
    puts("]}");
    return 0;
}
