/* Fires a callback from another thread when something takes longer than it may; made for being armed per frame.
 *
 *     arm(deadline) ── work ── disarm()          in time: no system call, neither side wakes the other
 *           │
 *           └── deadline passes ──▶ fire(arg)    from the watchdog's thread, before disarm() returns true
 *
 * The thread sleeps until the deadline that it knew last. Frames that keep a pace push their deadlines ahead of it, so it
 * wakes about once per deadline, not once per frame; after a wake-up without work since the last it sleeps for good, and the next
 * arm() wakes it (one system call). One thread arms and disarms; deadlines are CLOCK_MONOTONIC.
 */
#ifndef MUSTER_INFER_WATCHDOG_H
#define MUSTER_INFER_WATCHDOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct watchdog;

int watchdog_start(void (*fire)(void *arg), void *arg, struct watchdog **out, struct err *err) must_check;
void watchdog_stop(struct watchdog *watchdog); /* NULL is fine; must be disarmed */

void watchdog_arm(struct watchdog *watchdog, int64_t now_ns, int64_t deadline_ns);
/* True if it fired since it was armed. After this it does not fire any more. */
bool watchdog_disarm(struct watchdog *watchdog);

/* How often arm() had to wake the thread. */
uint64_t watchdog_wakes(const struct watchdog *watchdog);

#endif
