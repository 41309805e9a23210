/* The guard stands on its own: runners cannot give it orders, whoever keeps its log cannot stop it, and each
 * generation is held to its own limits. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <fcntl.h>
#include <signal.h>
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

static int run_as(const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", h.dir, name);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0 && fstat(from, &st) == 0);
    assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
    close(from);
    close(to);
    pid_t pid = fork();
    if (pid == 0) {
        execl(path, name, h.dir, (char *)NULL);
        _exit(3);
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
    assert_int_equal(run_as("muster-agent"), 0);
    assert_int_equal(run_as("muster-runner"), 1);
    assert_int_equal(run_as("muster-runner-2"), 1);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runner_cannot_give_orders),
        cmocka_unit_test(it_outlives_the_reader_of_its_log),
        cmocka_unit_test(it_does_not_wait_for_the_reader_of_its_log),
        cmocka_unit_test(a_fallback_is_held_to_its_own_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
