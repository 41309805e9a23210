/* What is wanted on a robot against what the guard says there is: the difference as orders. Pure.
 *
 * Level-triggered: nothing is remembered between two calls, so guard, runners and agent may die at any
 * instant and every order may be given twice. Wanted items are listed in the order in which they should
 * answer: the first that has a live runner answers, the one behind it is its hot fallback. An item on `standby` is
 * loaded and may shadow, but never answers.
 *
 *   1. ADMIT      a wanted generation that the guard does not know
 *   2. SPAWN      its runner, if none is connected and none is on its way; KILL one that is on its way for
 * too long. One that has to be `alone` waits until everything that is not wanted has left the memory
 *   3. SHADOW     a live standby that still has frames to compute beside the one that answers
 *   4. ACTIVATE   the first live one, at the end of a sequence if it says so. A live runner of the same release under
 * an older generation stands in until the wanted one is there (a rollback answers at once). A release that is wanted
 * no more is taken away even if nothing can take its place: then the safe state answers.
 *   5. RETIRE     what is neither wanted nor answering
 *
 * A human stands above all this: while he has the fallback answer (GUARD_FORCED), it stays what it is, but for a way
 * back that leads to that very release. In the other states of his, ACTIVATE changes only what answers afterwards.
 */
#ifndef MUSTER_ROBOT_AGENT_RECONCILE_H
#define MUSTER_ROBOT_AGENT_RECONCILE_H

#include "robot/ctl/ctl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WANTED_MAX = 3, RECONCILE_MAX_ORDERS = 4 * WANTED_MAX + CTL_MAX_RUNNERS + 1 };

struct wanted_item {
    uint64_t generation;
    struct digest release;
    struct ctl_limits limits;
    bool standby; /* never answers */
    bool patient; /* no runner is started for it yet; one that is there stays */
    bool alone;   /* started only when nothing unwanted is loaded any more */
    bool
        at_sequence_end; /* activated after a frame that ends a sequence, if another one answers until then */
    uint32_t shadow;     /* standby: live frames it has to compute in all */
    bool runner_on_its_way; /* a process of ours runs for it */
    bool runner_overdue;    /* ... and should have been connected long ago */
    bool may_spawn;         /* the back-off is over */
};

struct wanted {
    bool unknown; /* what should run cannot be read now: all is left as it is */
    bool leaving; /* a runner that was told to go has not gone yet */
    size_t count;
    struct wanted_item items[WANTED_MAX];
};

enum order_kind { ORDER_ADMIT, ORDER_SPAWN, ORDER_KILL, ORDER_SHADOW, ORDER_ACTIVATE, ORDER_RETIRE };

struct order {
    enum order_kind kind;
    uint64_t generation; /* ACTIVATE: 0 takes the active one away */
    uint64_t fallback;   /* ACTIVATE */
    uint32_t count;      /* SHADOW: frames; ACTIVATE: 1: at the end of a sequence */
    size_t item;         /* ADMIT, SPAWN, KILL: index into wanted.items */
};

struct orders {
    size_t count;
    struct order items[RECONCILE_MAX_ORDERS];
};

void reconcile(const struct wanted *wanted, const struct ctl_status *status, struct orders *out);

#endif
