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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hist_survives_the_bytes),
        cmocka_unit_test(test_hist_refuses_damage),
        cmocka_unit_test(test_presence_only_gets_worse_with_silence),
        cmocka_unit_test(test_downtime_is_not_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
