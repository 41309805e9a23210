/* The guard stands on its own: runners cannot give it orders, whatever user or namespace they live in, whoever keeps its log
 * cannot stop it, and each generation is held to its own limits. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct harness h;

/* ---- orders ---- */

/* This program again, under another name: says HELLO as the agent. */
static int play_agent(const char *run_dir)
{
    int fd = -1;
    struct err err = {0};
    if (ctl_connect(run_dir, CTL_ROLE_AGENT, &fd, &err) == 0)
        return 0;
    return err.code == ERR_DENIED ? 1 : 2;
}

/* As many connections as it gets, and keeps. */
static int play_crowd(const char *run_dir)
{
    for (int i = 0; i < 2 * 16; i++) {
        int fd = -1;
        struct err err = {0};
        (void)!ctl_dial(run_dir, &fd, &err);
    }
    raise(SIGSTOP);
    return 0;
}

static bool become_walled(void)
{
    return unshare(CLONE_NEWPID) == 0;
}

static void copy_self(const char *path)
{
    struct stat st;
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0 && fstat(from, &st) == 0);
    assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
    close(from);
    close(to);
}

static int run_as(const char *name, bool walled)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", h.dir, name);
    copy_self(path);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t inner =
            walled && !become_walled() ? -1 : fork(); /* only children are born into the new namespace */
        if (inner < 0)
            _exit(4);
        if (inner == 0)
            execl(path, name, h.dir, (char *)NULL);
        int ended = 0;
        _exit(waitpid(inner, &ended, 0) == inner && WIFEXITED(ended) ? WEXITSTATUS(ended) : 3);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_runner_cannot_give_orders(void **state)
{
    harness_open(&h, NULL, NULL);
    assert_int_equal(run_as("muster-agent", false), 0);
    assert_int_equal(run_as("muster-runner", false), 1);
    assert_int_equal(run_as("muster-runner-2", false), 1);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
    harness_sweep(&h);
}

/* Behind walls every name is free to choose: whoever lives in another PID namespace is a runner. */
static void nor_under_another_name_behind_walls(void **state)
{
    harness_open(&h, NULL, NULL);
    int status = run_as("muster-agent", true);
    harness_sweep(&h);
    if (status == 4)
        skip(); /* PID namespaces need root */
    assert_int_equal(status, 1);
}

/* A runner behind walls is known by the number that the guard sees, and its death is noticed. */
static void a_runner_behind_walls_serves(void **state)
{
    struct muster_verdict verdict;
    cleanup_close int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    harness_open(&h, NULL, NULL);
    if (!become_walled()) {
        harness_sweep(&h);
        skip();
    }
    pid_t pid = actor_start(&h, 1, ACT_WELL);
    assert_int_equal(setns(own, CLONE_NEWPID), 0);
    harness_admit(&h, 1);
    harness_until(&h, status, status.runners[0].connected);
    assert_int_equal(harness_runner(&h, 1).pid, pid);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_OK);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    harness_until(&h, status, status.state == GUARD_STANDBY);
    harness_sweep(&h);
}

/* However many connections a runner opens: whoever wants to stop the robot gets in. */
static void a_runner_cannot_keep_a_human_out(void **state)
{
    char path[128];
    struct err err = {0};
    int operator_fd = -1, status = 0;
    harness_open(&h, NULL, NULL);
    snprintf(path, sizeof path, "%s/muster-runner", h.dir);
    copy_self(path);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(path, "muster-runner", h.dir, "crowd", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    while (ctl_connect(h.dir, CTL_ROLE_OPERATOR, &operator_fd, &err) < 0 && harness_now_ms() < until_ms)
        poll(NULL, 0, 5); /* until the guard has sent the crowd away */
    assert_true(operator_fd >= 0);
    struct ctl_command stop = {.verb = CTL_VERB_STOP, .who = "bob", .reason = "test"};
    assert_ok(ctl_command(operator_fd, &stop, PATIENCE_MS, NULL, &err), err);
    close(operator_fd);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(path);
    harness_sweep(&h);
}

/* In a process of another user: what HELLO in this role comes to. 0 welcome, else 1 + the error. */
static int knock_as(uid_t uid, enum ctl_role role)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct ring memory;
        struct ctl_message hello;
        union ctl_packet packet;
        struct ctl_fds fds, got;
        struct err err = {0};
        int fd = -1;
        ctl_message_init(&hello, CTL_HELLO);
        hello.role = role;
        hello.generation = 1;
        enum ring_kind kind = role == CTL_ROLE_CLIENT ? RING_FRAMES : RING_RESULTS;
        if (setresuid(uid, uid, uid) < 0 ||
            ring_create(&memory, kind, RING_SLOTS, kind == RING_FRAMES ? 64 : 0, &err) < 0)
            _exit(99);
        fds = (struct ctl_fds){.fd = {memory.fd, -1}};
        if (ctl_dial(h.dir, &fd, &err) < 0 || ctl_send(fd, &hello, &fds, &err) < 0 ||
            ctl_await(fd, &packet, &got, PATIENCE_MS, &err) < 0)
            _exit(1 + (int)err.code);
        _exit(packet.message.kind == CTL_WELCOME ? 0 : 1 + packet.message.result);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_runners_user_may_be_a_runner_and_nothing_else(void **state)
{
    enum { RUNNERS = 65534, OTHER = 65533 };
    if (geteuid() != 0)
        skip();
    harness_open(&h, NULL, NULL);
    assert_int_equal(chmod(h.dir, 0711), 0);
    assert_int_equal(knock_as(RUNNERS, CTL_ROLE_RUNNER), 1 + ERR_DENIED); /* it was not asked for */
    harness_sweep(&h);
    struct guard_options options = {.runner_users = {1234, RUNNERS}, .runner_user_count = 2};
    harness_open(&h, &options, NULL);
    assert_int_equal(chmod(h.dir, 0711), 0);
    assert_int_equal(knock_as(RUNNERS, CTL_ROLE_RUNNER), 0);
    for (uint32_t role = CTL_ROLE_CLIENT; role < CTL_ROLE_END; role++)
        if (role != CTL_ROLE_RUNNER)
            assert_int_equal(knock_as(RUNNERS, (enum ctl_role)role), 1 + ERR_DENIED);
    assert_int_equal(knock_as(OTHER, CTL_ROLE_RUNNER), 1 + ERR_UNREACHABLE);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY); /* an e-stop mirror that was refused is none */
    harness_sweep(&h);
}

/* ---- descriptors ---- */

/* Room for an agent and a runner, hardly more. */
static void leave_few_descriptors(void)
{
    struct rlimit few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &few), 0);
    int room = 10;
    for (few.rlim_cur = 0; room > 0; few.rlim_cur++)
        room -= fcntl((int)few.rlim_cur, F_GETFD) < 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

/* Nobody gets in any more, who is in is served, and the door opens again. */
static void it_lives_without_descriptors(void **state)
{
    struct err err = {0};
    int socks[14];
    harness_open(&h, NULL, leave_few_descriptors);
    for (size_t i = 0; i < ARRAY_LEN(socks); i++)
        assert_ok(ctl_dial(h.dir, &socks[i], &err), err);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
    for (size_t i = 0; i < ARRAY_LEN(socks); i++)
        close(socks[i]);
    for (int i = 0; i < 30; i++) /* by then it has seen them all go */
        assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
    struct puppet p;
    puppet_open(&p, &h, 1);
    puppet_close(&p);
    harness_sweep(&h);
}

/* ---- its log ---- */

static void make_log_lines(int count)
{
    for (int i = 0; i < count; i++) {
        struct err err = {0};
        int sock = -1;
        assert_ok(ctl_dial(h.dir, &sock, &err), err);
        assert_int_equal(send(sock, "nonsense", 8, 0), 8);
        close(sock);
        (void)harness_status(&h); /* it has gone on */
    }
}

static int log_reader;

static void forget_log_reader(void)
{
    close(log_reader);
}

/* A guard whose stderr is a pipe; the reading end is here and nowhere else. */
static int open_with_log_pipe(void)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && pipe2(ends, O_CLOEXEC) == 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_reader = ends[0];
    harness_open(&h, NULL, forget_log_reader);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    return ends[0];
}

static void it_outlives_the_reader_of_its_log(void **state)
{
    close(open_with_log_pipe());
    make_log_lines(3);
    assert_int_equal(harness_close(&h), 0);
    harness_sweep(&h);
}

static void it_does_not_wait_for_the_reader_of_its_log(void **state)
{
    int log = open_with_log_pipe();
    assert_int_equal(fcntl(log, F_SETPIPE_SZ, 4096), 4096);
    make_log_lines(200);
    assert_int_equal(harness_close(&h), 0);
    close(log);
    harness_sweep(&h);
}

/* ---- limits ---- */

static void admit_with_limit(uint64_t generation, uint32_t deadline_us)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ADMIT);
    message.generation = generation;
    message.release = harness_release(generation);
    message.limits = (struct ctl_limits){.deadline_us = deadline_us, .max_detections = 4, .label_count = 3};
    assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
}

/* A frame that the fallback inherits has the fallback's time, not the primary's. */
static void a_fallback_is_held_to_its_own_deadline(void **state)
{
    struct puppet primary, spare;
    struct muster_verdict verdict;
    harness_open(&h, NULL, NULL);
    puppet_open(&primary, &h, 1);
    puppet_open(&spare, &h, 2);
    admit_with_limit(1, 60000000);
    admit_with_limit(2, 1);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    puppet_take_stream(&spare);
    uint64_t seq = frame_send(&h, 20000);
    harness_until(&h, status, status.runners[0].counters.frames == 1);
    puppet_close(&primary);
    harness_until(&h, status, status.state == GUARD_FALLBACK);
    struct ring_result result = puppet_result(&spare, seq);
    puppet_say(&spare, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_DEADLINE);
    puppet_close(&spare);
    harness_sweep(&h);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return play_agent(argv[1]);
    if (argc == 3)
        return play_crowd(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runner_cannot_give_orders),
        cmocka_unit_test(nor_under_another_name_behind_walls),
        cmocka_unit_test(a_runner_behind_walls_serves),
        cmocka_unit_test(a_runner_cannot_keep_a_human_out),
        cmocka_unit_test(the_runners_user_may_be_a_runner_and_nothing_else),
        cmocka_unit_test(it_lives_without_descriptors),
        cmocka_unit_test(it_outlives_the_reader_of_its_log),
        cmocka_unit_test(it_does_not_wait_for_the_reader_of_its_log),
        cmocka_unit_test(a_fallback_is_held_to_its_own_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
