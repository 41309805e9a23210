#include "robot/store/state.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

static uint32_t random_state = 1;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static void draw_digest(struct digest *out)
{
    for (size_t i = 0; i < sizeof out->bytes; i++)
        out->bytes[i] = (uint8_t)(draw(255) + 1);
}

static void draw_slot(struct install_slot *out, uint64_t below, bool runs)
{
    draw_digest(&out->release);
    out->manifest_size = draw(1 << 20);
    out->generation = runs ? draw((uint32_t)below - 1) + 1 : 0;
    snprintf(out->name, sizeof out->name, "model-%u", draw(1000));
    snprintf(out->version, sizeof out->version, "%u.%u.%u-rc.%u", draw(9), draw(99), draw(9), draw(9));
}

static void draw_state(struct robot_state *out)
{
    robot_state_init(out);
    struct install *install = &out->install;
    install->phase = (enum install_phase)draw(INSTALL_PHASE_COUNT);
    install->next_generation = draw(1000) + 2;
    install->assignment_counter = draw(1 << 20);
    install->rollback = draw(2);
    install->probation_since_ms = (int64_t)draw(1 << 20) * 1000000;
    install->committed_ms = (int64_t)draw(1 << 20) * 1000000;
    install->previous_cold = draw(2);
    install->gap = draw(2);
    if (draw(2) || install->phase == INSTALL_PROBATION)
        draw_slot(&install->current, install->next_generation, true);
    if (draw(2))
        draw_slot(&install->previous, install->next_generation, true);
    if (install->phase >= INSTALL_FETCH && install->phase <= INSTALL_ACTIVATE)
        draw_slot(&install->candidate, install->next_generation, install->phase >= INSTALL_SELF_TEST);
    if (draw(2)) {
        draw_digest(&install->blocked);
        install->blocked_counter = draw(100);
        str_copy(out->blocked_reason, sizeof out->blocked_reason,
                 "p99 71 ms \"over\" the budget \\ of 40 ms");
    }
    if (draw(2))
        str_copy(out->floor, sizeof out->floor, "1.2.3");
}

static void every_state_survives_the_way_to_text_and_back(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct robot_state in, out;
        struct err err = {0};
        draw_state(&in);
        assert_true(install_valid(&in.install));
        cleanup_free char *text = robot_state_format(&in);
        assert_non_null(text);
        assert_ok(robot_state_parse(text, strlen(text), &out, &err), err);
        cleanup_free char *again = robot_state_format(&out);
        assert_string_equal(text, again);
        assert_true(digest_equal(&in.install.current.release, &out.install.current.release));
        assert_int_equal(in.install.current.generation, out.install.current.generation);
        assert_int_equal(in.install.phase, out.install.phase);
        assert_int_equal(in.install.probation_since_ms, out.install.probation_since_ms);
        assert_int_equal(in.install.committed_ms, out.install.committed_ms);
        assert_int_equal(in.install.previous_cold, out.install.previous_cold);
        assert_int_equal(in.install.gap, out.install.gap);
        assert_string_equal(in.blocked_reason, out.blocked_reason);
    }
}

static void a_cut_or_flipped_text_is_an_error_or_a_valid_state(void **state)
{
    struct robot_state in, out;
    struct err err = {0};
    do
        draw_state(&in);
    while (in.install.phase != INSTALL_ACTIVATE);
    cleanup_free char *text = robot_state_format(&in);
    size_t len = strlen(text);
    for (size_t cut = 0; cut + 2 < len; cut++) {
        err = (struct err){0};
        assert_int_equal(robot_state_parse(text, cut, &out, &err), -1);
        assert_int_not_equal(err.code, ERR_NONE);
    }
    for (size_t at = 0; at < len; at++) {
        cleanup_free char *bad = mem_dup(text, len);
        bad[at] = (char)(bad[at] ^ 0x11);
        if (robot_state_parse(bad, len, &out, &err) == 0)
            assert_true(install_valid(&out.install));
    }
}

static void a_contradiction_is_corrupt(void **state)
{
    struct robot_state in, out;
    struct err err = {0};
    robot_state_init(&in);
    in.install.phase = INSTALL_PROBATION;
    cleanup_free char *text = robot_state_format(&in);
    assert_fails(robot_state_parse(text, strlen(text), &out, &err), err, ERR_CORRUPT);
}

static void a_reason_with_foreign_bytes_is_kept_readable(void **state)
{
    struct robot_state in, out;
    struct err err = {0};
    robot_state_init(&in);
    memset(in.install.blocked.bytes, 7, sizeof in.install.blocked.bytes);
    str_copy(in.blocked_reason, sizeof in.blocked_reason, "line\n\xe2\x80 end");
    cleanup_free char *text = robot_state_format(&in);
    assert_ok(robot_state_parse(text, strlen(text), &out, &err), err);
    assert_string_equal(out.blocked_reason, "line??? end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_survives_the_way_to_text_and_back),
        cmocka_unit_test(a_cut_or_flipped_text_is_an_error_or_a_valid_state),
        cmocka_unit_test(a_contradiction_is_corrupt),
        cmocka_unit_test(a_reason_with_foreign_bytes_is_kept_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
