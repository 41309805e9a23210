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

static void draw_trust(struct robot_trust *out)
{
    *out = (struct robot_trust){.accepted = draw(4) ? draw(1 << 20) : INT64_MAX, /* as large as they come */
                                .rollback = draw(2)};
    if (draw(2))
        draw_digest(&out->director);
    if (draw(2))
        draw_digest(&out->admitted);
    if (draw(2))
        draw_digest(&out->refused);
    for (unsigned i = draw(ROBOT_MAX_FLOORS + 1); i > 0; i--) {
        char name[64], version[64];
        snprintf(name, sizeof name, "model-%u", i);
        snprintf(version, sizeof version, "%u.%u.%u", draw(9), draw(99), draw(9));
        assert_true(robot_trust_raise_floor(out, name, version));
    }
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
    if (draw(2))
        draw_trust(&out->trust);
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
        assert_memory_equal(&in.trust, &out.trust, sizeof in.trust);
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

static void a_floor_only_rises(void **state)
{
    struct robot_state robot;
    robot_state_init(&robot);
    assert_string_equal(robot_state_floor(&robot, "detector"), "");
    assert_true(robot_trust_raise_floor(&robot.trust, "detector", "1.4.0"));
    assert_true(robot_trust_raise_floor(&robot.trust, "detector", "1.3.0"));
    assert_string_equal(robot_state_floor(&robot, "detector"), "1.4.0");
    assert_string_equal(robot_state_floor(&robot, "finder"), "");
    str_copy(robot.floor, sizeof robot.floor, "1.3.9");
    assert_string_equal(robot_state_floor(&robot, "detector"), "1.4.0");
    assert_string_equal(robot_state_floor(&robot, "finder"), "1.3.9");
    str_copy(robot.floor, sizeof robot.floor, "2.0.0");
    assert_string_equal(robot_state_floor(&robot, "detector"), "2.0.0");
    for (int i = 0; i < ROBOT_MAX_FLOORS - 1; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        assert_true(robot_trust_raise_floor(&robot.trust, name, "1.0.0"));
    }
    assert_false(robot_trust_raise_floor(&robot.trust, "one-more", "1.0.0"));
    assert_true(robot_trust_raise_floor(&robot.trust, "detector", "2.1.0")); /* none is ever forgotten */
    assert_string_equal(robot_state_floor(&robot, "detector"), "2.1.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_survives_the_way_to_text_and_back),
        cmocka_unit_test(a_cut_or_flipped_text_is_an_error_or_a_valid_state),
        cmocka_unit_test(a_contradiction_is_corrupt),
        cmocka_unit_test(a_reason_with_foreign_bytes_is_kept_readable),
        cmocka_unit_test(a_floor_only_rises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
