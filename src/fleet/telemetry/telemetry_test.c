#include "base/testing.h"
#include "fleet/telemetry/hist.h"
#include "fleet/telemetry/presence.h"

#include <string.h>

static struct exphist sample(unsigned seed)
{
    struct exphist hist;
    exphist_init(&hist);
    for (unsigned i = 0; i < 500; i++) {
        seed = seed * 1103515245u + 12345u;
        exphist_add(&hist, (double)(seed >> 8) / 65536.0, 1 + seed % 3);
    }
    return hist;
}

static void test_hist_survives_the_bytes(void **state)
{
    struct err err = {0};
    for (unsigned seed = 0; seed < 20; seed++) {
        struct exphist in = sample(seed), out;
        uint8_t bytes[HIST_MAX_BYTES], again[HIST_MAX_BYTES];
        size_t len = hist_encode(&in, bytes);
        assert_ok(hist_decode(bytes, len, &out, &err), err);
        assert_int_equal(hist_encode(&out, again), len);
        assert_memory_equal(bytes, again, len);
        assert_true(exphist_quantile(&in, 0.99) == exphist_quantile(&out, 0.99));
    }
}

/* What a double has no room for is stored too: sums of a fleet merge exactly also from disk. */
static void test_a_sum_beyond_a_double_survives(void **state)
{
    struct err err = {0};
    struct exphist in = sample(3), out;
    uint8_t bytes[HIST_MAX_BYTES];
    exphist_add(&in, 0.25, 1);
    exphist_add(&in, 1e20, 1);
    assert_true(in.sum_rest != 0);
    size_t len = hist_encode(&in, bytes);
    assert_ok(hist_decode(bytes, len, &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    assert_fails(hist_decode(bytes, len - 8, &out, &err), err, ERR_CORRUPT);
}

static void test_hist_refuses_damage(void **state)
{
    struct err err = {0};
    struct exphist in = sample(7), out;
    uint8_t bytes[HIST_MAX_BYTES];
    size_t len = hist_encode(&in, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_fails(hist_decode(bytes, cut, &out, &err), err, ERR_CORRUPT);
    bytes[16] ^= 1; /* the count no longer fits the buckets */
    assert_fails(hist_decode(bytes, len, &out, &err), err, ERR_CORRUPT);
}

static void test_presence_only_gets_worse_with_silence(void **state)
{
    assert_int_equal(presence_of(-1), PRESENCE_NEVER);
    assert_int_equal(presence_of(0), PRESENCE_LIVE);
    assert_int_equal(presence_of(15000), PRESENCE_LIVE);
    assert_int_equal(presence_of(15001), PRESENCE_LATE);
    assert_int_equal(presence_of(30000), PRESENCE_LATE);
    assert_int_equal(presence_of(30001), PRESENCE_OFFLINE);
    for (int64_t silence = 0; silence < 60000; silence += 100)
        assert_true(presence_of(silence) <= presence_of(silence + 100));
}

static void test_downtime_is_not_silence(void **state)
{
    assert_int_equal(presence_silence_at_start(0, 5000), -1);
    assert_int_equal(presence_silence_at_start(1000, 5000), 4000);
    assert_int_equal(presence_silence_at_start(6000, 5000), 0);
}

static void test_a_late_farewell_of_an_old_connection_changes_nothing(void **state)
{
    struct presence_link link = {0};
    uint64_t first = presence_opened(&link), second = presence_opened(&link);
    presence_closed(&link, first);
    assert_true(link.open);
    assert_int_equal(presence_link_facet(&link, 0), FACET_UP);
    presence_closed(&link, second);
    assert_int_equal(presence_link_facet(&link, 0), FACET_DOWN);
    presence_opened(&link);
    assert_int_equal(presence_link_facet(&link, 30000), FACET_UP);
    assert_int_equal(presence_link_facet(&link, 30001), FACET_DOWN); /* half open: nothing said goodbye */
    assert_int_equal(presence_link_facet(&link, -1), FACET_UNKNOWN);
}

static void test_a_model_that_stalls_is_seen_behind_an_agent_that_lives(void **state)
{
    struct presence_work work = {0};
    assert_int_equal(presence_inference_facet(&work, 5), FACET_UNKNOWN);
    presence_told(&work, 300, 300, 10000, 50, 1000);
    assert_int_equal(presence_inference_facet(&work, 31000), FACET_OK);
    assert_int_equal(presence_inference_facet(&work, 31001), FACET_UNKNOWN);
    presence_told(&work, 300, 0, 10000, 50, 20000);
    assert_int_equal(presence_inference_facet(&work, 20001), FACET_STALLED);
    assert_int_equal(presence_agent_facet(100), FACET_OK);
    presence_told(&work, 300, 300, 10000, 86400000, 21000); /* yesterday's, told today */
    assert_int_equal(presence_inference_facet(&work, 21001), FACET_STALLED);
    presence_told(&work, 0, 0, 10000, 50, 22000);
    assert_int_equal(presence_inference_facet(&work, 22001), FACET_UNKNOWN);
    presence_told(&work, 9, 9, 600000, 50, 23000); /* long windows speak for longer */
    assert_int_equal(presence_inference_facet(&work, 23000 + 1800000), FACET_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hist_survives_the_bytes),
        cmocka_unit_test(test_a_sum_beyond_a_double_survives),
        cmocka_unit_test(test_hist_refuses_damage),
        cmocka_unit_test(test_presence_only_gets_worse_with_silence),
        cmocka_unit_test(test_a_late_farewell_of_an_old_connection_changes_nothing),
        cmocka_unit_test(test_a_model_that_stalls_is_seen_behind_an_agent_that_lives),
        cmocka_unit_test(test_downtime_is_not_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
