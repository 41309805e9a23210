/* The guard allocates nothing after its set-up: with a trap in every allocation function it serves runners,
 * robot programs, switches, crashes, humans and nonsense, and still ends by itself. And once warm it touches no page that is
 * not there. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRAPS 0 /* a sanitizer brings an allocator of its own */
#else
#define TRAPS 1
#endif

static volatile bool armed;

#if TRAPS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static void trap(void)
{
    static const char text[] = "the guard allocated memory after its set-up\n";
    if (!armed)
        return;
    armed = false;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(99);
}

void *malloc(size_t size)
{
    trap();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    trap();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    trap();
    return __libc_realloc(old, size);
}
#endif

static void arm(void)
{
    armed = true;
}

/* The trap itself must be able to spring. */
static void arm_and_allocate(void)
{
    armed = true;
    void *volatile memory = malloc(10);
    free(memory);
}

static void command(struct harness *h, enum ctl_verb verb)
{
    struct ctl_command order = {.verb = verb, .who = "ann", .reason = "a test"};
    struct err err = {0};
    assert_ok(ctl_command(h->agent, &order, PATIENCE_MS, NULL, &err), err);
}

static void a_life_without_heap(void **state)
{
    struct harness h;
    struct muster_verdict verdict;
    struct err err = {0};
    char state_dir[] = "/tmp/muster-state-XXXXXX", latch[64];
    assert_non_null(mkdtemp(state_dir));
    struct guard_options options = {.state_dir = state_dir};
    harness_open(&h, &options, arm);
    pid_t primary = actor_start(&h, 1, ACT_WELL), spare = actor_start(&h, 2, ACT_WELL);
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_until(&h, status, status.runners[0].connected && status.runners[1].connected);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    for (int i = 0; i < 50; i++)
        assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_OK);
    kill(primary, SIGKILL);
    waitpid(primary, NULL, 0);
    harness_until(&h, status, status.state == GUARD_FALLBACK);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_FALLBACK);
    command(&h, CTL_VERB_STOP);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_SAFE);
    command(&h, CTL_VERB_RESET);
    command(&h, CTL_VERB_RESTART);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_FALLBACK);
    assert_ok(harness_order(&h, CTL_RETIRE, 1, 0, &err), err);
    assert_ok(harness_order(&h, CTL_RETIRE, 2, 0, &err), err);
    waitpid(spare, NULL, 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_SAFE);
    int status = harness_close(&h);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    harness_sweep(&h);
    snprintf(latch, sizeof latch, "%s/guard.latch", state_dir);
    unlink(latch);
    rmdir(state_dir);
}

/* Minor and major faults of a process so far. */
static unsigned long long faults_of(pid_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, text, sizeof text - 1);
    assert_true(len > 0);
    text[len] = 0;
    unsigned long long minor = 0, major = 0;
    const char *rest = strrchr(text, ')');
    assert_non_null(rest);
    assert_int_equal(sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &minor, &major), 2);
    return minor + major;
}

static void a_warm_guard_faults_on_no_page(void **state)
{
    struct harness h;
    struct muster_verdict verdict;
    if (!TRAPS)
        skip(); /* a sanitizer's shadow memory comes page by page */
    harness_open(&h, NULL, NULL);
    pid_t primary = actor_start(&h, 1, ACT_WELL);
    harness_admit(&h, 1);
    harness_until(&h, status, status.runners[0].connected);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    for (int i = 0; i < 100; i++)
        assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_OK);
    unsigned long long before = faults_of(h.guard);
    assert_true(before > 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_OK);
    assert_int_equal(faults_of(h.guard), before);
    kill(primary, SIGKILL);
    waitpid(primary, NULL, 0);
    harness_sweep(&h);
}

static void the_trap_springs(void **state)
{
    if (!TRAPS)
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        arm_and_allocate();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_trap_springs),
                                       cmocka_unit_test(a_life_without_heap),
                                       cmocka_unit_test(a_warm_guard_faults_on_no_page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
