#include "sim/robot/rhythm.h"
#include "base/mem.h"
#include "muster/muster.h"

#include <errno.h>
#include <time.h>

struct rhythm rhythm_of(double per_second)
{
    return (struct rhythm){.period_ns = (int64_t)(1e9 / per_second), .next_ns = muster_now_ns()};
}

static void sleep_until(int64_t until_ns, const volatile sig_atomic_t *stop)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    while (!*stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

void rhythm_wait(struct rhythm *rhythm, const volatile sig_atomic_t *stop)
{
    rhythm->next_ns = MAX(rhythm->next_ns + rhythm->period_ns, muster_now_ns());
    sleep_until(rhythm->next_ns, stop);
}
