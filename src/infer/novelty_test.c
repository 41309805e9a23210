#include "base/mem.h"
#include "base/testing.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <math.h>

enum {
    CHANNELS = 24,
    MAP_WIDTH = 20,
    MAP_HEIGHT = 15,
    CELLS = MAP_WIDTH * MAP_HEIGHT,
    COLUMNS = 300,
    LABELS = 2
};

static uint32_t random_state;
static float uniform(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return (float)(random_state >> 8) / (float)(1 << 24);
}

static struct profile the_profile;

static int setup(void **state)
{
    struct profile *profile = &the_profile;
    random_state = 3;
    *profile = (struct profile){.tap = "tap",
                                .channels = CHANNELS,
                                .projection = mem_zalloc(CHANNELS * PROFILE_DIMS, sizeof(float)),
                                .prototypes = mem_zalloc(PROFILE_MAX_PROTOTYPES, PROFILE_DIMS),
                                .prototype_labels = mem_zalloc(PROFILE_MAX_PROTOTYPES, sizeof(uint16_t)),
                                .quantiles = mem_zalloc(PROFILE_MAX_QUANTILES, sizeof(float))};
    assert_non_null(profile->projection);
    assert_non_null(profile->prototypes);
    assert_non_null(profile->quantiles);
    for (size_t i = 0; i < CHANNELS * PROFILE_DIMS; i++)
        profile->projection[i] = uniform() - 0.5f;
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        profile->offset[i] = uniform() - 0.5f;
    return 0;
}

static int teardown(void **state)
{
    profile_fini(&the_profile);
    return 0;
}

static void random_features(float *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = 2 * uniform() - 1;
}

static void random_prototypes(uint32_t count)
{
    float features[CHANNELS];
    the_profile.prototype_count = count;
    for (uint32_t i = 0; i < count; i++) {
        random_features(features, CHANNELS);
        novelty_embed(&the_profile, features, 1, the_profile.prototypes[i]);
    }
}

static void an_embedding_has_length_127(void **state)
{
    float features[CHANNELS], spread[CHANNELS * 7];
    int8_t out[PROFILE_DIMS], same[PROFILE_DIMS];
    for (int turn = 0; turn < 50; turn++) {
        int squared = 0;
        random_features(features, CHANNELS);
        novelty_embed(&the_profile, features, 1, out);
        for (size_t i = 0; i < PROFILE_DIMS; i++)
            squared += out[i] * out[i];
        assert_float_equal(sqrt(squared), 127, 3);
        for (size_t i = 0; i < CHANNELS; i++)
            spread[i * 7] = features[i];
        novelty_embed(&the_profile, spread, 7, same);
        assert_memory_equal(out, same, sizeof out);
    }
}

/* Whatever a model gives: something that is like nothing, never a surprise for the arithmetic. */
static void no_features_are_far_from_everything(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    int8_t out[PROFILE_DIMS], zeros[PROFILE_DIMS] = {0};
    random_prototypes(100);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        float features[CHANNELS] = {0};
        features[i] = bad[i];
        novelty_embed(&the_profile, features, 1, out);
        assert_memory_equal(out, zeros, sizeof out);
        assert_float_equal(novelty_distance(&the_profile, out, NULL), 1, 0);
    }
}

/* So small that their length is not known any more: nothing, rather than numbers beyond a byte. */
static void what_is_all_but_nothing_is_nothing(void **state)
{
    int8_t out[PROFILE_DIMS], zeros[PROFILE_DIMS] = {0};
    for (float size = 1e-18f; size > 0; size /= 3) {
        float in[PROFILE_DIMS] = {[3] = size};
        int8_t one[PROFILE_DIMS] = {[3] = 127};
        novelty_quantize(in, out);
        assert_true(memcmp(out, zeros, sizeof out) == 0 || memcmp(out, one, sizeof out) == 0);
    }
}

static int dot(const int8_t *a, const int8_t *b)
{
    int sum = 0;
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Any number of prototypes, against a search that looks at each; the quick way gives the same bits. */
static void the_nearest_are_the_nearest(void **state)
{
    static const uint32_t counts[] = {1, 2, 4, 5, 6, 31, 32, 33, 64, 65, 700, 1023, 1024};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const uint32_t count = counts[i], k = MIN(count, (uint32_t)NOVELTY_NEIGHBOURS);
        cleanup_free float *features = mem_zalloc(3 * CHANNELS, sizeof(float));
        struct novelty_index index;
        struct err err = {0};
        int8_t queries[3][PROFILE_DIMS], quick[PROFILE_DIMS];
        float distances[3];
        random_prototypes(count);
        assert_ok(novelty_index_init(&index, &the_profile, &err), err);
        random_features(features, 3 * CHANNELS);
        for (size_t q = 0; q < 3; q++) {
            novelty_embed(&the_profile, features + q * CHANNELS, 1, queries[q]);
            novelty_index_embed(&index, features + q * CHANNELS, 1, quick);
            assert_memory_equal(quick, queries[q], sizeof quick);
        }
        novelty_index_distances(&index, (const int8_t(*)[PROFILE_DIMS])queries, 3, distances);
        for (size_t q = 0; q < 3; q++) {
            uint32_t nearest[NOVELTY_NEIGHBOURS], nearer = 0;
            double sum = 0;
            float distance = novelty_distance(&the_profile, queries[q], nearest);
            assert_memory_equal(&distances[q], &distance, sizeof distance);
            for (uint32_t n = 0; n < k; n++) {
                sum += dot(queries[q], the_profile.prototypes[nearest[n]]);
                assert_true(n == 0 || dot(queries[q], the_profile.prototypes[nearest[n]]) <=
                                          dot(queries[q], the_profile.prototypes[nearest[n - 1]]));
            }
            const int last = dot(queries[q], the_profile.prototypes[nearest[k - 1]]);
            for (uint32_t n = 0; n < count; n++)
                nearer += dot(queries[q], the_profile.prototypes[n]) > last;
            assert_true(nearer < k);
            assert_float_equal(distance, 1 - sum / k / (127 * 127), 1e-5);
        }
        novelty_index_fini(&index);
    }
}

/* Numbers of any size, -128 among the prototypes: products wrap where they have to, the same in every copy. */
static void products_by_the_book(void **state)
{
    enum { PADDED = 3 * LOOPS_BLOCK };
    int8_t prototypes[PADDED][LOOPS_DIMS], blocks[PADDED * LOOPS_DIMS], queries[LOOPS_QUERIES][LOOPS_DIMS];
    int16_t out[LOOPS_QUERIES][PADDED], plain[LOOPS_QUERIES][PADDED];
    int16_t *const to[LOOPS_QUERIES] = {out[0], out[1]}, *const to_plain[LOOPS_QUERIES] = {plain[0],
                                                                                           plain[1]};
    for (int turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < PADDED * LOOPS_DIMS; i++) {
            const size_t at = i / LOOPS_DIMS, d = i % LOOPS_DIMS;
            prototypes[at][d] = (int8_t)(turn == 0 ? -128 : (int)(uniform() * 256) - 128);
            blocks[loops_place(at, d)] = prototypes[at][d];
        }
        for (size_t i = 0; i < LOOPS_QUERIES * LOOPS_DIMS; i++)
            queries[i / LOOPS_DIMS][i % LOOPS_DIMS] =
                (int8_t)(turn == 0 ? (i % 3 ? -127 : 127) : (int)(uniform() * 255) - 127);
        loops_dots(blocks, PADDED, (const int8_t(*)[LOOPS_DIMS])queries, to);
        loops_dots_plain(blocks, PADDED, (const int8_t(*)[LOOPS_DIMS])queries, to_plain);
        for (size_t k = 0; k < LOOPS_QUERIES; k++)
            for (size_t i = 0; i < PADDED; i++)
                assert_int_equal(out[k][i], (int16_t)dot(queries[k], prototypes[i]));
        assert_memory_equal(out, plain, sizeof out);
    }
}

static int descending(const void *a, const void *b)
{
    return *(const int16_t *)b - *(const int16_t *)a;
}

/* Wherever they lie, however many are equal. */
static void the_five_largest(void **state)
{
    int16_t values[4 * LOOPS_BLOCK], top[LOOPS_TOP], plain[LOOPS_TOP];
    for (int turn = 0; turn < 500; turn++) {
        const size_t padded = (size_t)(1 + turn % 4) * LOOPS_BLOCK;
        const float spread = turn % 3 ? 60000 : 8;
        for (size_t i = 0; i < padded; i++)
            values[i] = turn % 7 == 0 && i > 2 ? INT16_MIN : (int16_t)(spread * (uniform() - 0.5f));
        loops_top(values, padded, top);
        loops_top_plain(values, padded, plain);
        qsort(values, padded, sizeof *values, descending);
        assert_memory_equal(top, values, sizeof top);
        assert_memory_equal(plain, values, sizeof plain);
    }
}

/* A prototype itself is at home; its opposite is as far as can be. Sums of the largest vectors there are stay within int16. */
static void ends_of_the_scale(void **state)
{
    int8_t one[PROFILE_DIMS] = {127}, opposite[PROFILE_DIMS] = {-127};
    struct novelty_index index;
    struct err err = {0};
    float distances[2];
    the_profile.prototype_count = 40;
    for (size_t i = 0; i < 40; i++)
        memcpy(the_profile.prototypes[i], one, sizeof one);
    assert_float_equal(novelty_distance(&the_profile, one, NULL), 0, 0);
    assert_float_equal(novelty_distance(&the_profile, opposite, NULL), 2, 0);
    assert_ok(novelty_index_init(&index, &the_profile, &err), err);
    int8_t both[2][PROFILE_DIMS];
    memcpy(both[0], one, sizeof one);
    memcpy(both[1], opposite, sizeof one);
    novelty_index_distances(&index, (const int8_t(*)[PROFILE_DIMS])both, 2, distances);
    assert_float_equal(distances[0], 0, 0);
    assert_float_equal(distances[1], 2, 0);
    novelty_index_fini(&index);
    the_profile.prototype_count = 0; /* nothing is known: everything is new */
    assert_float_equal(novelty_distance(&the_profile, one, NULL), 2, 0);
}

static void p_counts_what_is_as_large(void **state)
{
    static const float quantiles[] = {0.1f, 0.2f, 0.2f, 0.2f, 0.5f};
    static const struct {
        float distance;
        int as_large;
    } rows[] = {{0, 5}, {0.1f, 5}, {0.15f, 4}, {0.2f, 4}, {0.21f, 1}, {0.5f, 1}, {0.6f, 0}, {2, 0}};
    memcpy(the_profile.quantiles, quantiles, sizeof quantiles);
    the_profile.quantile_count = ARRAY_LEN(quantiles);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_float_equal(novelty_p(&the_profile, rows[i].distance), (1.0 + rows[i].as_large) / 6, 1e-12);
    the_profile.quantile_count = 0;
    assert_float_equal(novelty_p(&the_profile, 1), 1, 0);
}

/* p ≤ 0.05 of ordinary ones at most 5 % of the time: the promise of conformal p-values. */
static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void ordinary_ones_are_seldom_new(void **state)
{
    float features[CHANNELS];
    int8_t embedded[PROFILE_DIMS];
    int low = 0, turns = 4000;
    random_prototypes(512);
    the_profile.quantile_count = PROFILE_MAX_QUANTILES;
    for (size_t i = 0; i < PROFILE_MAX_QUANTILES; i++) {
        random_features(features, CHANNELS);
        novelty_embed(&the_profile, features, 1, embedded);
        the_profile.quantiles[i] = novelty_distance(&the_profile, embedded, NULL);
    }
    qsort(the_profile.quantiles, PROFILE_MAX_QUANTILES, sizeof(float), ascending);
    for (int i = 0; i < turns; i++) {
        random_features(features, CHANNELS);
        novelty_embed(&the_profile, features, 1, embedded);
        low += novelty_p(&the_profile, novelty_distance(&the_profile, embedded, NULL)) <= 0.05;
    }
    assert_in_range(low, turns * 3 / 100, turns * 7 / 100);
}

/* ---- where it looks ---- */

static float tap[CHANNELS * CELLS], output[(4 + LABELS) * COLUMNS], best[COLUMNS];
static const struct placement halved = {.scale_x = 0.5f, .scale_y = 0.5f, .offset_y = 10};
static const struct pipeline_frame frame = {.width = 400, .height = 260};

static struct signal_view view_of_map(void)
{
    memset(output, 0, sizeof output);
    memset(best, 0, sizeof best);
    for (size_t i = 0; i < CHANNELS * CELLS; i++)
        tap[i] = (float)i;
    return (struct signal_view){.decoder = DECODER_YOLOV8,
                                .threshold = 0.4f,
                                .output = output,
                                .labels = LABELS,
                                .columns = COLUMNS,
                                .best = best,
                                .placement = &halved,
                                .input_width = 200,
                                .input_height = 150,
                                .tap = tap,
                                .channels = CHANNELS,
                                .map_height = MAP_HEIGHT,
                                .map_width = MAP_WIDTH,
                                .map = true};
}

static void put_column(size_t i, float x, float y, float side, float score)
{
    const float box[4] = {x, y, side, side};
    for (size_t k = 0; k < 4; k++)
        output[k * COLUMNS + i] = box[k];
    output[4 * COLUMNS + i] = best[i] = score;
}

static void it_looks_at_detections_and_at_what_is_none_yet(void **state)
{
    const struct signal_view view = view_of_map();
    struct novelty_candidate found[NOVELTY_CANDIDATES];
    float scratch[CHANNELS];
    struct best_columns columns;
    struct detection known[1] = {{100, 100, 140, 140, 0.9f, 1}};
    const struct pipeline_result result = {.detections = known, .count = 1};
    put_column(7, 60, 70, 20, 0.9f);    /* the detection itself */
    put_column(8, 62, 72, 20, 0.3f);    /* another box of the same thing */
    put_column(200, 150, 40, 30, 0.2f); /* something else: 285, 45 … 330, 90 in the frame */
    put_column(201, 152, 41, 30, 0.15f);
    put_column(299, 20, 20, 10, 0.05f); /* nothing */
    result_find_best(&view, &columns);
    assert_int_equal(novelty_find(&view, &columns, &frame, &result, scratch, found), 2);
    assert_int_equal(found[0].label, PROFILE_NO_LABEL);
    assert_float_equal(found[0].score, 0.2, 1e-6);
    assert_float_equal(found[0].box[0], (150 - 15) / 0.5, 1e-3);
    assert_float_equal(found[0].box[1], (40 - 15 - 10) / 0.5, 1e-3);
    /* Centre 150, 40 in the input: cell 15, 4 of 20 x 15. */
    assert_true(found[0].features == tap + 4 * MAP_WIDTH + 15);
    assert_int_equal(found[0].stride, CELLS);
    assert_int_equal(found[1].label, 1);
    /* Centre 120, 120 in the frame, so 60, 70 in the input: cell 6, 7. */
    assert_true(found[1].features == tap + 7 * MAP_WIDTH + 6);
}

static void cells_stay_inside(void **state)
{
    const struct signal_view view = view_of_map();
    struct novelty_candidate found[NOVELTY_CANDIDATES];
    float scratch[CHANNELS];
    struct detection wild[6] = {{-500, -500, -400, -400, 0.9f, 0},
                                {4e8f, 4e8f, 5e8f, 5e8f, 0.9f, 0},
                                {NAN, 0, 0, NAN, 0.9f, 0},
                                {-INFINITY, 0, INFINITY, 0, 0.9f, 0},
                                {0, 0, 1, 1, 0.9f, 0},
                                {0, 0, 1, 1, 0.9f, 0}};
    const struct pipeline_result result = {.detections = wild, .count = 6};
    assert_int_equal(novelty_find(&view, &(struct best_columns){0}, &frame, &result, scratch, found),
                     NOVELTY_CANDIDATES);
    for (size_t i = 0; i < NOVELTY_CANDIDATES; i++)
        assert_true(found[i].features >= tap && found[i].features < tap + CELLS);
}

static void a_series_is_one_candidate(void **state)
{
    struct novelty_candidate found[NOVELTY_CANDIDATES];
    float scratch[CHANNELS], series[CHANNELS * 8], scores[3] = {0.1f, 0.7f, 0.2f};
    const struct pipeline_result result = {.values = scores, .count = 3};
    for (size_t i = 0; i < CHANNELS * 8; i++)
        series[i] = (float)(i / 8) + (float)(i % 8) / 8;
    struct signal_view view = {
        .decoder = DECODER_SCORES, .tap = series, .channels = CHANNELS, .map_height = 1, .map_width = 8};
    assert_int_equal(novelty_find(&view, NULL, &frame, &result, scratch, found), 1);
    assert_int_equal(found[0].label, 1);
    for (size_t c = 0; c < CHANNELS; c++)
        assert_float_equal(found[0].features[c * found[0].stride], (double)c + 3.5 / 8, 1e-5);
    view.tap = NULL;
    assert_int_equal(novelty_find(&view, NULL, &frame, &result, scratch, found), 0);
}

/* Ordinary things give no surprise; a thing of another kind does, and its box is named. Of four, each has its turn. */
static void a_new_kind_of_thing_is_new(void **state)
{
    const struct signal_view view = view_of_map();
    struct novelty_index index;
    struct err err = {0};
    struct detection four[4];
    int novel = 0;
    the_profile.prototype_count = 64;
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t cell = 0; cell < CELLS; cell++) /* two kinds of surface: on the right another one */
            tap[c * CELLS + cell] = cell % MAP_WIDTH < 10 ? sinf((float)c) : cosf(3 * (float)c);
    for (size_t i = 0; i < 64; i++)
        novelty_embed(&the_profile, tap, CELLS, the_profile.prototypes[i]);
    the_profile.quantile_count = PROFILE_MAX_QUANTILES;
    for (size_t i = 0; i < PROFILE_MAX_QUANTILES; i++)
        the_profile.quantiles[i] = 0.1f * (float)i / PROFILE_MAX_QUANTILES;
    assert_ok(novelty_index_init(&index, &the_profile, &err), err);
    for (size_t i = 0; i < 4; i++)
        four[i] = (struct detection){i < 3 ? 20 : 320, 40, i < 3 ? 60 : 360, 80, 0.9f, 0};
    const struct pipeline_result result = {.detections = four, .count = 4};
    for (uint32_t turn = 0; turn < 8; turn++) {
        struct frame_signals out = {0};
        novelty_score(&index, &view, &(struct best_columns){0}, &frame, &result, turn, &out);
        if (out.values[SIGNAL_UNKNOWN] > 0) {
            assert_float_equal(out.values[SIGNAL_UNKNOWN], 1, 0);
            assert_float_equal(out.values[SIGNAL_NOVELTY], log10(1025), 1e-3);
            assert_float_equal(out.novel_box[0], 320, 0);
            novel++;
        } else {
            assert_true(out.values[SIGNAL_NOVELTY] < 0.1f);
        }
    }
    assert_int_equal(novel, 4);
    const struct pipeline_result nothing = {.detections = four, .count = 0};
    struct frame_signals out = {.values = {[SIGNAL_NOVELTY] = NAN}};
    novelty_score(&index, &view, &(struct best_columns){0}, &frame, &nothing, 0, &out);
    assert_true(isnan(out.values[SIGNAL_NOVELTY]));
    assert_float_equal(out.values[SIGNAL_UNKNOWN], 0, 0);
    assert_float_equal(out.novel_box[2], 0, 0);
    novelty_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_embedding_has_length_127),
        cmocka_unit_test(no_features_are_far_from_everything),
        cmocka_unit_test(what_is_all_but_nothing_is_nothing),
        cmocka_unit_test(the_nearest_are_the_nearest),
        cmocka_unit_test(products_by_the_book),
        cmocka_unit_test(the_five_largest),
        cmocka_unit_test(ends_of_the_scale),
        cmocka_unit_test(p_counts_what_is_as_large),
        cmocka_unit_test(ordinary_ones_are_seldom_new),
        cmocka_unit_test(it_looks_at_detections_and_at_what_is_none_yet),
        cmocka_unit_test(cells_stay_inside),
        cmocka_unit_test(a_series_is_one_candidate),
        cmocka_unit_test(a_new_kind_of_thing_is_new),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
