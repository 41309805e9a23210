#include "robot/agent/tally.h"

#include "base/str.h"
#include "base/testing.h"

static const uint8_t stream[16] = {1, 2, 3};

static struct ctl_status status_of(uint64_t epoch)
{
    struct ctl_status status = {.epoch = epoch};
    for (size_t i = 0; i < 2; i++) {
        status.runners[i].generation = 5 + i;
        memset(status.runners[i].release.bytes, (int)(1 + i), sizeof status.runners[i].release.bytes);
    }
    return status;
}

static void count(struct ctl_counters *counters, unsigned fast, unsigned slow)
{
    counters->frames += fast + slow;
    counters->results += fast + slow;
    counters->infer_us[100] += fast; /* 5.8 to 6.3 ms */
    counters->infer_us[130] += slow; /* 78 to 85 ms */
    counters->frame_us[110] += fast + slow;
}

static uint64_t exported_frames(const struct buf *body, uint64_t *out_seq)
{
    struct err err = {0};
    struct otlp_export *export = mem_zalloc(1, sizeof *export);
    assert_ok(otlp_parse(body->data, body->len, export, &err), err);
    uint64_t frames = 0;
    for (size_t i = 0; i < export->window_count; i++) {
        frames += export->windows[i].frames;
        assert_int_equal(export->windows[i].latency_ms.count, export->windows[i].frames);
        assert_true(export->windows[i].end_ms > export->windows[i].start_ms);
    }
    *out_seq = export->seq;
    free(export);
    return frames;
}

static void every_frame_is_exported_once(void **state)
{
    struct err err = {0};
    cleanup_tally struct tally *tally = tally_new("r1", stream, 1000);
    struct ctl_status status = status_of(1);
    const struct buf *body;
    uint64_t frames = 0, counted = 0, seq = 0, last_seq = 0;
    tally_observe(tally, &status);
    assert_int_equal(tally_freeze(tally, 1500, &body, &err), 0);
    for (int i = 0; i < 200; i++) {
        if (i % 37 == 36) {
            status = status_of((uint64_t)i); /* another guard: counters start anew */
            tally_observe(tally, &status);
        }
        count(&status.runners[i % 2].counters, (unsigned)i % 5, (unsigned)i % 3);
        counted += (unsigned)i % 5 + (unsigned)i % 3;
        tally_observe(tally, &status);
        if (i % 7 == 0 && tally_freeze(tally, 2000 + i, &body, &err) > 0) {
            uint64_t same = exported_frames(body, &seq);
            const struct buf *again;
            assert_int_equal(tally_freeze(tally, 3000 + i, &again, &err),
                             1); /* not acknowledged: the same once more */
            uint64_t seq_again;
            assert_int_equal(exported_frames(again, &seq_again), same);
            assert_int_equal(seq_again, seq);
            assert_int_equal(seq, last_seq + 1);
            last_seq = seq;
            frames += same;
            tally_sent(tally);
        }
    }
    if (tally_freeze(tally, 9000, &body, &err) > 0)
        frames += exported_frames(body, &seq);
    assert_int_equal(frames, counted);
}

static void a_killed_agent_counts_nothing_twice_and_loses_nothing(void **state)
{
    struct err err = {0};
    struct tally *tally = tally_new("r1", stream, 1000);
    struct ctl_status status = status_of(1);
    const struct buf *body;
    uint64_t frames = 0, counted = 0, seq = 0, last_seq = 0;
    for (unsigned i = 1; i < 60; i++) {
        count(&status.runners[0].counters, i, 1);
        counted += i + 1;
        tally_observe(tally, &status);
        if (i % 3 != 0)
            continue;
        assert_int_equal(tally_freeze(tally, 2000 + i, &body, &err), 1);
        cleanup_buf struct buf kept = BUF_INIT(1 << 20);
        assert_ok(tally_save(tally, &kept, &err), err);
        if (i % 2) { /* the server had it, but the agent died before it knew, and had seen more meanwhile */
            count(&status.runners[0].counters, 9, 0);
            counted += 9;
            tally_observe(tally, &status);
        }
        uint64_t before = exported_frames(body, &seq);
        tally_free(tally);
        uint8_t other[16] = {9};
        tally = tally_new("r1", other, 5000 + i);
        assert_ok(tally_restore(tally, kept.data, kept.len, &err), err);
        tally_observe(tally, &status);
        assert_int_equal(tally_freeze(tally, 6000 + i, &body, &err), 1);
        assert_int_equal(exported_frames(body, &seq), before);
        assert_int_equal(seq, last_seq + 1);
        last_seq = seq;
        frames += before;
        tally_sent(tally);
    }
    if (tally_freeze(tally, 9000, &body, &err) > 0)
        frames += exported_frames(body, &seq);
    assert_int_equal(frames, counted);
    struct tally_total total = tally_total(tally, 5, 40);
    assert_int_equal(total.frames, counted);
    tally_free(tally);
}

static void totals_tell_slow_from_fast(void **state)
{
    cleanup_tally struct tally *tally = tally_new("r1", stream, 1000);
    struct ctl_status status = status_of(1);
    count(&status.runners[0].counters, 90, 10);
    status.runners[0].counters.interventions[INTERVENED_RANGE] = 3;
    status.runners[0].restarts = 2;
    count(&status.runners[1].counters, 0, 50);
    tally_observe(tally, &status);
    status = status_of(2);
    count(&status.runners[0].counters, 10, 0);
    status.runners[0].restarts = 1;
    tally_observe(tally, &status);
    struct tally_total total = tally_total(tally, 5, 40);
    assert_int_equal(total.frames, 110);
    assert_int_equal(total.inferences, 110);
    assert_int_equal(total.over_budget, 10);
    assert_int_equal(total.interventions, 3);
    assert_int_equal(total.runner_losses, 3);
    assert_true(total.latency_p99_ms > 75 && total.latency_p99_ms < 90);
    assert_int_equal(tally_total(tally, 6, 40).over_budget, 50);
    assert_int_equal(tally_total(tally, 6, 100).over_budget, 0);
    assert_int_equal(tally_total(tally, 77, 40).frames, 0);
}

static void a_generation_that_comes_back_counts_from_nothing(void **state)
{
    cleanup_tally struct tally *tally = tally_new("r1", stream, 1000);
    struct ctl_status with = status_of(1), without = {.epoch = 1};
    count(&with.runners[0].counters, 90, 0);
    tally_observe(tally, &with);
    tally_observe(tally, &without);
    with = status_of(1);
    count(&with.runners[0].counters, 95, 0);
    tally_observe(tally, &with);
    with = status_of(1); /* retired and admitted again between two looks */
    count(&with.runners[0].counters, 1, 0);
    tally_observe(tally, &with);
    assert_int_equal(tally_total(tally, 5, 40).frames, 90 + 95 + 1);
}

static void damaged_memory_is_refused(void **state)
{
    struct err err = {0};
    cleanup_tally struct tally *tally = tally_new("r1", stream, 1000);
    struct ctl_status status = status_of(1);
    const struct buf *body;
    count(&status.runners[0].counters, 5, 5);
    tally_observe(tally, &status);
    assert_int_equal(tally_freeze(tally, 2000, &body, &err), 1);
    cleanup_buf struct buf kept = BUF_INIT(1 << 20);
    assert_ok(tally_save(tally, &kept, &err), err);
    cleanup_tally struct tally *other = tally_new("r1", stream, 1000);
    for (size_t at = 0; at < kept.len; at += 97) {
        kept.data[at] ^= 1;
        assert_fails(tally_restore(other, kept.data, kept.len, &err), err, ERR_CORRUPT);
        kept.data[at] ^= 1;
        assert_fails(tally_restore(other, kept.data, at, &err), err, ERR_CORRUPT);
    }
    assert_ok(tally_restore(other, kept.data, kept.len, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_exported_once),
        cmocka_unit_test(a_killed_agent_counts_nothing_twice_and_loses_nothing),
        cmocka_unit_test(totals_tell_slow_from_fast),
        cmocka_unit_test(a_generation_that_comes_back_counts_from_nothing),
        cmocka_unit_test(damaged_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
