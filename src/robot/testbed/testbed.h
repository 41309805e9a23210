/* The operating system in a test's hands: any system call fails when the test wants it to, and the clock stands still until
 * the test lets it go on.
 *
 *     for (unsigned nth = 1; testbed_fail(nth, EIO); nth++) {   // every call that this makes, one after the other
 *         done = ring_create(...);
 *         if (!testbed_stop())
 *             break;                                            // it made fewer than that: all have failed once
 *         assert(done < 0 && nothing is left open);
 *     }
 *
 * A test that links muster_testbed has the functions of testbed_calls.def exchanged at link time (-Wl,--wrap), in what it tests
 * and in itself. As long as nothing is armed they do what they always do. One process, one thread.
 */
#ifndef MUSTER_ROBOT_TESTBED_H
#define MUSTER_ROBOT_TESTBED_H

#include <stdbool.h>
#include <stdint.h>

/* The nth call from now on fails with this errno, once; waiting by epoll does not count. Always true. */
bool testbed_fail(unsigned nth, int error);
/* Of this function only, and then `times` times in a row. System calls without a function of their own: "pidfd_open",
 * "epoll_pwait2", "futex". */
void testbed_fail_call(const char *name, unsigned nth, unsigned times, int error);
/* Nothing fails any more. True if something did since it was armed. */
bool testbed_stop(void);
/* From now on nothing is counted and nothing fails, or again: what the test itself calls in between is not meant. */
void testbed_pause(bool paused);
/* What failed last. */
const char *testbed_failed(void);
/* A call that transfers bytes (pwrite, pread): short instead of failing. */
void testbed_short(const char *name, unsigned nth);
/* How often it was called since testbed_fail, testbed_fail_call or testbed_short. */
unsigned testbed_count(const char *name);

/* mlockall, sched_setscheduler and madvise succeed and do nothing if they are asked for what the guard wants of them.
 * clock_mono_ns from now on: this, until it is set again. 0: the real one. While it stands still epoll never sleeps, nor do
 * futexes; kills are counted and not sent; memory is neither locked nor is anybody made real-time. */
void testbed_clock_set(int64_t mono_ns);
int64_t testbed_clock(void);
void testbed_wall_set(int64_t wall_ms); /* 0: the real one */
/* How long the last epoll would have slept; -1: it had something to tell at once. */
int64_t testbed_slept_ns(void);
unsigned testbed_kills(void); /* since the clock stands still */

/* Whoever is at the other end of a socket (SO_PEERCRED): this user, until it is set again, pauses excepted. -1: the real one. */
void testbed_peer(int64_t uid);
/* The nth readlink from now on: this. */
void testbed_link(unsigned nth, const char *target);

/* Every line of the log since testbed_listen, of every level, as "info text\n"; pauses excepted. */
void testbed_listen(void);
const char *testbed_said(void);

/* Open descriptors of this process, and mappings of memfds. */
int testbed_fds(void);
int testbed_mappings(void);

#endif
