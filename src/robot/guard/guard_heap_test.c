/* The guard allocates nothing after its set-up: with a trap in every allocation function it serves runners,
 * robot programs, switches, crashes and nonsense, and still ends by itself. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <errno.h>
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

static void a_life_without_heap(void **state)
{
    struct harness h;
    struct muster_verdict verdict;
    struct err err = {0};
    harness_open(&h, NULL, arm);
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
    assert_ok(harness_order(&h, CTL_RETIRE, 1, 0, &err), err);
    assert_ok(harness_order(&h, CTL_RETIRE, 2, 0, &err), err);
    waitpid(spare, NULL, 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, 20000), &verdict), MUSTER_SAFE);
    int status = harness_close(&h);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
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
                                       cmocka_unit_test(a_life_without_heap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
