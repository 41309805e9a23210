/* Who may tell this robot what: leases and ranks, pure. The guard asks here before a human's command reaches the state
 * machine (guard_fsm.h), which then says whether it means anything in this state.
 *
 *   rank      LOCAL (stands at the robot, talks to the guard's own socket) > REMOTE (signed, through the agent)
 *   STOP      anybody, always.
 *   OVERRIDE  gives a lease: a new number (they only grow, over reboots too), good for ttl_ms. One holder at a time: while
 *             a lease is held it is refused, but a local operator takes over a remote one's, and the old number is void.
 *   RENEW     only the current number, before it ran out.
 *   While a lease is held every command but STOP wants its number, or a higher rank: nobody is overruled behind his back.
 *   A command that bears another number than the current one is refused whatever it wants (STOP excepted): it was meant
 *   for another moment. So a delayed, doubled or replayed command of an old lease does nothing.
 *   Not renewed in time (a lost link is that): LEASE_LOST, which the table sends to SAFE_STOP, never to AUTO.
 *   Local word  What a local operator has put in force (HOLD, FALLBACK, STOP, SERVICE, OVERRIDE) only a local one takes
 *             back; a remote one may still make it more severe. As with a padlock on a switch: whoever works at the robot
 *             is not started upon from afar. It ends with the latch.
 *
 * A number is a fence, not a secret: who may send commands at all is not judged here.
 *
 * Time is the guard's CLOCK_MONOTONIC: a stepped wall clock changes nothing. After a restart of the guard nobody holds a
 * lease; the state OVERRIDE is restored as SAFE_STOP (oversight_restore). Numbers go on where they were, and the local
 * word stays: both are kept with the state.
 *
 * The guard's duties, in this order, for every event:  expired? → command → step → oversight_follow(the new state).
 */
#ifndef MUSTER_ROBOT_DECIDE_OVERSIGHT_H
#define MUSTER_ROBOT_DECIDE_OVERSIGHT_H

#include "base/err.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/guard_fsm.h"

enum oversight_rank { OVERSIGHT_REMOTE, OVERSIGHT_LOCAL };
enum { OVERSIGHT_MIN_TTL_MS = 200, OVERSIGHT_MAX_TTL_MS = 60000 };

struct oversight {
    uint64_t lease;           /* the newest number ever given; kept over restarts */
    bool held;                /* by `rank` until until_ns */
    bool local_word;          /* what stands now was put in force at the robot itself; kept over restarts */
    enum oversight_rank rank; /* of the holder */
    int64_t until_ns;
};

/* What an accepted command does, for the guard to carry out. */
struct oversight_effect {
    enum guard_event event;
    enum guard_state next;
};

/* Judges a command; changes *oversight only if it returns 0. `state` is the guard's; *out is what follows.
 * Errors: DENIED (a lease of somebody else, or a local operator's word), CONFLICT (an old lease number, a lease that has run
 * out, or the state does not know this command: with what would be needed), INVALID (ttl out of range, unknown verb). */
int oversight_command(struct oversight *oversight, enum guard_state state, const struct ctl_command *command,
                      enum oversight_rank rank, int64_t now_ns, struct oversight_effect *out,
                      struct err *err) must_check;

/* True once when a held lease has run out: raise GUARD_EV_LEASE_LOST. */
bool oversight_expired(struct oversight *oversight, int64_t now_ns);

/* After every step of the state machine, whatever caused it: a lease ends with the state OVERRIDE, the local word with the
 * latch. */
void oversight_follow(struct oversight *oversight, enum guard_state state);

/* The state to come back to after a restart, from the one that was kept: latched ones stay, OVERRIDE becomes SAFE_STOP,
 * everything that does not outlive a restart INIT; what is no state at all SAFE_STOP. */
enum guard_state oversight_restore(uint32_t kept_state);

enum guard_event oversight_event(enum ctl_verb verb);
const char *oversight_verb_name(enum ctl_verb verb); /* "override" */
bool oversight_verb_parse(const char *text, enum ctl_verb *out);

#endif
