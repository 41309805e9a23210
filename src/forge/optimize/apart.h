/* Work in a process of its own: its memory goes back with it, and what crashes or hangs there takes nobody along.
 *
 *     apart_run ──fork──▶ child: work(arg, self) ── apart_tell(self, …), err ──▶ shared page ──▶ the caller's progress function
 *         ▲                └─ ends: 0, or -1 with *err as work left it
 *         └── killed if progress says stop, if the time is up, or if this process dies
 *
 * What the work has to hand back goes into a file, or into memory of apart_memory. Call it from the main thread.
 */
#ifndef MUSTER_FORGE_OPTIMIZE_APART_H
#define MUSTER_FORGE_OPTIMIZE_APART_H

#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct apart; /* the child's side of the page */

struct apart_job {
    int (*work)(void *arg, struct apart *self, struct err *err); /* in the child */
    void *work_arg;
    int64_t timeout_ms; /* 0: none */
    /* Here, some times a second; -1 stops the child. NULL: nobody looks. */
    int (*progress)(void *arg, const char *what, size_t done, size_t total, struct err *err);
    void *arg;
};

/* Errors: those of `work`; TIMEOUT; REFUSED if the child died of a signal (names it); those of `progress`. */
int apart_run(const struct apart_job *job, struct err *err) must_check;

/* As a progress function for the steps, with the child's `self` as arg. Never stops. */
int apart_tell(void *self, const char *what, size_t done, size_t total, struct err *err);

/* Zeroed memory that children share. NULL: out of memory. */
void *apart_memory(size_t bytes);
void apart_memory_free(void *memory, size_t bytes);

#endif
