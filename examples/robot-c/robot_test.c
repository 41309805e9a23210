/* The example, as it stands in the docs, as a process of its own against a real guard and a real runner process. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

struct session {
    struct harness guard;
    pid_t robot;
    FILE *said;
};

static void start(struct session *s)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    char program[] = EXAMPLE, frames[] = "1000000";
    char *argv[] = {program, s->guard.dir, frames, NULL};
    assert_int_equal(posix_spawn(&s->robot, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    s->said = fdopen(ends[0], "r");
    assert_non_null(s->said);
}

/* Reads what it says until a line begins like this; the whole of it. */
static void await_line(struct session *s, const char *begins)
{
    char line[256] = "";
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    do
        assert_non_null(fgets(line, sizeof line, s->said));
    while (strncmp(line, begins, strlen(begins)) != 0 && harness_now_ms() < until_ms);
    assert_int_equal(strncmp(line, begins, strlen(begins)), 0);
}

static void command(struct session *s, enum ctl_verb verb)
{
    struct ctl_command order = {.verb = verb, .who = "ann", .reason = "a test"};
    struct err err = {0};
    assert_ok(ctl_command(s->guard.agent, &order, PATIENCE_MS, NULL, &err), err);
}

static void it_runs_and_obeys(void **state)
{
    struct session s = {.robot = 0};
    harness_open(&s.guard, NULL, NULL);
    start(&s);
    await_line(&s, "safe: runner_lost, state standby");
    pid_t runner = actor_start(&s.guard, 1, ACT_WELL);
    harness_admit(&s.guard, 1);
    harness_until(&s.guard, status, status.runners[0].connected);
    harness_activate(&s.guard, 1, 0);
    await_line(&s, "ok: 1 objects of sha256:abcd");
    command(&s, CTL_VERB_HOLD);
    await_line(&s, "safe: oversight, state hold");
    command(&s, CTL_VERB_RELEASE);
    await_line(&s, "ok:");
    kill(s.robot, SIGUSR1);
    await_line(&s, "safe: oversight, state estop");
    kill(s.robot, SIGUSR2);
    await_line(&s, "safe: oversight, state safe_stop");
    command(&s, CTL_VERB_RESET);
    command(&s, CTL_VERB_RESTART);
    await_line(&s, "ok:");
    kill(s.guard.guard, SIGKILL);
    await_line(&s, "safe: no_guard, state unknown");
    kill(s.robot, SIGKILL);
    kill(runner, SIGKILL);
    waitpid(s.robot, NULL, 0);
    waitpid(runner, NULL, 0);
    fclose(s.said);
    harness_sweep(&s.guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_runs_and_obeys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
