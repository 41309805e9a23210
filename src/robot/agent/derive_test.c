/* When an engine is built, and when not; the building itself is a script. */
#include "robot/agent/derive.h"

#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct stage {
    char dir[64], program[96], derived[96], said[256];
    int notes;
    struct spawn_options spawn;
    struct derive derive;
    struct install install;
    struct ctl_status status;
    int64_t now_ms;
};

static void take_note(enum report_kind kind, const struct digest *release, const char *text, void *arg)
{
    struct stage *stage = arg;
    stage->notes++;
    str_copy(stage->said, sizeof stage->said, text);
}

static void behave(struct stage *stage, const char *script)
{
    struct err err = {0};
    cleanup_free char *text = mem_printf("#!/bin/sh\n%s\n", script);
    assert_ok(file_replace(stage->program, text, strlen(text), 0755, &err), err);
}

/* A degraded runner of a committed release answers. */
static void stage_open(struct stage *stage)
{
    memset(stage, 0, sizeof *stage);
    str_copy(stage->dir, sizeof stage->dir, "/tmp/muster-derive-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    snprintf(stage->program, sizeof stage->program, "%s/runner", stage->dir);
    snprintf(stage->derived, sizeof stage->derived, "%s/derived", stage->dir);
    stage->spawn = (struct spawn_options){
        .run_dir = stage->dir, .layout = stage->dir, .runner = stage->program, .derived = stage->derived};
    derive_init(&stage->derive, &stage->spawn, take_note, stage);
    stage->install = (struct install){.next_generation = 6,
                                      .current = {.release = {{1}}, .generation = 5},
                                      .previous = {.release = {{2}}, .generation = 4}};
    stage->status = (struct ctl_status){.state = GUARD_AUTO, .active_generation = 5};
    stage->status.runners[0] = (struct ctl_runner_status){
        .generation = 5, .release = {{1}}, .connected = 1, .admitted = 1, .degraded = 1};
    stage->now_ms = 1000000;
    behave(stage, "exit 0");
}

static void stage_close(struct stage *stage)
{
    struct err err = {0};
    assert_ok(file_remove_tree(stage->dir, &err), err);
}

static bool due(const struct stage *stage)
{
    return derive_is_due(&stage->derive, &stage->install, &stage->status, stage->now_ms);
}

static bool tick(struct stage *stage)
{
    return derive_tick(&stage->derive, &stage->install, &stage->status, stage->now_ms);
}

static void await_child(struct stage *stage)
{
    int status = 0;
    pid_t pid = stage->derive.child;
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_false(derive_reaped(&stage->derive, pid + 1, status, stage->now_ms));
    assert_true(derive_reaped(&stage->derive, pid, status, stage->now_ms));
}

static void only_a_quiet_degraded_robot_builds(void **state)
{
    struct stage stage;
    stage_open(&stage);
    assert_true(due(&stage));
    assert_false(derive_is_due(&stage.derive, &stage.install, NULL, stage.now_ms));
    stage.status.runners[0].degraded = 0;
    assert_false(due(&stage));
    stage.status.runners[0].degraded = 1;
    stage.status.runners[0].connected = 0;
    assert_false(due(&stage));
    stage.status.runners[0].connected = 1;
    for (enum install_phase phase = INSTALL_FETCH; phase < INSTALL_PHASE_COUNT; phase++) {
        stage.install.phase = phase;
        assert_false(due(&stage));
    }
    stage.install.phase = INSTALL_IDLE;
    for (uint32_t guard = GUARD_FORCED; guard < GUARD_STATE_COUNT; guard++) {
        stage.status.state = guard;
        assert_false(due(&stage)); /* a human stands above */
    }
    stage.status.state = GUARD_AUTO;
    stage.status.active_generation = 4;
    assert_false(due(&stage));
    stage_close(&stage);
}

static void what_is_built_is_taken_once(void **state)
{
    struct stage stage;
    stage_open(&stage);
    assert_false(tick(&stage)); /* it builds */
    assert_false(due(&stage));  /* once at a time */
    await_child(&stage);
    assert_true(tick(&stage));
    assert_true(tick(&stage)); /* until it is taken */
    derive_taken(&stage.derive, stage.now_ms);
    assert_false(tick(&stage));
    stage.now_ms += DERIVE_RELOAD_MS - 1; /* it did not help: it stays degraded */
    assert_false(due(&stage));
    stage.now_ms += 1;
    assert_true(due(&stage));
    assert_int_equal(stage.notes, 0);
    stage_close(&stage);
}

static void what_fails_is_said_once_and_tried_seldom(void **state)
{
    struct stage stage;
    stage_open(&stage);
    behave(&stage, "echo 'muster-runner: no tensorrt: it is raining' >&2; exit 3");
    for (int i = 0; i < 3; i++) {
        assert_true(due(&stage));
        assert_false(tick(&stage));
        await_child(&stage);
        assert_false(tick(&stage));
        assert_false(due(&stage));
        stage.now_ms += DERIVE_AGAIN_MS;
    }
    assert_int_equal(stage.notes, 1);
    assert_string_equal(stage.said, "no engine for its accelerator: no tensorrt: it is raining");
    stage.install.current.release = (struct digest){{3}}; /* another release is another matter */
    assert_true(due(&stage));
    stage_close(&stage);
}

static void a_build_of_the_agent_before_is_waited_for(void **state)
{
    struct stage stage;
    stage_open(&stage);
    behave(&stage, "echo 'muster-runner: tensorrt-trtexec: another process is building' >&2; exit 3");
    assert_false(tick(&stage));
    await_child(&stage);
    assert_int_equal(stage.notes, 0);
    stage.now_ms += DERIVE_BUSY_MS;
    assert_true(due(&stage));
    stage_close(&stage);
}

static void a_program_that_is_not_there_is_no_loop(void **state)
{
    struct stage stage;
    stage_open(&stage);
    assert_int_equal(unlink(stage.program), 0);
    assert_false(tick(&stage));
    assert_int_equal(stage.derive.child, 0);
    assert_false(due(&stage));
    stage_close(&stage);
}

static void folders_of_other_releases_go(void **state)
{
    struct stage stage;
    struct err err = {0};
    char *folders[3];
    stage_open(&stage);
    stage.status.runners[0].degraded = 0;
    for (uint8_t i = 0; i < ARRAY_LEN(folders); i++) {
        struct digest release = {{(uint8_t)(i + 1)}};
        folders[i] = spawn_derived(&stage.spawn, &release);
        assert_ok(file_make_dirs(folders[i], 0755, &err), err);
    }
    stage.install.phase = INSTALL_PROBATION;
    tick(&stage);
    assert_true(file_exists(folders[2]));
    stage.install.phase = INSTALL_IDLE;
    tick(&stage);
    assert_true(file_exists(folders[0]) && file_exists(folders[1]));
    assert_false(file_exists(folders[2]));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        free(folders[i]);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_quiet_degraded_robot_builds),
        cmocka_unit_test(what_is_built_is_taken_once),
        cmocka_unit_test(what_fails_is_said_once_and_tried_seldom),
        cmocka_unit_test(a_build_of_the_agent_before_is_waited_for),
        cmocka_unit_test(a_program_that_is_not_there_is_no_loop),
        cmocka_unit_test(folders_of_other_releases_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
