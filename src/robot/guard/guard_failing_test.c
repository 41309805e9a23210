/* Every system call that the guard makes fails once, wherever it makes it. Then it either refuses to start, with one clear line and
 * nothing left open; or it shows one peer the door and serves the others; or it goes on, and what a human stopped stays so. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>

static struct desk d;
static const int errors[] = {EIO, EMFILE, ENOSPC, ENOMEM};

static bool one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(*list, name))
            return true;
    return false;
}

static void expect_one_clear_line(const struct err *err, const char *must_say)
{
    assert_true(err->code != ERR_NONE && strlen(err->text) > 10);
    assert_null(strchr(err->text, '\n'));
    assert_non_null(strstr(err->text, must_say));
}

/* It runs: orders are carried out, and a stop is one. */
static void expect_to_obey(void)
{
    d.agent = desk_join(&d, CTL_ROLE_AGENT);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
}

/* ---- start ---- */

/* Without these there is no guard; without the others there is one. */
static const char *const needed[] = {"open",   "flock", "ftruncate", "epoll_create1", "signalfd", "epoll_ctl",
                                     "socket", "bind",  "listen",    "fchmodat",      NULL};
static const char *const optional[] = {"getrandom", "mlockall", "sched_setscheduler", "madvise", NULL};

static void whatever_fails_at_the_start(void **state)
{
    const struct guard_options options = {
        .realtime = true, .state_dir = "", .runner_users = {65534}, .runner_user_count = 1};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct err err = {0};
            desk_make(&d);
            int fds = testbed_fds();
            testbed_fail(nth, errors[i]);
            int done = desk_start(&d, &options, &err);
            failed = testbed_stop();
            if (done < 0) {
                assert_true(failed);
                assert_false(one_of(testbed_failed(), optional));
                expect_one_clear_line(&err, d.dir);
                assert_int_equal(testbed_fds(), fds);
            } else {
                if (failed && one_of(testbed_failed(), needed))
                    assert_int_equal(d.guard->state, GUARD_SAFE_STOP); /* of the latch's directory */
                if (!failed || one_of(testbed_failed(), optional))
                    assert_int_equal(d.guard->state, GUARD_STANDBY);
                expect_to_obey();
            }
            desk_close(&d);
            assert_int_equal(testbed_fds(), fds);
        }
    }
}

/* What was latched is latched, or the stop is; or there is no guard. */
static void whatever_fails_a_latch_holds(void **state)
{
    const struct guard_options options = {.state_dir = ""};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct err err = {0};
            desk_open(&d, &options);
            assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
            mem_cleanup_close(&d.agent);
            guard_close(d.guard);
            testbed_fail(nth, errors[i]);
            int done = desk_start(&d, &options, &err);
            failed = testbed_stop();
            assert_true(failed || done == 0);
            if (done == 0) {
                assert_true(d.guard->state == GUARD_HOLD || (failed && d.guard->state == GUARD_SAFE_STOP));
                assert_true(d.guard->state == GUARD_HOLD || strstr(d.guard->reason, strerror(errors[i])));
                d.agent = desk_join(&d, CTL_ROLE_AGENT);
                desk_pass(&d, 200 * DESK_MS); /* what could not be written is written later */
                assert_true(d.guard->latch.kept == (d.guard->latch.dir_fd >= 0));
            }
            desk_close(&d);
        }
    }
}

/* What it makes in its directory, for whom; and a directory that is none. */
static void its_files_are_its_own(void **state)
{
    struct err err = {0};
    struct guard *guard = NULL;
    struct stat st;
    char file[96], pid[16] = "", want[16];
    desk_open(&d, NULL);
    snprintf(file, sizeof file, "%s/guard.lock", d.dir);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    cleanup_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    snprintf(want, sizeof want, "%d\n", (int)getpid());
    assert_int_equal(pread(fd, pid, sizeof pid - 1, 0), strlen(want));
    assert_string_equal(pid, want);
    snprintf(file, sizeof file, "%s/guard.sock", d.dir);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    desk_reopen(&d, NULL); /* over the socket that is still there */
    desk_reopen(&d, &(struct guard_options){.runner_users = {65534}, .runner_user_count = 1});
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    desk_close(&d);
    struct guard_options options = {.run_dir = "/dev/null"};
    assert_fails(guard_open(&options, &guard, &err), err, ERR_IO);
    expect_one_clear_line(&err, "/dev/null");
    assert_null(guard);
    testbed_short("pwrite", 1);
    desk_make(&d);
    assert_true(desk_start(&d, NULL, &err) < 0);
    assert_true(testbed_stop());
    expect_one_clear_line(&err, "guard.lock");
    desk_sweep(&d);
}

/* Real-time as far as allowed, but never for one who looks all the time: others need the core. */
static void who_spins_is_not_realtime(void **state)
{
    for (int wishes = 0; wishes < 4; wishes++) {
        const struct guard_options options = {.realtime = wishes & 1, .spin = wishes & 2};
        struct err err = {0};
        desk_make(&d);
        testbed_fail_call("none", 1, 1, 0);
        assert_ok(desk_start(&d, &options, &err), err);
        assert_int_equal(testbed_count("mlockall"), options.realtime);
        assert_int_equal(testbed_count("sched_setscheduler"), options.realtime && !options.spin);
        testbed_stop();
        desk_close(&d);
    }
}

/* A run directory that is not there yet: for its user only, or to pass through where runners have users of their own. */
static void it_makes_its_directory(void **state)
{
    for (size_t users = 0; users < 2; users++) {
        struct err err = {0};
        struct stat st;
        desk_make(&d);
        assert_int_equal(rmdir(d.dir), 0);
        assert_ok(desk_start(&d, &(struct guard_options){.runner_users = {65534}, .runner_user_count = users},
                             &err),
                  err);
        assert_int_equal(stat(d.dir, &st), 0);
        assert_int_equal(st.st_mode & 0777, users ? 0711 : 0700);
        desk_close(&d);
    }
}

/* The number of its life is random, and never 0; without randomness it is the clock's. */
static void each_life_has_a_number(void **state)
{
    uint64_t epochs[2];
    for (int i = 0; i < 2; i++) {
        desk_open(&d, NULL);
        epochs[i] = d.guard->epoch;
        assert_true(epochs[i] & 1);
        assert_int_equal(epochs[i] >> 63, 0);
        desk_close(&d);
    }
    assert_true(epochs[0] != epochs[1]); /* at the same time of the clock */
    struct err err = {0};
    desk_make(&d);
    testbed_fail_call("getrandom", 1, 1, EAGAIN);
    assert_ok(desk_start(&d, NULL, &err), err);
    testbed_stop();
    assert_int_equal(d.guard->epoch, DESK_START_NS / 2 | 1);
    desk_close(&d);
}

/* Lease numbers go on after a damaged file, whatever the wall clock says. */
static void a_damaged_latch_gives_a_number_that_was_never_given(void **state)
{
    static const struct {
        int64_t wall_ms;
        uint64_t lease;
    } rows[] = {{-5, 1}, {1, 1}, {1700000000000, 1700000000000}};
    char path[96];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct guard_options options = {.state_dir = ""};
        struct err err = {0};
        desk_make(&d);
        assert_int_equal(mkdir(d.state, 0700), 0);
        snprintf(path, sizeof path, "%s/guard.latch", d.state);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        testbed_wall_set(rows[i].wall_ms);
        assert_ok(desk_start(&d, &options, &err), err);
        testbed_wall_set(0);
        assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
        assert_int_equal(d.guard->oversight.lease, rows[i].lease);
        assert_string_equal(d.guard->reason, "guard.latch: damaged; reset and restart to go on");
        assert_string_equal(d.guard->who, "guard");
        desk_close(&d);
    }
}

/* ---- the program ---- */

static int run_program(int argc, const char *const *words)
{
    char *argv[12] = {NULL};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    optind = 1;
    return guard_main(argc, argv);
}

/* Exit status 2 for a wrong command line, 0 for a question, the error's own else. */
static void the_program_ends_with_the_right_status(void **state)
{
    static const struct {
        const char *words[10];
        int status;
    } rows[] = {
        {{"muster-guard"}, 2},
        {{"muster-guard", "--help"}, 0},
        {{"muster-guard", "--version"}, 0},
        {{"muster-guard", "--run-dir", "/dev/null"}, 1},
        {{"muster-guard", "--run-dir", "/dev/null", "more"}, 2},
        {{"muster-guard", "--nonsense", "--run-dir", "/dev/null"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--hang-frames", "0"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--hang-frames", "1"}, 1},
        {{"muster-guard", "--run-dir", "/dev/null", "--hang-ms", "1000000"}, 1},
        {{"muster-guard", "--run-dir", "/dev/null", "--hang-ms", "1000001"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--hang-ms", "x"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "x"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", ""}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "1,"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "4294967295"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "4294967294"}, 1},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "1,2,3,4,5,6,7,8"}, 1},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user", "1,2,3,4,5,6,7,8,9"}, 2},
        {{"muster-guard", "--run-dir", "/dev/null", "--runner-user",
          "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "1"},
         2},
        {{"muster-guard", "--run-dir", "/dev/null", "--realtime", "--spin", "--state-dir", "/dev/null"}, 1},
    };
    int kept = dup(STDOUT_FILENO);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int argc = 0;
        while (rows[i].words[argc])
            argc++;
        fflush(stdout);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        assert_true(dup2(null, STDOUT_FILENO) >= 0);
        close(null);
        int status = run_program(argc, rows[i].words);
        fflush(stdout);
        assert_true(dup2(kept, STDOUT_FILENO) >= 0);
        assert_int_equal(status, rows[i].status);
    }
    close(kept);
}

/* What it was told, it does; and it ends by itself only for a reason. */
static void the_program_does_what_it_is_told(void **state)
{
    char own[24];
    desk_open(&d, NULL);
    struct guard *guard = d.guard; /* there is only one in a process */
    desk_close(&d);
    desk_make(&d);
    snprintf(own, sizeof own, "7,%u,9", geteuid());
    const char *const words[] = {"muster-guard",  "--run-dir", d.dir,       "--state-dir", d.state,
                                 "--runner-user", own,         "--hang-ms", "31",          "--spin"};
    testbed_pause(false);
    testbed_fail_call("epoll_pwait2", 1, 1, EBADF);
    assert_int_equal(run_program(ARRAY_LEN(words), words), 1);
    testbed_stop();
    const struct guard_options *got = &guard->options;
    assert_string_equal(got->run_dir, d.dir);
    assert_string_equal(got->state_dir, d.state);
    assert_int_equal(got->runner_user_count, 2); /* its own need not be named */
    assert_true(got->runner_users[0] == 7 && got->runner_users[1] == 9);
    assert_int_equal(got->hang_ms, 31);
    assert_int_equal(got->hang_frames, GUARD_HANG_FRAMES);
    assert_true(got->spin && !got->realtime);
    guard_close(guard);
    desk_sweep(&d);
    desk_make(&d);
    const char *const others[] = {"muster-guard", "--run-dir", d.dir, "--hang-frames", "32", "--realtime"};
    testbed_pause(false);
    testbed_fail_call("epoll_pwait2", 1, 1, EBADF);
    assert_int_equal(run_program(ARRAY_LEN(others), others), 1);
    testbed_stop();
    assert_int_equal(got->hang_frames, 32);
    assert_int_equal(got->hang_ms, GUARD_HANG_MS);
    assert_true(got->realtime && !got->spin);
    assert_null(got->state_dir);
    guard_close(guard);
    desk_sweep(&d);
    desk_make(&d);
    int fds = testbed_fds();
    const char *const stopped[] = {"muster-guard", "--run-dir", d.dir};
    assert_int_equal(raise(SIGTERM), 0); /* blocked since the first one */
    assert_int_equal(run_program(ARRAY_LEN(stopped), stopped), 0);
    assert_int_equal(testbed_fds(), fds);
    sigset_t pending;
    sigemptyset(&pending);
    sigaddset(&pending, SIGTERM);
    assert_int_equal(sigtimedwait(&pending, NULL, &(struct timespec){0}), SIGTERM);
    desk_sweep(&d);
}

/* ---- peers ---- */

static void expect_service(struct desk_runner *runner, struct desk_robot *robot)
{
    uint64_t seq = desk_frame(&d, robot, DESK_FAR);
    struct ring_result result = desk_result(&d, runner, seq);
    desk_say(&d, runner, &result);
    const struct ring_verdict *verdict = desk_verdict(robot, seq);
    assert_non_null(verdict);
    assert_int_equal(verdict->status, RING_VERDICT_OK);
    assert_int_equal(verdict->generation, runner->generation);
}

static const struct guard_options with_users = {.runner_users = {1, 2}, .runner_user_count = 2};

/* A runner comes: it is welcome whole or not at all, the one that answers goes on answering, and nothing is left of it. */
static void a_runner_that_comes_disturbs_nobody(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct desk_runner old, new;
            struct desk_robot robot;
            desk_open(&d, &with_users);
            desk_runner_open(&d, &old, 1);
            desk_robot_open(&d, &robot);
            assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
            expect_service(&old, &robot);
            int fds = testbed_fds(), mappings = testbed_mappings();
            testbed_fail(nth, errors[i]);
            bool welcome = desk_runner_try(&d, &new, 2, 0);
            failed = testbed_stop();
            assert_true(welcome || failed);
            assert_true(welcome == (desk_slot(&d, 2) !=
                                    NULL)); /* a stranger's place is its own only while it is there */
            expect_service(&old, &robot);
            desk_runner_close(&d, &new);
            assert_null(desk_slot(&d, 2));
            assert_int_equal(testbed_fds(), fds);
            assert_int_equal(testbed_mappings(), mappings);
            desk_runner_open(&d, &new, 2); /* next time it works */
            expect_service(&old, &robot);
            desk_runner_close(&d, &new);
            desk_runner_close(&d, &old);
            desk_robot_close(&d, &robot);
            desk_close(&d);
        }
    }
}

/* One that was admitted before keeps its place, whatever fails. */
static void an_admitted_runner_keeps_its_place(void **state)
{
    bool failed = true;
    for (unsigned nth = 1; failed; nth++) {
        struct desk_runner r;
        desk_open(&d, NULL);
        assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
        testbed_fail(nth, EIO);
        bool welcome = desk_runner_try(&d, &r, 1, 0);
        failed = testbed_stop();
        assert_true(welcome || failed);
        assert_non_null(desk_slot(&d, 1));
        assert_true(welcome == guard_runner_live(desk_slot(&d, 1)));
        assert_true(desk_slot(&d, 1)->admitted);
        desk_runner_close(&d, &r);
        assert_false(guard_runner_live(desk_slot(&d, 1)));
        desk_close(&d);
    }
}

static void a_robot_program_comes_whole_or_not_at_all(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct desk_runner r;
            struct desk_robot robot;
            desk_open(&d, NULL);
            desk_runner_open(&d, &r, 1);
            assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
            int observer = desk_join(&d, CTL_ROLE_OBSERVER);
            int fds = testbed_fds(), mappings = testbed_mappings();
            testbed_fail(nth, errors[i]);
            bool welcome = desk_robot_try(&d, &robot, RING_SLOTS);
            failed = testbed_stop();
            assert_true(welcome || failed);
            assert_true(welcome == (d.guard->stream.peer != NULL));
            if (welcome)
                expect_service(&r, &robot);
            desk_robot_close(&d, &robot);
            assert_null(d.guard->stream.peer);
            assert_int_equal(testbed_fds(), fds);
            assert_int_equal(testbed_mappings(), mappings);
            desk_robot_open(&d, &robot);
            expect_service(&r, &robot);
            desk_robot_close(&d, &robot);
            desk_leave(&d, &observer);
            desk_runner_close(&d, &r);
            desk_close(&d);
        }
    }
}

/* Agent, operator, mirror, observer: in or out, and who is out may come again. */
static void the_others_may_come_again(void **state)
{
    for (uint32_t role = CTL_ROLE_AGENT; role < CTL_ROLE_END; role++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct ctl_message hello;
            union ctl_packet packet;
            struct desk_robot robot;
            desk_open(&d, NULL);
            desk_robot_open(&d, &robot);
            int fds = testbed_fds();
            ctl_message_init(&hello, CTL_HELLO);
            hello.role = role;
            testbed_fail(nth, EIO);
            int fd = desk_knock(&d);
            struct err err = {0};
            if (ctl_send(fd, &hello, NULL, &err) == 0)
                desk_settle(&d);
            failed = testbed_stop();
            bool welcome = desk_hear(fd, &packet, NULL) && packet.message.kind == CTL_WELCOME;
            assert_true(welcome || failed);
            desk_pass(&d, 2200 * DESK_MS); /* who is in stays in, who did not get far is out by now */
            assert_true(desk_hung_up(fd) == (!welcome || str_eq(testbed_failed(), "recvmsg")));
            /* A mirror that was never in is none that went away. */
            bool lost = welcome && desk_hung_up(fd) && role == CTL_ROLE_ESTOP;
            assert_int_equal(d.guard->state, lost ? GUARD_ESTOP : GUARD_STANDBY);
            desk_leave(&d, &fd);
            assert_int_equal(testbed_fds(), fds);
            fd = desk_join(&d, (enum ctl_role)role);
            desk_leave(&d, &fd);
            desk_robot_close(&d, &robot);
            desk_close(&d);
        }
    }
}

/* ---- orders ---- */

/* A stop is a stop, whatever fails: at once, and on the disk as soon as that is possible. */
static void a_stop_cannot_fail(void **state)
{
    const struct guard_options options = {.state_dir = ""};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct desk_runner r;
            struct desk_robot robot;
            desk_open(&d, &options);
            desk_runner_open(&d, &r, 1);
            desk_robot_open(&d, &robot);
            int observer = desk_join(&d, CTL_ROLE_OBSERVER);
            assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
            uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
            testbed_fail(nth, errors[i]);
            int told = desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0);
            failed = testbed_stop();
            if (d.guard->state !=
                GUARD_SAFE_STOP) { /* the order itself did not get through, and that was told */
                assert_true(failed &&
                            (str_eq(testbed_failed(), "recvmsg") || str_eq(testbed_failed(), "poll")));
                assert_true(told != 0);
            } else {
                assert_int_equal(desk_verdict(&robot, seq)->reason, INTERVENED_OVERSIGHT);
                desk_pass(&d, 200 * DESK_MS);
                assert_true(d.guard->latch.kept);
                desk_reopen(&d, &options);
                assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
            }
            mem_cleanup_close(&observer);
            desk_runner_close(&d, &r);
            desk_robot_close(&d, &robot);
            desk_close(&d);
        }
    }
}

/* Out of a latch only what is on the disk: either it is out, there too, or it is not. */
static void a_way_out_is_whole_or_none(void **state)
{
    const struct guard_options options = {.state_dir = ""};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            desk_open(&d, &options);
            assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
            testbed_fail(nth, errors[i]);
            int told = desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0);
            failed = testbed_stop();
            assert_true(told != 0 || d.guard->state == GUARD_STANDBY);
            assert_true(told <= 0 || d.guard->state == GUARD_HOLD);
            uint32_t was = d.guard->state;
            desk_reopen(&d, &options);
            assert_int_equal(d.guard->state, was);
            desk_close(&d);
        }
    }
}

/* Neither new file nor old one can be written: the stop stands, says that it is not kept, and stays when it can be. */
static void a_disk_that_is_dead_for_a_while(void **state)
{
    static const struct guard_options options = {.state_dir = ""};
    static const char *const calls[] = {"openat", "pwrite", "fsync", "renameat"};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        desk_open(&d, &options);
        testbed_fail_call(calls[i], 1, 1000, ENOSPC);
        assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
        assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
        guard_fill_status(d.guard);
        bool overwritten = str_eq(calls[i], "openat") || str_eq(calls[i], "renameat");
        assert_int_equal(d.guard->status.status.oversight.latched, overwritten);
        int told = desk_command(&d, d.agent, CTL_VERB_RESET, 0, 0);
        assert_int_equal(told, 0); /* from latch to latch: allowed */
        told = desk_command(&d, d.agent, CTL_VERB_RESTART, 0, 0);
        assert_int_equal(told == 0, overwritten);
        assert_int_equal(d.guard->state, overwritten ? GUARD_STANDBY : GUARD_ACK_WAIT);
        testbed_stop();
        desk_pass(&d, 200 * DESK_MS);
        guard_fill_status(d.guard);
        assert_int_equal(d.guard->status.status.oversight.latched, !overwritten);
        desk_close(&d);
    }
}

/* Nothing is latched and nothing can be written: what changes nothing is no half success. */
static void an_order_without_effect_needs_no_disk(void **state)
{
    struct err err = {0};
    struct ctl_message order, reply;
    desk_make(&d);
    testbed_fail_call("openat", 3, 1000, EROFS); /* the lock and the old latch can be looked at */
    assert_ok(desk_start(&d, &(struct guard_options){.state_dir = ""}, &err), err);
    d.agent = desk_join(&d, CTL_ROLE_AGENT);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_false(d.guard->latch.kept);
    ctl_message_init(&order, CTL_COMMAND);
    order.command.verb = CTL_VERB_RELEASE;
    assert_int_equal(desk_ask(&d, d.agent, &order, &reply), 0);
    assert_string_equal(reply.text, "");
    order.command.verb = CTL_VERB_STOP;
    assert_int_equal(desk_ask(&d, d.agent, &order, &reply), 0);
    assert_non_null(strstr(reply.text, "safe_stop, but not kept over a restart"));
    testbed_stop();
    desk_close(&d);
}

/* Who asks and does not read is not answered, and stays. */
static void an_answer_that_does_not_go_out(void **state)
{
    struct ctl_message ask;
    union ctl_packet packet;
    desk_open(&d, NULL);
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    testbed_fail_call("sendmsg", 1, 1, EAGAIN);
    desk_send(&d, d.agent, &ask);
    assert_true(testbed_stop());
    assert_false(desk_hear(d.agent, &packet, NULL));
    desk_send(&d, d.agent, &ask);
    assert_true(desk_hear(d.agent, &packet, NULL));
    testbed_fail_call("sendmsg", 1, 1, EAGAIN); /* an order's reply, though, he would wait for */
    assert_int_equal(desk_admit(&d, 1, &desk_limits), -1);
    testbed_stop();
    assert_true(desk_hung_up(d.agent));
    assert_true(desk_slot(&d, 1)->admitted);
    desk_close(&d);
}

/* ---- the loop ---- */

static void a_loop_that_cannot_wait_ends_with_one_line(void **state)
{
    struct err err = {0};
    desk_open(&d, NULL);
    testbed_pause(false);
    testbed_fail_call("epoll_pwait2", 1, 1, EINTR); /* a signal is none */
    assert_ok(guard_turn(d.guard, &err), err);
    assert_true(testbed_stop());
    testbed_fail_call("epoll_pwait2", 1, 1, EBADF);
    assert_true(guard_run(d.guard, &err) < 0);
    testbed_stop();
    expect_one_clear_line(&err, "epoll_wait");
    desk_close(&d);
}

/* A kernel without epoll_pwait2: by milliseconds, never too early. */
static void an_older_kernel_will_do(void **state)
{
    desk_open(&d, NULL);
    testbed_fail_call("epoll_pwait2", 1, 1000000, ENOSYS);
    desk_settle(&d);
    desk_jump(&d, 1);
    desk_turn(&d);
    assert_int_equal(testbed_slept_ns(), 100 * DESK_MS); /* 99.999999 */
    d.guard->next_tick_ns = testbed_clock() + 99 * DESK_MS;
    desk_turn(&d);
    assert_int_equal(testbed_slept_ns(), 99 * DESK_MS); /* 99 are 99 */
    d.guard->next_tick_ns = testbed_clock() + 100 * DESK_MS - 1;
    desk_jump(&d, 98 * DESK_MS);
    desk_turn(&d);
    assert_int_equal(testbed_slept_ns(), 2 * DESK_MS); /* 1.999999 */
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
    testbed_stop();
    desk_close(&d);
}

static void without_descriptors_callers_are_sent_away(void **state)
{
    static const int none[] = {EMFILE, ENFILE};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct err err = {0};
        int fd = -1, spare;
        desk_open(&d, NULL);
        int fds = testbed_fds();
        spare = d.guard->spare_fd;
        testbed_fail_call("accept4", 1, 1, none[i]);
        assert_ok(ctl_dial(d.dir, &fd, &err), err);
        desk_settle(&d);
        assert_true(testbed_stop());
        assert_true(desk_hung_up(fd));
        close(fd);
        assert_int_equal(testbed_fds(), fds);
        assert_int_equal(d.guard->spare_fd, spare);
        testbed_fail_call("accept4", 1, 1, ECONNABORTED); /* any other reason: nobody is there */
        fd = desk_knock(&d);
        testbed_stop();
        desk_settle(&d);
        assert_false(desk_hung_up(fd));
        close(fd);
        desk_close(&d);
    }
}

/* The whole machine has no descriptor left: not even the one given up is had again. He who knocks is taken when there is. */
static void who_cannot_be_sent_away_waits(void **state)
{
    static const int never[] = {ENFILE, EIO};
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        struct err err = {0};
        int fd = -1;
        desk_open(&d, NULL);
        int fds = testbed_fds();
        testbed_fail_call("accept4", 1, 1000000, never[i]);
        assert_ok(ctl_dial(d.dir, &fd, &err), err);
        desk_settle(&d); /* it sleeps: he keeps nobody busy */
        desk_pass(&d, 300 * DESK_MS);
        assert_false(desk_hung_up(fd));
        assert_int_equal(testbed_fds(), fds + 1);
        testbed_stop();
        desk_pass(&d, 200 * DESK_MS);
        assert_true(testbed_fds() > fds + 1);
        close(fd);
        desk_settle(&d);
        assert_int_equal(testbed_fds(), fds);
        desk_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_fails_at_the_start),
        cmocka_unit_test(whatever_fails_a_latch_holds),
        cmocka_unit_test(its_files_are_its_own),
        cmocka_unit_test(each_life_has_a_number),
        cmocka_unit_test(who_spins_is_not_realtime),
        cmocka_unit_test(it_makes_its_directory),
        cmocka_unit_test(a_damaged_latch_gives_a_number_that_was_never_given),
        cmocka_unit_test(the_program_ends_with_the_right_status),
        cmocka_unit_test(the_program_does_what_it_is_told),
        cmocka_unit_test(an_order_without_effect_needs_no_disk),
        cmocka_unit_test(an_answer_that_does_not_go_out),
        cmocka_unit_test(a_runner_that_comes_disturbs_nobody),
        cmocka_unit_test(an_admitted_runner_keeps_its_place),
        cmocka_unit_test(a_robot_program_comes_whole_or_not_at_all),
        cmocka_unit_test(the_others_may_come_again),
        cmocka_unit_test(a_stop_cannot_fail),
        cmocka_unit_test(a_way_out_is_whole_or_none),
        cmocka_unit_test(a_disk_that_is_dead_for_a_while),
        cmocka_unit_test(a_loop_that_cannot_wait_ends_with_one_line),
        cmocka_unit_test(an_older_kernel_will_do),
        cmocka_unit_test(without_descriptors_callers_are_sent_away),
        cmocka_unit_test(who_cannot_be_sent_away_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
