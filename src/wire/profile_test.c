#include "wire/profile.h"
#include "wire/wire_testing.h"

#include <math.h>

/* A profile of everything there can be in one. */
static void random_tap(uint64_t *random, struct profile *out)
{
    str_copy(out->tap, sizeof out->tap, "/model/9/act/Mul_output_0");
    out->channels = 1 + (uint32_t)random_below(random, 70);
    out->prototype_count = 1 + (uint32_t)random_below(random, PROFILE_MAX_PROTOTYPES);
    out->quantile_count = 1 + (uint32_t)random_below(random, PROFILE_MAX_QUANTILES);
    out->projection = mem_zalloc((size_t)out->channels * PROFILE_DIMS, sizeof *out->projection);
    out->prototypes = mem_zalloc(out->prototype_count, sizeof *out->prototypes);
    out->prototype_labels = mem_zalloc(out->prototype_count, sizeof *out->prototype_labels);
    out->quantiles = mem_zalloc(out->quantile_count, sizeof *out->quantiles);
    for (size_t i = 0; i < (size_t)out->channels * PROFILE_DIMS; i++)
        out->projection[i] = (float)random_between(random, -2, 2);
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        out->offset[i] = (float)random_between(random, -2, 2);
    random_bytes(random, out->prototypes, out->prototype_count * sizeof *out->prototypes);
    for (size_t i = 0; i < out->prototype_count; i++)
        out->prototype_labels[i] =
            random_below(random, 4) ? (uint16_t)random_below(random, 5) : PROFILE_NO_LABEL;
    for (size_t i = 0; i < out->quantile_count; i++)
        out->quantiles[i] = (float)i * 0.01F;
}

static void random_profile(uint64_t *random, struct profile *out)
{
    *out = (struct profile){.accuracy.accuracy = NAN};
    for (size_t i = 0; i < SIGNALS; i++) {
        struct drift_reference *signal = &out->signals[i];
        *signal = (struct drift_reference){.mean = random_between(random, -9, 9),
                                           .sd = random_between(random, 0.1, 3),
                                           .tolerance = random_between(random, 0, 1),
                                           .memory = random_between(random, 1, 200)};
        for (int k = 0; k < DRIFT_BINS - 1; k++)
            signal->edges[k] = (float)(signal->mean + k);
    }
    for (size_t i = 0; i < SIGNAL_LABELS; i++)
        out->label_share[i] = random_between(random, 0, 0.06);
    if (random_below(random, 2)) {
        out->accuracy = (struct labelfree_reference){.accuracy = random_between(random, 0.5, 1),
                                                     .mean_confidence = random_between(random, 0, 1),
                                                     .atc_threshold = random_between(random, 0, 1),
                                                     .slope = random_between(random, 0, 4),
                                                     .atc_slope = random_between(random, 0, 4),
                                                     .reach = random_between(random, 0, 1),
                                                     .error = random_between(random, 0, 1)};
        for (int i = 0; i < LABELFREE_BINS; i++)
            out->accuracy.bins_accuracy[i] = i / 64.0;
    }
    if (random_below(random, 2))
        random_tap(random, out);
}

static void format(const struct profile *profile, struct buf *out)
{
    struct err err = {0};
    assert_ok(profile_format(profile, out, &err), err);
}

static void any_profile_survives_the_round_trip(void **state)
{
    uint64_t random = 1;
    for (int i = 0; i < 60; i++) {
        struct err err = {0};
        cleanup_profile struct profile before = {0}, after = {0};
        cleanup_buf struct buf once = BUF_INIT(PROFILE_MAX_BYTES), again = BUF_INIT(PROFILE_MAX_BYTES);
        random_profile(&random, &before);
        format(&before, &once);
        assert_int_equal(once.len % 8, 0);
        assert_ok(profile_parse(once.data, once.len, &after, &err), err);
        assert_memory_equal(before.signals, after.signals, sizeof before.signals);
        assert_string_equal(before.tap, after.tap);
        assert_int_equal(before.prototype_count, after.prototype_count);
        assert_memory_equal(before.offset, after.offset, sizeof before.offset);
        format(&after, &again);
        assert_int_equal(once.len, again.len);
        assert_memory_equal(once.data, again.data, once.len);
    }
}

static void the_largest_there_can_be_fits_its_limit(void **state)
{
    uint64_t random = 7;
    cleanup_profile struct profile profile = {0};
    cleanup_buf struct buf out = BUF_INIT(PROFILE_MAX_BYTES);
    random_profile(&random, &profile);
    profile_fini(&profile);
    random_tap(&random, &profile);
    free(profile.projection);
    profile.channels = PROFILE_MAX_CHANNELS;
    profile.projection = mem_zalloc((size_t)profile.channels * PROFILE_DIMS, sizeof(float));
    format(&profile, &out);
}

static void any_changed_or_missing_byte_is_found(void **state)
{
    uint64_t random = 3;
    cleanup_profile struct profile profile = {0};
    cleanup_buf struct buf bytes = BUF_INIT(PROFILE_MAX_BYTES);
    random_profile(&random, &profile);
    format(&profile, &bytes);
    for (size_t at = 0; at < bytes.len; at += 1 + at / 40) {
        struct err err = {0};
        struct profile ignored;
        bytes.data[at] ^= 0x10;
        assert_int_equal(profile_parse(bytes.data, bytes.len, &ignored, &err), -1);
        bytes.data[at] ^= 0x10;
        assert_int_equal(profile_parse(bytes.data, at, &ignored, &err), -1);
    }
}

#define REFUSED(change, names)                                                                               \
    do {                                                                                                     \
        struct err err = {0};                                                                                \
        uint64_t random = 11;                                                                                \
        cleanup_profile struct profile bad = {0};                                                            \
        cleanup_buf struct buf out = BUF_INIT(PROFILE_MAX_BYTES);                                            \
        random_profile(&random, &bad);                                                                       \
        if (!bad.tap[0])                                                                                     \
            random_tap(&random, &bad);                                                                       \
        change;                                                                                              \
        assert_fails(profile_format(&bad, &out, &err), err, ERR_INVALID);                                    \
        assert_int_equal(out.len, 0);                                                                        \
        if (!strstr(err.text, names))                                                                        \
            fail_msg("wanted \"%s\" in: %s", names, err.text);                                               \
    } while (0)

static void numbers_that_cannot_be_are_refused(void **state)
{
    REFUSED(bad.signals[3].mean = NAN, "signal 3");
    REFUSED(bad.signals[3].sd = -1, "signal 3");
    REFUSED(bad.signals[4].tolerance = INFINITY, "signal 4");
    REFUSED(bad.signals[5].memory = 0.5, "less than one frame");
    REFUSED(bad.signals[5].edges[2] = 1e9F, "signal 5");
    REFUSED(bad.label_share[2] = 1.5, "share 2");
    REFUSED((bad.accuracy = (struct labelfree_reference){.accuracy = 0.9}, bad.accuracy.reach = 2),
            "accuracy");
    REFUSED(
        (bad.accuracy = (struct labelfree_reference){.accuracy = 0.9}, bad.accuracy.bins_accuracy[63] = NAN),
        "accuracy");
    REFUSED(bad.projection[1] = NAN, "projection");
    REFUSED(bad.offset[31] = INFINITY, "offset");
    REFUSED(bad.quantiles[0] = -1, "ascend");
    REFUSED(bad.tap[0] = 0, "go together");
    REFUSED(bad.prototype_count = 0, "go together");
    REFUSED(bad.prototype_count = PROFILE_MAX_PROTOTYPES + 1, "go together");
}

/* ---- files of other times ---- */

static void resum(struct buf *file)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i + 8 < file->len; i++)
        hash = (hash ^ file->data[i]) * 0x100000001b3U;
    memcpy(file->data + file->len - 8, &hash, sizeof hash);
}

/* Section 3 renamed to one that nobody knows: the profile is read without it. */
static void what_is_newer_is_left_out(void **state)
{
    struct err err = {0};
    uint64_t random = 2;
    cleanup_profile struct profile before = {0}, after = {0};
    cleanup_buf struct buf file = BUF_INIT(PROFILE_MAX_BYTES);
    random_profile(&random, &before);
    profile_fini(&before);
    before.accuracy = (struct labelfree_reference){.accuracy = 0.9};
    format(&before, &file);
    size_t at = 16 + 8 + SIGNALS * 64 + 8 + SIGNAL_LABELS * 8;
    assert_int_equal(file.data[at], 3);
    file.data[at] = 200;
    resum(&file);
    assert_ok(profile_parse(file.data, file.len, &after, &err), err);
    assert_true(isnan(after.accuracy.accuracy));
}

static void the_same_section_twice_is_refused(void **state)
{
    struct err err = {0};
    struct profile none = {.accuracy.accuracy = NAN}, ignored;
    cleanup_buf struct buf file = BUF_INIT(PROFILE_MAX_BYTES);
    format(&none, &file);
    size_t at = 16 + 8 + SIGNALS * 64 + 8 + SIGNAL_LABELS * 8;
    file.data[at] = 2;
    resum(&file);
    assert_fails(profile_parse(file.data, file.len, &ignored, &err), err, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_profile_survives_the_round_trip),
        cmocka_unit_test(the_largest_there_can_be_fits_its_limit),
        cmocka_unit_test(any_changed_or_missing_byte_is_found),
        cmocka_unit_test(numbers_that_cannot_be_are_refused),
        cmocka_unit_test(what_is_newer_is_left_out),
        cmocka_unit_test(the_same_section_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
