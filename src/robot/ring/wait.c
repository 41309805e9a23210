/* Waiting for the bell: what robot programs and runners do. The guard never sleeps on a ring. */
#include "base/clock.h"
#include "robot/ring/region.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RELAX_PAUSES = 16, LOOKS_SHARED = 32, LOOKS_ALONE = 40000 /* a millisecond */ };

/* True if it rang. */
static bool look_out(const struct ring *ring, uint32_t seen, int64_t until_ns)
{
    while (clock_mono_ns() < until_ns) {
        for (int i = 0; i < 16; i++) {
            if (ring_bell(ring) != seen)
                return true;
            /* A while that leaves the core's execution units to its sibling thread, on which the very model may run
             * that is waited for. */
            for (int pauses = 0; pauses < RELAX_PAUSES; pauses++)
                ring_relax();
        }
    }
    return ring_bell(ring) != seen;
}

void ring_wait(const struct ring *ring, uint32_t seen, int64_t until_ns, int64_t spin_ns)
{
    if (spin_ns > 0) {
        int64_t spin_until_ns = clock_mono_ns() + spin_ns;
        if (look_out(ring, seen, spin_until_ns < until_ns ? spin_until_ns : until_ns))
            return;
    }
    struct region_bell *bell = (struct region_bell *)(void *)(ring->base + REGION_BELL);
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    if (until_ns > 0)
        syscall(SYS_futex, &bell->bell, FUTEX_WAIT_BITSET, seen, &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Whether the one who rang last shares this core: then it rang while we had yielded. Where it does not, yielding is only a
 * loss, and to whoever else wants this core a gift of milliseconds. */
static _Thread_local bool shares_core;

void ring_spin(const struct ring *ring, uint32_t seen, int64_t until_ns)
{
    while (ring_bell(ring) == seen && clock_mono_ns() < until_ns) {
        int looks = shares_core ? LOOKS_SHARED : LOOKS_ALONE;
        while (looks-- > 0) {
            if (ring_bell(ring) != seen) {
                shares_core = false;
                return;
            }
            ring_relax();
        }
        sched_yield();
        shares_core |= ring_bell(ring) != seen;
    }
}
