#include "base/mem.h"
#include "base/testing.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"
#include "infer/tasks_testing.h"

#include <math.h>

enum { WIDTH = 160, HEIGHT = 120, COLUMNS = 1000, LABELS = 3 };

static uint32_t random_state;
static uint32_t next_random(void)
{
    return random_state = random_state * 1664525 + 1013904223;
}

static float uniform(void)
{
    return (float)(next_random() >> 8) / (float)(1 << 24);
}

/* ---- pictures ---- */

static uint8_t picture[WIDTH * HEIGHT * 3];

static void paint(int level, int noise, int red_more)
{
    for (size_t i = 0; i < sizeof picture; i++) {
        int value = level + (i % 3 == 0 ? red_more : 0) + (noise ? (int)(next_random() >> 16) % noise : 0);
        picture[i] = (uint8_t)MAX(MIN(value, 255), 0);
    }
}

static void soften(void)
{
    static uint8_t out[sizeof picture];
    memcpy(out, picture, sizeof out);
    for (size_t y = 1; y + 1 < HEIGHT; y++)
        for (size_t i = 3; i + 3 < WIDTH * 3; i++) {
            const uint8_t *at = picture + y * WIDTH * 3 + i;
            out[y * WIDTH * 3 + i] =
                (uint8_t)((4 * at[0] + at[-3] + at[3] + at[-WIDTH * 3] + at[WIDTH * 3]) / 8);
        }
    memcpy(picture, out, sizeof out);
}

static struct sensor *the_sensor;
static float values[SIGNALS];

static void look(void)
{
    const struct pipeline_frame frame = {.data = picture, .width = WIDTH, .height = HEIGHT};
    for (size_t i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    sensor_read(the_sensor, &frame, FRAME_RGB8, values);
}

static int sensor_setup(void **state)
{
    the_sensor = mem_zalloc(1, sizeof *the_sensor);
    random_state = 1;
    return the_sensor ? 0 : -1;
}

static int sensor_teardown(void **state)
{
    free(TAKE_PTR(the_sensor));
    return 0;
}

static void a_grey_wall(void **state)
{
    paint(51, 0, 0);
    look();
    assert_float_equal(values[SIGNAL_LUMA], 0.2, 1e-2);
    assert_float_equal(values[SIGNAL_CONTRAST], 0, 1e-6);
    assert_float_equal(values[SIGNAL_SATURATION], 0, 0);
    assert_float_equal(values[SIGNAL_CLIPPED], 0, 0);
    assert_true(isnan(values[SIGNAL_CHANGE])); /* there was none before it */
    look();
    assert_float_equal(values[SIGNAL_CHANGE], 0, 0);
    paint(102, 0, 0);
    look();
    assert_float_equal(values[SIGNAL_CHANGE], 0.2, 1e-2);
}

static void each_way_of_going_wrong_moves_its_signal(void **state)
{
    paint(80, 60, 30);
    look();
    const float sharp = values[SIGNAL_SHARPNESS], contrast = values[SIGNAL_CONTRAST];
    const float coloured = values[SIGNAL_SATURATION];
    assert_true(coloured > 0.1f && contrast > 0.02f);
    for (int i = 0; i < 3; i++)
        soften();
    look();
    assert_true(values[SIGNAL_SHARPNESS] < sharp - 2);
    assert_true(values[SIGNAL_CONTRAST] < contrast);
    paint(250, 60, 0);
    look();
    assert_true(values[SIGNAL_CLIPPED] > 0.5f);
    paint(-40, 60, 0);
    look();
    assert_true(values[SIGNAL_CLIPPED] > 0.1f);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        assert_true(isfinite(values[i]));
}

/* A sharpness by the book, over all points that the runs may touch: the runs are a fair sample of it. */
static void runs_are_a_fair_sample(void **state)
{
    double sum = 0, light = 0, count = 0;
    paint(60, 120, 0);
    for (size_t y = 1; y + 1 < HEIGHT; y++)
        for (size_t x = 1; x + 1 < WIDTH; x++) {
            const uint8_t *at = picture + (y * WIDTH + x) * 3;
            for (int c = 0; c < 3; c++, at++) {
                double bend = 4.0 * at[0] - at[-3] - at[3] - at[-WIDTH * 3] - at[WIDTH * 3];
                sum += bend * bend / 3;
                light += at[0] / 3.0;
            }
            count++;
        }
    look();
    assert_float_equal(values[SIGNAL_SHARPNESS], log2(sum / count), 0.1);
    assert_float_equal(values[SIGNAL_LUMA], light / count / 255, 0.01);
}

/* Every length and the extremes of bytes, to the last digit. */
static void runs_by_the_book(void **state)
{
    uint8_t rows[3][LOOPS_RUN + 6], before[LOOPS_RUN], before_plain[LOOPS_RUN];
    for (int turn = 0; turn < 1000; turn++) {
        const size_t count = turn % 4 ? LOOPS_RUN : 1 + (size_t)turn % LOOPS_RUN;
        struct loops_sums sums, plain;
        int32_t sum = 0, squared = 0, bend_squared = 0, change = 0;
        for (size_t i = 0; i < sizeof rows; i++)
            rows[i / sizeof *rows][i % sizeof *rows] =
                (uint8_t)(turn % 3 ? next_random() >> 24 : 255 * (next_random() >> 31));
        for (size_t i = 0; i < LOOPS_RUN; i++)
            before[i] = before_plain[i] = (uint8_t)(next_random() >> 24);
        for (size_t i = 0; i < count; i++) {
            const uint8_t *at = rows[1] + 3 + i;
            const int bend = 4 * at[0] - at[-3] - at[3] - rows[0][3 + i] - rows[2][3 + i];
            sum += at[0];
            squared += at[0] * at[0];
            bend_squared += bend * bend;
            change += abs(at[0] - before[i]);
        }
        const struct loops_run run = {rows[0] + 3, rows[1] + 3, rows[2] + 3, count, before};
        struct loops_run other = run;
        other.before = before_plain;
        loops_run(&run, &sums);
        loops_run_plain(&other, &plain);
        const struct loops_sums want = {sum, squared, bend_squared, change};
        assert_memory_equal(&sums, &want, sizeof sums);
        assert_memory_equal(&plain, &want, sizeof plain);
        assert_memory_equal(before, rows[1] + 3, count);
        assert_memory_equal(before_plain, before, sizeof before);
    }
}

/* Every length, all that colours can be. */
static void colours_by_the_book(void **state)
{
    uint8_t rgb[LOOPS_RUN];
    for (int turn = 0; turn < 2000; turn++) {
        const size_t count = 1 + (size_t)turn % (LOOPS_RUN / 3);
        int32_t saturation = 0, clipped = 0, got, got_clipped;
        for (size_t i = 0; i < 3 * count; i++)
            rgb[i] = (uint8_t)(turn % 3 ? next_random() >> 24 : 255 * (next_random() >> 31));
        for (size_t i = 0; i < count; i++) {
            const uint8_t *at = rgb + 3 * i;
            const int most = MAX(MAX(at[0], at[1]), at[2]), least = MIN(MIN(at[0], at[1]), at[2]);
            saturation += 4096 * (most - least) / MAX(most, 1);
            clipped += most == 255 || most == 0;
        }
        loops_colour(rgb, count, &got, &got_clipped);
        assert_int_equal(got, saturation);
        assert_int_equal(got_clipped, clipped);
    }
}

/* Every size that a frame may have, down to nothing: bounds are AddressSanitizer's business, numbers are finite or missing. */
static void any_size(void **state)
{
    static const int sides[] = {1, 2, 3, 4, 5, 9, 26, 27, 65, 66, 67, 68, 119};
    for (size_t i = 0; i < ARRAY_LEN(sides); i++)
        for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
            size_t bytes = (size_t)sides[i] * (size_t)sides[k] * 3;
            cleanup_free uint8_t *data = mem_zalloc(bytes, 1);
            const struct pipeline_frame frame = {.data = data, .width = sides[i], .height = sides[k]};
            float got[SIGNALS] = {[SIGNAL_LUMA] = NAN, [SIGNAL_CHANGE] = NAN};
            sensor_read(the_sensor, &frame, FRAME_RGB8, got);
            assert_true(isnan(got[SIGNAL_LUMA]) == (sides[i] < 3 || sides[k] < 3));
            assert_true(isnan(got[SIGNAL_CHANGE])); /* of another size: no frame before it */
        }
}

static void look_at_floats(const float *data, int count)
{
    const struct pipeline_frame frame = {.data = data, .width = count, .height = 1};
    for (size_t i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    sensor_read(the_sensor, &frame, FRAME_FLOAT32, values);
}

static void floats_of_any_length(void **state)
{
    static const int lengths[] = {1, 2, 9, 10, 11, 17, 18, 600, 1023, 1024, 1025, 1026, 20000};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        const int count = lengths[i];
        cleanup_free float *data = mem_zalloc((size_t)count, sizeof *data);
        for (int k = 0; k < count; k++)
            data[k] = 3 + 2 * (uniform() - 0.5f);
        look_at_floats(data, count);
        assert_true(isnan(values[SIGNAL_LUMA]) == (count < 10));
        if (count < 600)
            continue;
        assert_float_equal(values[SIGNAL_LUMA], 3, 0.1);
        assert_float_equal(values[SIGNAL_CONTRAST], 2 / sqrt(12), 0.05);
        assert_float_equal(values[SIGNAL_SHARPNESS], log2(6 * 4.0 / 12), 0.3); /* of white noise: 6 σ² */
        assert_true(values[SIGNAL_CLIPPED] < 0.02f);
        assert_true(isnan(values[SIGNAL_SATURATION]) && isnan(values[SIGNAL_CHANGE]));
        for (int k = 0; k < count; k++)
            data[k] += 1;
        look_at_floats(data, count);
        assert_float_equal(values[SIGNAL_CHANGE], 1, 1e-3);
        data[count / 2] = NAN; /* what is no number gives none */
        look_at_floats(data, count);
    }
}

/* ---- results of detectors ---- */

static float output[(4 + LABELS) * COLUMNS], best[COLUMNS];
static const struct placement whole = {.scale_x = 1, .scale_y = 1};
static struct signal_view view;
static const struct pipeline_frame frame_there = {.data = picture, .width = WIDTH, .height = HEIGHT};

static void column(size_t i, float x, float y, float side, float score, size_t label)
{
    const float box[4] = {x, y, side, side};
    for (size_t k = 0; k < 4; k++)
        output[k * COLUMNS + i] = box[k];
    for (size_t k = 0; k < LABELS; k++)
        output[(4 + k) * COLUMNS + i] = k == label ? score : 0;
    best[i] = score;
}

static int result_setup(void **state)
{
    memset(output, 0, sizeof output);
    memset(best, 0, sizeof best);
    view = (struct signal_view){.format = FRAME_RGB8,
                                .decoder = DECODER_YOLOV8,
                                .threshold = 0.4f,
                                .output = output,
                                .labels = LABELS,
                                .columns = COLUMNS,
                                .best = best,
                                .placement = &whole,
                                .input_width = WIDTH,
                                .input_height = HEIGHT};
    random_state = 7;
    return 0;
}

static int by_score(const void *a, const void *b)
{
    float x = best[*(const uint32_t *)a], y = best[*(const uint32_t *)b];
    return x < y ? 1 : -(x > y);
}

/* Against sorting all of them. */
static void the_best_columns_are_the_best(void **state)
{
    for (int turn = 0; turn < 200; turn++) {
        view.columns = 1 + next_random() % COLUMNS;
        uint32_t order[COLUMNS], unsure = 0;
        for (uint32_t i = 0; i < view.columns; i++) {
            float u = uniform();
            best[i] = turn % 2 ? u : u * u * u * u;
            order[i] = i;
            unsure += best[i] >= 0.25f && best[i] <= 0.5f;
        }
        struct best_columns found;
        result_find_best(&view, &found);
        qsort(order, view.columns, sizeof *order, by_score);
        assert_int_equal(found.unsure, unsure);
        assert_int_equal(found.count, MIN(view.columns, (size_t)RESULT_BEST));
        for (size_t i = 0; i < found.count; i++)
            assert_float_equal(best[found.best[i]], best[order[i]], 0);
        size_t from = 0;
        while (from < view.columns && best[order[from]] >= view.threshold)
            from++;
        for (size_t i = 0; i < RESULT_UNKNOWN; i++) {
            bool there = from + i < view.columns && best[order[from + i]] > view.threshold * RESULT_SOMETHING;
            assert_true(there == (i < found.below_count));
            if (there)
                assert_float_equal(best[found.below[i]], best[order[from + i]], 0);
        }
    }
}

/* As many as there is room for reach it; numbers that are none change nothing. */
static void a_floor_is_reached(void **state)
{
    for (int turn = 0; turn < 400; turn++) {
        float lanes[5 * LOOPS_LANES];
        uint32_t reach[ARRAY_LEN(lanes) + 1];
        const size_t count = (size_t)(1 + turn % 5) * LOOPS_LANES, room = (size_t)1 << turn % 4;
        for (size_t i = 0; i < count; i++)
            lanes[i] = turn % 3 ? uniform() : (float)(next_random() >> 31);
        if (turn % 2)
            lanes[next_random() % count] = NAN;
        const float floor = loops_floor(lanes, count, room);
        const size_t found = loops_reach(lanes, count, floor, reach);
        size_t there = 0;
        for (size_t i = 0; i < count; i++)
            if (lanes[i] >= floor)
                assert_int_equal(reach[there++], i);
        assert_int_equal(found, there);
        assert_true(found >= room - (turn % 2));
        if (turn % 3 && count == ARRAY_LEN(lanes))
            assert_true(found < count); /* and it does keep something out */
    }
}

static void read_detections(struct result_memory *memory, struct detection *items, size_t count)
{
    const struct pipeline_result result = {.detections = items, .count = count};
    struct best_columns found;
    for (size_t i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    result_find_best(&view, &found);
    result_read(memory, &view, &found, &frame_there, &result, values);
}

static void detections_in_numbers(void **state)
{
    static struct result_memory memory;
    struct detection two[2] = {{10, 10, 50, 30, 0.9f, 1}, {60, 20, 80, 100, 0.5f, 2}};
    memory.known = false;
    column(5, 30, 20, 40, 0.9f, 1);
    column(900, 70, 60, 20, 0.5f, 2);
    read_detections(&memory, two, 2);
    assert_float_equal(values[SIGNAL_COUNT], 2, 0);
    assert_float_equal(values[SIGNAL_SCORE_MAX], 0.9, 1e-6);
    assert_float_equal(values[SIGNAL_SCORE_MEAN], 0.7, 1e-6);
    assert_float_equal(values[SIGNAL_UNSURE], 1, 0);
    assert_float_equal(values[SIGNAL_BOX_AREA], (800 + 1600) / 2.0 / (WIDTH * HEIGHT), 1e-5);
    assert_float_equal(values[SIGNAL_BOX_ASPECT], (1 - 2) / 2.0, 1e-5);
    assert_true(isnan(values[SIGNAL_FLICKER]));
    read_detections(&memory, two, 2);
    assert_float_equal(values[SIGNAL_FLICKER], 0, 0);
    two[1].label = 0; /* another thing now: one went, one came */
    read_detections(&memory, two, 2);
    assert_float_equal(values[SIGNAL_FLICKER], 0.5, 0);
    read_detections(&memory, two, 0);
    assert_float_equal(values[SIGNAL_FLICKER], 1, 0);
    assert_float_equal(values[SIGNAL_COUNT], 0, 0);
    assert_true(isnan(values[SIGNAL_SCORE_MEAN]) && isnan(values[SIGNAL_BOX_AREA]));
    read_detections(&memory, two, 0);
    assert_true(isnan(values[SIGNAL_FLICKER]));
}

/* Of the eight best columns: as sure as can be, and as torn as can be. */
static void entropy_and_energy_of_columns(void **state)
{
    static struct result_memory memory;
    for (size_t i = 0; i < COLUMNS; i++)
        column(i, 0, 0, 1, 0.5f, i % LABELS);
    read_detections(&memory, NULL, 0);
    assert_float_equal(values[SIGNAL_ENTROPY], 0, 1e-5);
    assert_float_equal(values[SIGNAL_ENERGY], log(0.5), 1e-5);
    for (size_t i = 0; i < LABELS * COLUMNS; i++)
        output[4 * COLUMNS + i] = 0.5f;
    read_detections(&memory, NULL, 0);
    assert_float_equal(values[SIGNAL_ENTROPY], 1, 1e-5);
    assert_float_equal(values[SIGNAL_ENERGY], LABELS * log(0.5), 1e-5);
}

/* ---- scores ---- */

static void scores(struct result_memory *memory, enum activation activation, const float *raw, float *p,
                   size_t count)
{
    const struct signal_view of_scores = {
        .decoder = DECODER_SCORES, .activation = activation, .output = raw, .labels = count};
    const struct pipeline_result result = {.values = p, .count = count};
    for (size_t i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    result_read(memory, &of_scores, &(struct best_columns){0}, &frame_there, &result, values);
}

static void scores_in_numbers(void **state)
{
    struct result_memory memory = {0};
    float logits[4] = {1, 3, -2, 0.5f}, p[4];
    double sum = 0, entropy = 0;
    for (size_t i = 0; i < 4; i++)
        sum += exp((double)logits[i]);
    for (size_t i = 0; i < 4; i++) {
        p[i] = (float)(exp((double)logits[i]) / sum);
        entropy -= (double)p[i] * log2((double)p[i]) / 2;
    }
    scores(&memory, ACTIVATION_SOFTMAX, logits, p, 4);
    assert_float_equal(values[SIGNAL_SCORE_MAX], p[1], 0);
    assert_float_equal(values[SIGNAL_UNSURE], 1 - (p[1] - p[0]), 1e-6);
    assert_float_equal(values[SIGNAL_ENTROPY], entropy, 1e-5);
    assert_float_equal(values[SIGNAL_ENERGY], -log(sum), 1e-5);
    assert_true(isnan(values[SIGNAL_FLICKER]) && isnan(values[SIGNAL_COUNT]));
    scores(&memory, ACTIVATION_SOFTMAX, logits, p, 4);
    assert_float_equal(values[SIGNAL_FLICKER], 0, 0);
    p[0] = 0.95f;
    scores(&memory, ACTIVATION_SOFTMAX, logits, p, 4);
    assert_float_equal(values[SIGNAL_FLICKER], 1, 0);
    float fall[1] = {0.8f}; /* one event, or none */
    scores(&memory, ACTIVATION_SIGMOID, fall, fall, 1);
    assert_float_equal(values[SIGNAL_UNSURE], 1 - (0.8 - 0.2), 1e-6);
    assert_float_equal(values[SIGNAL_ENTROPY], -0.8 * log2(0.8) - 0.2 * log2(0.2), 1e-5);
    assert_float_equal(values[SIGNAL_ENERGY], log(0.2), 1e-5);
    scores(&memory, ACTIVATION_SIGMOID, fall, fall, 1);
    assert_float_equal(values[SIGNAL_FLICKER], 0, 0);
    fall[0] = 0.3f; /* it is over */
    scores(&memory, ACTIVATION_SIGMOID, fall, fall, 1);
    assert_float_equal(values[SIGNAL_FLICKER], 1, 0);
    float sure[2] = {1, 0}; /* certainty is a number too */
    scores(&memory, ACTIVATION_SIGMOID, sure, sure, 2);
    assert_true(isfinite(values[SIGNAL_ENERGY]) && isfinite(values[SIGNAL_ENTROPY]));
}

static void logarithms(void **state)
{
    for (float x = 1e-30f; x < 1e30f; x *= 1.37f)
        assert_float_equal(signals_log2(x), log2((double)x), 2e-5);
    assert_float_equal(signals_log2(0), -126, 0);
    assert_float_equal(signals_log2(-1), -126, 0);
    assert_float_equal(signals_log2(NAN), -126, 0);
}

/* Many at once give the same bits as one by one, and sums go down the rows. */
static void logarithms_of_columns(void **state)
{
    enum { ROWS = 7, STRIDE = 300 };
    static const float odd[] = {0,          1,    0.5f,   1e-40f,      1.1754944e-38f,
                                0.9999995f, 1.5f, -0.25f, 1.41421356f, NAN};
    static float rows[ROWS * STRIDE];
    for (int turn = 0; turn < 300; turn++) {
        uint32_t at[LOOPS_LANES];
        struct loops_logs logs;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            rows[i] = next_random() >> 29 ? powf(uniform(), 20) : odd[(next_random() >> 8) % ARRAY_LEN(odd)];
        for (size_t k = 0; k < LOOPS_LANES; k++)
            at[k] = (next_random() >> 8) % STRIDE;
        loops_logs(rows, STRIDE, ROWS, at, &logs);
        for (size_t k = 0; k < LOOPS_LANES; k++) {
            float sum = 0, bits = 0, rest = 0;
            for (size_t i = 0; i < ROWS; i++) {
                const float p = rows[i * STRIDE + at[k]];
                sum += p;
                bits += p > 0 ? 0 - p * signals_log2(p) : 0;
                rest += signals_log2(1 - MIN(p, LOOPS_NEARLY_SURE));
            }
            assert_true(isnan(sum) ? isnan(logs.sum[k]) : logs.sum[k] == sum);
            assert_true(logs.bits[k] == bits);
            assert_true(logs.rest[k] == rest);
        }
    }
}

/* ---- all of it, through a model ---- */

static void a_model_of_values(void **state)
{
    const struct release release = values_release(1, 16);
    struct model model = values_model(1, 16);
    const char *path = scratch_path("values.onnx");
    struct err err = {0};
    struct pipeline *pipeline = NULL;
    cleanup_signal_maker struct signal_maker *maker = NULL;
    float frame[16], out[16];
    model_node(&model, "Identity", "x", "y");
    model_save(&model, path);
    if (pipeline_open(path, &release, NULL, &pipeline, &err) < 0 && err.code == ERR_UNSUPPORTED)
        skip();
    assert_non_null(pipeline);
    assert_ok(signal_maker_new(&release, NULL, &maker, &err), err);
    for (int i = 0; i < 16; i++)
        frame[i] = (float)i;
    const struct pipeline_frame in = {.data = frame, .width = 16, .height = 1};
    struct pipeline_result result = {.values = out, .max_values = 16};
    struct frame_signals signals;
    assert_ok(pipeline_process(pipeline, &in, &result, NULL, &err), err);
    for (int turn = 0; turn < 3; turn++) {
        signal_maker_frame(maker, &in, pipeline, &result, 2000000, &signals);
        assert_int_equal(signals.valid, 1);
        assert_float_equal(signals.values[SIGNAL_RUN_MS], 1, 1e-5);
        assert_float_equal(signals.values[SIGNAL_LUMA], 4.5, 1e-5); /* x[1 … 8] */
        assert_true(isnan(signals.values[SIGNAL_CHANGE]) == (turn != 1));
        assert_true(isnan(signals.values[SIGNAL_NOVELTY]) && isnan(signals.values[SIGNAL_UNKNOWN]));
        assert_true(isnan(signals.values[SIGNAL_ENTROPY]));
        if (turn == 1)
            signal_maker_reset(maker);
    }
    signal_maker_frame(maker, &in, pipeline, NULL, 0, &signals); /* it failed */
    assert_true(isnan(signals.values[SIGNAL_RUN_MS]));
    assert_float_equal(signals.values[SIGNAL_LUMA], 4.5, 1e-5);
    pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest sensor[] = {
        cmocka_unit_test(a_grey_wall),
        cmocka_unit_test(each_way_of_going_wrong_moves_its_signal),
        cmocka_unit_test(runs_are_a_fair_sample),
        cmocka_unit_test(runs_by_the_book),
        cmocka_unit_test(colours_by_the_book),
        cmocka_unit_test(any_size),
        cmocka_unit_test(floats_of_any_length),
    };
    const struct CMUnitTest results[] = {
        cmocka_unit_test_setup(the_best_columns_are_the_best, result_setup),
        cmocka_unit_test(a_floor_is_reached),
        cmocka_unit_test_setup(detections_in_numbers, result_setup),
        cmocka_unit_test_setup(entropy_and_energy_of_columns, result_setup),
        cmocka_unit_test(scores_in_numbers),
        cmocka_unit_test(logarithms),
        cmocka_unit_test(logarithms_of_columns),
        cmocka_unit_test(a_model_of_values),
    };
    int failed = cmocka_run_group_tests(sensor, sensor_setup, sensor_teardown);
    return failed + cmocka_run_group_tests(results, scratch_open, scratch_close);
}
