#include "base/clock.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"
#include "robot/estop/mirror.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { RELEASE_MS = 50 };

/* ---- the filter ---- */

static void it_begins_pressed(void **state)
{
    struct mirror_filter filter;
    mirror_filter_init(&filter);
    assert_true(filter.pressed);
    assert_false(mirror_filter_feed(&filter, MIRROR_CLEAR, 1000, RELEASE_MS));
    assert_false(mirror_filter_feed(&filter, MIRROR_CLEAR, 1000 + RELEASE_MS - 1, RELEASE_MS));
    assert_true(mirror_filter_feed(&filter, MIRROR_CLEAR, 1000 + RELEASE_MS, RELEASE_MS));
    assert_false(filter.pressed);
}

static void one_reading_presses(void **state)
{
    static const enum mirror_reading bad[] = {MIRROR_PRESSED, MIRROR_UNREADABLE};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct mirror_filter filter = {.clearing = true, .clear_since_ms = 0};
        assert_true(mirror_filter_feed(&filter, bad[i], 5000, RELEASE_MS));
        assert_true(filter.pressed);
        assert_false(mirror_filter_feed(&filter, bad[i], 5001, RELEASE_MS));
    }
}

/* Whatever the readings are: released means that all of the last RELEASE_MS read clear. */
static void a_bouncing_contact_stays_pressed(void **state)
{
    struct mirror_filter filter;
    uint64_t random = 1;
    int64_t last_bad_ms = 0, bad_now = 0;
    mirror_filter_init(&filter);
    for (int64_t now_ms = 1; now_ms < 20000; now_ms++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (random >> 58 == 0)
            bad_now = (int64_t)(random >> 40 & 63);
        enum mirror_reading reading = bad_now-- > 0 ? MIRROR_PRESSED : MIRROR_CLEAR;
        last_bad_ms = reading == MIRROR_CLEAR ? last_bad_ms : now_ms;
        mirror_filter_feed(&filter, reading, now_ms, RELEASE_MS);
        assert_int_equal(filter.pressed, now_ms - last_bad_ms <= RELEASE_MS);
    }
}

/* ---- the value file ---- */

static void only_a_clean_value_counts(void **state)
{
    static const struct {
        const char *text;
        bool low;
        int rc;
        bool active;
    } table[] = {{"0\n", false, 0, false},  {"1\n", false, 0, true}, {"0", true, 0, true},
                 {"1", true, 0, false},     {"", false, -1, true},   {"2\n", false, -1, true},
                 {"01\n", false, -1, true}, {"x", true, -1, true}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char path[] = "/tmp/muster-line-XXXXXX";
        struct err err = {0};
        int fd = mkstemp(path);
        assert_int_equal(write(fd, table[i].text, strlen(table[i].text)), (ssize_t)strlen(table[i].text));
        close(fd);
        cleanup_line struct line *line = NULL;
        const struct line_options options = {.value = path, .active_low = table[i].low};
        assert_ok(line_open(&options, &line, &err), err);
        bool active = true;
        assert_int_equal(line->ops->read(line, &active, &err), table[i].rc);
        assert_int_equal(active, table[i].active);
        unlink(path);
    }
}

static void what_is_no_line_is_refused(void **state)
{
    struct line *line = NULL;
    struct err err = {0};
    const struct line_options none = {0}, both = {.chip = "/dev/null", .value = "/dev/null"},
                              no_chip = {.chip = "/dev/null"}, missing = {.value = "/nonexistent"};
    assert_int_equal(line_open(&none, &line, &err), -1);
    assert_int_equal(line_open(&both, &line, &err), -1);
    assert_int_equal(line_open(&no_chip, &line, &err), -1);
    assert_int_equal(line_open(&missing, &line, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_null(line);
}

/* ---- with a real guard and a line that the test moves ---- */

struct played { /* a line of the test's own */
    struct line base;
    int far; /* the other end of base.fd */
    atomic_bool active, broken;
};

static int played_read(struct line *line, bool *out_active, struct err *err)
{
    struct played *played = (struct played *)(void *)line;
    if (atomic_load(&played->broken))
        return err_set(err, ERR_IO, "the wire is cut");
    *out_active = atomic_load(&played->active);
    return 0;
}

static void played_drain(struct line *line)
{
    char bytes[64];
    (void)!read(line->fd, bytes, sizeof bytes);
}

static void played_close(struct line *line)
{
    (void)line;
}

static const struct line_ops played_ops = {.read = played_read, .drain = played_drain, .close = played_close};

struct robot {
    char dir[64];
    pid_t guard;
    struct played line;
    volatile int stop;
    pthread_t thread;
    struct mirror_options options;
};

static void *mirror_thread(void *arg)
{
    struct err err = {0};
    return mirror_run(&((struct robot *)arg)->options, &err) == 0 ? NULL : arg;
}

static void start_guard(struct robot *robot)
{
    struct err err = {0};
    const char *const argv[] = {GUARD_PROGRAM, "--run-dir", robot->dir, NULL};
    struct proc_options options = {.argv = argv, .keep_fd = -1};
    assert_ok(proc_spawn(&options, &robot->guard, &err), err);
}

static void stop_guard(struct robot *robot)
{
    kill(robot->guard, SIGKILL);
    waitpid(robot->guard, NULL, 0);
}

static void start_mirror(struct robot *robot)
{
    robot->stop = 0;
    robot->options = (struct mirror_options){.run_dir = robot->dir,
                                             .line = &robot->line.base,
                                             .reread_ms = 20,
                                             .release_ms = 20,
                                             .stop = &robot->stop};
    assert_int_equal(pthread_create(&robot->thread, NULL, mirror_thread, robot), 0);
}

static void stop_mirror(struct robot *robot)
{
    void *failed = NULL;
    robot->stop = 1;
    pthread_join(robot->thread, &failed);
    assert_null(failed);
}

static void move_line(struct robot *robot, bool active)
{
    atomic_store(&robot->line.active, active);
    assert_int_equal(write(robot->line.far, "x", 1), 1); /* the edge */
}

static int setup(void **state)
{
    struct robot *robot = mem_zalloc(1, sizeof *robot);
    int ends[2];
    memcpy(robot->dir, "/tmp/muster-estop-XXXXXX", 25);
    assert_non_null(mkdtemp(robot->dir));
    assert_int_equal(pipe(ends), 0);
    robot->line.base = (struct line){.ops = &played_ops, .fd = ends[0], .events = 1 /* POLLIN */};
    robot->line.far = ends[1];
    atomic_store(&robot->line.active, true); /* till the guard has heard of it, however late it comes */
    start_guard(robot);
    start_mirror(robot);
    *state = robot;
    return 0;
}

static int teardown(void **state)
{
    struct robot *robot = *state;
    struct err err = {0};
    stop_mirror(robot);
    stop_guard(robot);
    close(robot->line.base.fd);
    close(robot->line.far);
    assert_ok(file_remove_tree(robot->dir, &err), err);
    free(robot);
    return 0;
}

static uint32_t state_now(const struct robot *robot)
{
    cleanup_close int fd = -1;
    struct ctl_status status = {.state = GUARD_STATE_COUNT};
    struct err err = {0};
    if (ctl_connect(robot->dir, CTL_ROLE_OPERATOR, &fd, &err) == 0 && ctl_status(fd, 1000, &status, &err) < 0)
        status.state = GUARD_STATE_COUNT;
    return status.state;
}

static void until(const struct robot *robot, enum guard_state wanted)
{
    for (int i = 0; i < 2000; i++) {
        if (state_now(robot) == wanted)
            return;
        usleep(5000);
    }
    fail_msg("state %u, wanted %d", state_now(robot), wanted);
}

static void command(const struct robot *robot, enum ctl_verb verb)
{
    cleanup_close int fd = -1;
    struct ctl_command order = {.verb = verb, .who = "test", .reason = "test"};
    struct err err = {0};
    assert_ok(ctl_connect(robot->dir, CTL_ROLE_OPERATOR, &fd, &err), err);
    assert_ok(ctl_command(fd, &order, 1000, NULL, &err), err);
}

static void to_work(struct robot *robot)
{
    until(robot, GUARD_ESTOP);
    move_line(robot, false);
    until(robot, GUARD_SAFE_STOP); /* two acts, as after every stop */
    command(robot, CTL_VERB_RESET);
    command(robot, CTL_VERB_RESTART);
    until(robot, GUARD_STANDBY);
}

static void the_guard_follows_the_line(void **state)
{
    struct robot *robot = *state;
    to_work(robot);
    for (int i = 0; i < 3; i++) {
        move_line(robot, true);
        until(robot, GUARD_ESTOP);
        to_work(robot);
    }
}

static void a_missed_edge_is_found_by_reading_again(void **state)
{
    struct robot *robot = *state;
    to_work(robot);
    atomic_store(&robot->line.active, true); /* no edge is told */
    until(robot, GUARD_ESTOP);
}

static void a_cut_wire_is_a_pressed_stop(void **state)
{
    struct robot *robot = *state;
    to_work(robot);
    atomic_store(&robot->line.broken, true);
    until(robot, GUARD_ESTOP);
    atomic_store(&robot->line.broken, false);
    until(robot, GUARD_SAFE_STOP);
}

static void a_mirror_that_ends_is_a_pressed_stop(void **state)
{
    struct robot *robot = *state;
    to_work(robot);
    stop_mirror(robot);
    until(robot, GUARD_ESTOP);
    start_mirror(robot); /* and it is taken back only by a mirror that says so */
    until(robot, GUARD_SAFE_STOP);
}

static void a_new_guard_is_told(void **state)
{
    struct robot *robot = *state;
    to_work(robot);
    move_line(robot, true);
    until(robot, GUARD_ESTOP);
    stop_guard(robot);
    start_guard(robot);
    until(robot, GUARD_ESTOP);
}

#define WITH_GUARD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_pressed),
        cmocka_unit_test(one_reading_presses),
        cmocka_unit_test(a_bouncing_contact_stays_pressed),
        cmocka_unit_test(only_a_clean_value_counts),
        cmocka_unit_test(what_is_no_line_is_refused),
        WITH_GUARD(the_guard_follows_the_line),
        WITH_GUARD(a_missed_edge_is_found_by_reading_again),
        WITH_GUARD(a_cut_wire_is_a_pressed_stop),
        WITH_GUARD(a_mirror_that_ends_is_a_pressed_stop),
        WITH_GUARD(a_new_guard_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
