#include "infer/watchdog.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

/* What `state` holds besides a deadline. */
enum { DISARMED = 0, FIRING = -1, FIRED = -2 };

/* The shortest nap, so that deadlines that passed already keep nobody busy. */
static const int64_t min_nap_ns = 1000000;

struct watchdog {
    void (*fire)(void *);
    void *arg;
    pthread_t thread;
    _Atomic int64_t state;    /* a deadline, or one of the above */
    _Atomic int64_t budget;   /* how far ahead the last deadline was */
    _Atomic int64_t wakes_at; /* the thread looks again then at the latest */
    _Atomic uint32_t bell;    /* futex word */
    _Atomic uint64_t arms;
    uint64_t wakes;
    _Atomic bool stop;
};

static void ring(struct watchdog *watchdog)
{
    atomic_fetch_add(&watchdog->bell, 1);
    syscall(SYS_futex, &watchdog->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void sleep_until(struct watchdog *watchdog, uint32_t seen, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    syscall(SYS_futex, &watchdog->bell, FUTEX_WAIT_BITSET_PRIVATE, seen,
            until_ns == INT64_MAX ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Fires if it is time. True: look again at once. */
static bool look(struct watchdog *watchdog, int64_t now_ns)
{
    int64_t deadline = atomic_load(&watchdog->state);
    if (deadline <= 0 || now_ns < deadline)
        return false;
    if (atomic_compare_exchange_strong(&watchdog->state, &deadline, FIRING)) {
        watchdog->fire(watchdog->arg);
        atomic_store(&watchdog->state, FIRED);
    }
    return true;
}

/* Not later than any deadline that may be set meanwhile, if deadlines stay as far ahead as they are. */
static int64_t next_look(const struct watchdog *watchdog, int64_t now_ns, bool idle)
{
    int64_t deadline = atomic_load(&watchdog->state);
    if (deadline > 0)
        return deadline;
    if (idle)
        return INT64_MAX;
    return now_ns + MAX(atomic_load(&watchdog->budget), min_nap_ns);
}

static void *watch(void *arg)
{
    struct watchdog *watchdog = arg;
    uint64_t arms_seen = 0;
    prctl(PR_SET_NAME, "watchdog");
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (!atomic_load(&watchdog->stop)) {
        uint32_t bell = atomic_load(&watchdog->bell);
        int64_t now_ns = clock_mono_ns();
        if (look(watchdog, now_ns))
            continue;
        uint64_t arms = atomic_load(&watchdog->arms);
        int64_t until = next_look(watchdog, now_ns, arms == arms_seen);
        arms_seen = arms;
        atomic_store(&watchdog->wakes_at, until);
        int64_t deadline = atomic_load(&watchdog->state); /* after wakes_at was told: see watchdog_arm */
        if (deadline > 0 && deadline < until)
            continue;
        sleep_until(watchdog, bell, until);
    }
    return NULL;
}

int watchdog_start(void (*fire)(void *arg), void *arg, struct watchdog **out, struct err *err)
{
    struct watchdog *watchdog = mem_zalloc(1, sizeof *watchdog);
    if (!watchdog)
        return err_no_memory(err);
    watchdog->fire = fire;
    watchdog->arg = arg;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the main thread's */
    int code = pthread_create(&watchdog->thread, NULL, watch, watchdog);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code) {
        free(watchdog);
        errno = code;
        return err_errno(err, "cannot start the watchdog");
    }
    *out = watchdog;
    return 0;
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    atomic_store(&watchdog->stop, true);
    ring(watchdog);
    pthread_join(watchdog->thread, NULL);
    free(watchdog);
}

void watchdog_arm(struct watchdog *watchdog, int64_t now_ns, int64_t deadline_ns)
{
    atomic_store(&watchdog->budget, deadline_ns - now_ns);
    atomic_fetch_add(&watchdog->arms, 1);
    atomic_store(&watchdog->state, MAX(deadline_ns, 1));
    if (deadline_ns < atomic_load(&watchdog->wakes_at)) {
        watchdog->wakes++;
        ring(watchdog);
    }
}

bool watchdog_disarm(struct watchdog *watchdog)
{
    for (;;) {
        int64_t state = atomic_load(&watchdog->state);
        if (state == FIRING)
            sched_yield();
        else if (atomic_compare_exchange_strong(&watchdog->state, &state, DISARMED))
            return state == FIRED;
    }
}

uint64_t watchdog_wakes(const struct watchdog *watchdog)
{
    return watchdog->wakes;
}
