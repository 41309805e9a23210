/* The real muster-guard, over its socket, through every act in every place that the table knows: guard-export --tour walks
 * them all and says what has to come of each. Runners come and go, humans speak, the emergency stop is pressed, leases run out,
 * frames go unanswered, and the power is cut, again and again, in every state. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/decide/guard_fsm.h"
#include "robot/decide/oversight.h"
#include "robot/guard/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

enum { PRIMARY = 1, FALLBACK = 2, LEASE_MS = OVERSIGHT_MIN_TTL_MS };

static struct {
    struct harness h; /* without its guard: that is a program here */
    char state_dir[64];
    int mirror;
    uint64_t lease;
    struct puppet runners[3];
    bool live[3];
} robot;

static void send_order(enum ctl_kind kind, uint64_t generation)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, kind);
    message.generation = generation;
    message.fallback = generation == PRIMARY ? FALLBACK : 0;
    message.release = harness_release(generation);
    message.limits =
        (struct ctl_limits){.deadline_us = 2000, .max_detections = 4, .label_count = 3, .latch_after = 1};
    assert_ok(ctl_call(robot.h.agent, &message, PATIENCE_MS, &err), err);
}

static void come(uint64_t generation, bool degraded)
{
    puppet_open_as(&robot.runners[generation], &robot.h, generation, degraded, "by hand");
    robot.live[generation] = true;
}

static void go(uint64_t generation)
{
    puppet_close(&robot.runners[generation]);
    robot.live[generation] = false;
    harness_until(&robot.h, status, !status.runners[generation - 1].connected);
}

static void connect_as(enum ctl_role role, int *out_fd)
{
    struct err err = {0};
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    while (ctl_connect(robot.h.dir, role, out_fd, &err) < 0 && harness_now_ms() < until_ms)
        poll(NULL, 0, 2);
    assert_true(*out_fd >= 0);
}

static void press(uint32_t pressed)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    assert_ok(ctl_send(robot.mirror, &message, NULL, &err), err);
}

static void power_on(void)
{
    char program[] = MUSTER_BUILD_BIN "/muster-guard", run[] = "--run-dir", state[] = "--state-dir";
    char *argv[] = {program, run, robot.h.dir, state, robot.state_dir, NULL};
    char quiet[] = "MUSTER_LOG=error", *env[] = {quiet, NULL};
    robot.h.agent = robot.mirror = -1;
    assert_int_equal(posix_spawn(&robot.h.guard, program, NULL, NULL, argv, env), 0);
    connect_as(CTL_ROLE_AGENT, &robot.h.agent);
    connect_as(CTL_ROLE_ESTOP, &robot.mirror);
    send_order(CTL_ADMIT, PRIMARY); /* their places in the status are taken in this order */
    send_order(CTL_ADMIT, FALLBACK);
    come(PRIMARY, false);
    send_order(CTL_ACTIVATE, PRIMARY); /* names the fallback too, whose runner may come first */
    go(PRIMARY);
    harness_robot(&robot.h);
}

static void power_off(void)
{
    kill(robot.h.guard, SIGKILL);
    waitpid(robot.h.guard, NULL, 0);
    robot.h.guard = 0;
    muster_close(TAKE_PTR(robot.h.robot));
    mem_cleanup_close(&robot.h.agent);
    mem_cleanup_close(&robot.mirror);
    for (uint64_t generation = PRIMARY; generation <= FALLBACK; generation++)
        if (robot.live[generation])
            puppet_close(&robot.runners[generation]);
    memset(robot.live, 0, sizeof robot.live);
}

/* False: refused. */
static bool speak(enum ctl_verb verb, uint32_t ttl_ms)
{
    bool held = harness_status(&robot.h).state == GUARD_OVERRIDE;
    struct ctl_command command = {
        .verb = verb, .ttl_ms = ttl_ms, .lease = held ? robot.lease : 0, .who = "ann", .reason = "the tour"};
    struct err err = {0};
    uint64_t *lease = verb == CTL_VERB_OVERRIDE ? &robot.lease : NULL;
    return ctl_command(robot.h.agent, &command, PATIENCE_MS, lease, &err) == 0;
}

static void let_go_of_the_lease(void)
{
    assert_true(speak(CTL_VERB_RENEW, LEASE_MS));
    poll(NULL, 0, LEASE_MS + 5);
}

/* A frame that nobody answers. */
static void fault(void)
{
    struct muster_verdict verdict;
    assert_int_equal(frame_wait(&robot.h, frame_send(&robot.h, 1000), &verdict), MUSTER_SAFE);
}

static bool perform(const char *act)
{
    enum ctl_verb verb;
    if (oversight_verb_parse(act, &verb))
        return speak(verb, OVERSIGHT_MAX_TTL_MS);
    if (str_eq(act, "primary_ready") || str_eq(act, "primary_degraded"))
        come(PRIMARY, str_eq(act, "primary_degraded"));
    else if (str_eq(act, "fallback_ready"))
        come(FALLBACK, false);
    else if (str_eq(act, "primary_lost") || str_eq(act, "fallback_lost"))
        go(str_eq(act, "primary_lost") ? PRIMARY : FALLBACK);
    else if (str_eq(act, "estop_pressed") || str_eq(act, "estop_released"))
        press(str_eq(act, "estop_pressed"));
    else if (str_eq(act, "fault"))
        fault();
    else if (str_eq(act, "lease_lost"))
        let_go_of_the_lease();
    else if (str_eq(act, "reboot"))
        power_off(), power_on();
    else
        fail_msg("the tour wants \"%s\"", act);
    return true;
}

static void expect_state(const char *act, int step, const char *want)
{
    uint32_t state = GUARD_STATE_COUNT;
    int64_t until_ms = harness_now_ms() + 2000; /* what takes no reply takes its time */
    do
        state = harness_status(&robot.h).state;
    while (!str_eq(guard_state_name((enum guard_state)state), want) && harness_now_ms() < until_ms);
    if (!str_eq(guard_state_name((enum guard_state)state), want))
        fail_msg("act %d, %s: %s and not %s", step, act, guard_state_name((enum guard_state)state), want);
}

/* At most 2 MiB, as it is shipped: one static program. */
static void expect_small(void)
{
    char path[64], line[256];
    bool is_static = true;
    unsigned kib = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)robot.h.guard);
    cleanup_file FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps))
        is_static &= !strstr(line, "/libc");
    snprintf(path, sizeof path, "/proc/%d/status", (int)robot.h.guard);
    cleanup_file FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %u kB", &kib) == 1)
            break;
    assert_true(kib > 0);
    if (is_static)
        assert_in_range(kib, 1, 2048);
}

static void every_act_in_every_place(void **state)
{
    char act[32], want[32];
    int steps = 0;
    FILE *tour = popen(MUSTER_BUILD_BIN "/guard-export --tour", "r");
    assert_non_null(tour);
    power_on();
    while (fscanf(tour, "%31s %31s", act, want) == 2) {
        steps++;
        bool refused = want[0] == '-';
        if (perform(act) == refused)
            fail_msg("act %d, %s: it was %s", steps, act, refused ? "accepted" : "refused");
        expect_state(act, steps, want + refused);
    }
    assert_int_equal(pclose(tour), 0);
    assert_true(steps > 500);
    expect_small();
    power_off();
}

static int setup(void **state)
{
    memcpy(robot.h.dir, "/tmp/muster-guard-XXXXXX", 25);
    memcpy(robot.state_dir, "/tmp/muster-state-XXXXXX", 25);
    return mkdtemp(robot.h.dir) && mkdtemp(robot.state_dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[96];
    snprintf(path, sizeof path, "%s/guard.latch", robot.state_dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/guard.latch.new", robot.state_dir);
    unlink(path);
    rmdir(robot.state_dir);
    if (robot.h.guard)
        kill(robot.h.guard, SIGKILL);
    robot.h.agent = -1;
    harness_sweep(&robot.h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_act_in_every_place, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
