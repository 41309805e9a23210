/* The world around the guard, for Spin (scripts/spin): everything that may happen to it, in any order.
 *
 * What is checked is the program itself: judgements are made by oversight.c and guard_fsm.c, compiled into the checker, and
 * every move they make is compared with the table that guard-export wrote in Promela. Written here is only what surrounds
 * them: the guard's shell (what it does after a judgement, and in which order with the disk) and the world.
 *
 * Operators and their links  Two operators afar and one beside the robot. A link may lose, delay, double and reorder, and an
 *     old message may be played again. So at any time any command that anybody could ever have sent may arrive: any verb,
 *     from afar or from beside, with no lease number, the current one, or one that is not (given before, or never). There is
 *     no queue in the model because this is what a queue with all those faults comes to.
 * Lease numbers  Only compared with the current one, told from 0, and counted up (oversight.c): so they are kept relative
 *     to the current one, and the check is good for any number of leases.
 * Time  The guard's clock is CLOCK_MONOTONIC. All that counts is what is left of the lease, in ticks of the clock process;
 *     no other clock is an input, so a wall clock that jumps has nothing to act upon. After a restart the clock may be any.
 * Power  The guard may die between any two steps, also between its judgement, the file and the reply; the file is old or
 *     new (it is replaced by rename), or damaged, which must end in SAFE_STOP.
 * Fairness (liveness only)  A process that can always take a step takes one at last: the guard looks at its inputs, the
 *     clock ticks. Everybody else may do nothing for ever (`rest`): a property says itself what it wants of them.
 */
#include "guard_table.pml"

c_decl {
\#include "robot/decide/oversight.h"
\#include <string.h>
};

#define NOBODY 0
#define READY 1
#define POOR 2 /* live, but degraded */
#define NO_EVENT EVENTS
#define LATCHED(s) ((s) >= S_FORCED) /* compared with the program in init */

/* The number that a command bears, or the newest that anybody was told of, seen from the current one. AHEAD: the guard
 * has forgotten a number that somebody was told. */
#define NUM_NONE 0
#define NUM_VOID 1
#define NUM_CURRENT 2
#define NUM_AHEAD 3

/* What the guard has in memory: the state and struct oversight. */
byte state = S_INIT;
bool held, local_word, holder_local;
byte left; /* ticks of the lease */

/* What the file says. behind: the lease number in memory is newer than the file's. */
byte kept = S_INIT;
bool kept_word, behind;
byte told = NUM_NONE;

/* What is live, and the button. seen: what the guard knows of it. */
byte primary = NOBODY;
bool fallback, pressed, seen;

/* Where the guard is in its work. WRITING: the judgement is in force, the file is old. LEAVING: a latch is left, the file
 * comes first. ANSWERING: the human is told. SHOWN: all is done, what happened can still be seen. */
mtype = { IDLE, WRITING, LEAVING, ANSWERING, SHOWN };
mtype phase = IDLE;
byte target = S_INIT; /* of the last step */
bool gave; /* an OVERRIDE is to be answered, with its number */

/* What happened in the last step, for the properties. */
byte last = NO_EVENT; /* the event that was raised or asked for; ok: accepted */
bool ok, by_local, was_held, was_local, was_over, crashed, damaged;
byte number = NUM_NONE, before = S_INIT;
byte answer = 0;

/* What must never happen, noticed where it would. */
bool dropped;   /* less severe, by an event that clears nothing */
bool meddled;   /* refused, and yet something changed */
bool reused;    /* a number was given again that somebody was told before */
bool overruled; /* a command from afar made less severe what a local one had put there */
byte holders;   /* how many different numbers would be renewed now */

hidden byte ev;
hidden byte agrees, rest;

/* The program itself. 10 is the current number. */
c_code {
    enum { CURRENT = 10, TICK_MS = 30000 };

    static struct oversight load(void)
    {
        struct oversight it;
        memset(&it, 0, sizeof it);
        it.lease = CURRENT;
        it.held = now.held;
        it.local_word = now.local_word;
        it.rank = now.holder_local ? OVERSIGHT_LOCAL : OVERSIGHT_REMOTE;
        it.until_ns = (int64_t)now.left * TICK_MS * 1000000;
        return it;
    }

    static void store(const struct oversight *it)
    {
        now.held = it->held;
        now.local_word = it->local_word;
        now.holder_local = it->held && it->rank == OVERSIGHT_LOCAL;
        now.left = it->held ? (unsigned char)(it->until_ns / 1000000 / TICK_MS) : 0;
        if (it->lease == CURRENT)
            return;
        now.reused = now.reused || it->lease < CURRENT || now.told == 3;
        now.behind = 1;
        now.told = now.told == 0 ? 0 : 1;
    }

    static struct ctl_command words(unsigned verb, uint64_t lease)
    {
        struct ctl_command command;
        memset(&command, 0, sizeof command);
        command.verb = verb;
        command.lease = lease;
        command.ttl_ms = 2 * TICK_MS;
        return command;
    }

    static int judged(struct oversight *it, unsigned verb, uint64_t lease, int local, struct oversight_effect *out)
    {
        struct err err;
        struct ctl_command command = words(verb, lease);
        return oversight_command(it, (enum guard_state)now.state, &command,
                                 local ? OVERSIGHT_LOCAL : OVERSIGHT_REMOTE, 0, out, &err);
    }

    static void judge(unsigned verb, int local, unsigned number)
    {
        struct oversight it = load(), old = it;
        struct oversight_effect effect = {GUARD_EVENT_COUNT, GUARD_INIT};
        now.ok = judged(&it, verb, number == 2 ? CURRENT : number == 1 ? CURRENT - 1 : 0, local, &effect) == 0;
        now.last = oversight_event((enum ctl_verb)verb);
        now.target = now.ok ? effect.next : now.state;
        now.gave = now.ok && verb == CTL_VERB_OVERRIDE;
        now.meddled = now.meddled || (!now.ok && memcmp(&it, &old, sizeof it) != 0);
        now.overruled = now.overruled || (now.local_word && !local && guard_fsm_severity((enum guard_state)now.target) <
                                                                          guard_fsm_severity((enum guard_state)now.state));
        now.reused = now.reused || (now.gave && it.lease == CURRENT && now.told >= 2);
        if (now.ok)
            store(&it);
    }

    static void follow(void)
    {
        struct oversight it = load();
        oversight_follow(&it, (enum guard_state)now.state);
        store(&it);
    }

    static void run_out(void)
    {
        struct oversight it = load();
        now.ok = oversight_expired(&it, 0);
        store(&it);
    }

    static void compare(void)
    {
        enum guard_state from = (enum guard_state)now.state, to = (enum guard_state)now.target;
        agrees = guard_fsm_step(from, (enum guard_event)ev).next == to;
        if (guard_fsm_severity(to) < guard_fsm_severity(from) && !guard_fsm_clears((enum guard_event)ev))
            now.dropped = 1;
    }

    static void look(void)
    {
        struct oversight_effect effect;
        now.answer = guard_fsm_answer((enum guard_state)now.state);
        now.holders = 0;
        for (uint64_t n = CURRENT - 2; n <= CURRENT + 1; n++) {
            struct oversight probe = load();
            now.holders += judged(&probe, CTL_VERB_RENEW, n, 0, &effect) == 0;
        }
    }
};

inline forget()
{
    last = NO_EVENT; ok = false; by_local = false; was_held = false; was_local = false; was_over = false; crashed = false;
    damaged = false; number = NUM_NONE; before = state; gave = false
}

/* The move that the table has for ev: as Spin reads it, and as the program makes it. */
inline find_target()
{
    target = (moves[state * EVENTS + ev] != 0 -> moves[state * EVENTS + ev] - 1 : state);
    c_code { compare(); };
    assert(agrees)
}

inline move(event)
{
    ev = event;
    find_target();
    state = target;
    c_code { follow(); }
}

/* What is live may answer, if the state lets it. */
inline settle()
{
    if
    :: primary == READY -> move(E_PRIMARY_READY)
    :: primary == POOR -> move(E_PRIMARY_DEGRADED)
    :: primary == NOBODY && fallback -> move(E_FALLBACK_READY)
    :: else -> skip
    fi;
    c_code { look(); }
}

/* The verdicts are given; then the file, if it says something else. */
inline conclude()
{
    if
    :: kept == (LATCHED(state) -> state : S_INIT) && kept_word == local_word && !behind -> phase = (gave -> ANSWERING : SHOWN)
    :: else -> phase = WRITING
    fi;
    target = S_INIT
}

inline raise(event)
{
    forget();
    last = event;
    ok = true;
    move(event);
    settle();
    conclude()
}

inline write_file(what)
{
    kept = (LATCHED(what) -> what : S_INIT);
    kept_word = local_word;
    behind = false
}

/* The guard looks at its clock and the button before it takes the next packet. */
#define LOOKS (phase == IDLE || phase == SHOWN)

proctype guard()
{
    do
    :: d_step { LOOKS && held && left == 0 ->
           forget();
           c_code { run_out(); };
           assert(ok);
           raise(E_LEASE_LOST) }
    :: d_step { LOOKS && pressed && !seen -> seen = true; raise(E_ESTOP_PRESSED) }
    :: d_step { LOOKS && !pressed && seen -> seen = false; raise(E_ESTOP_RELEASED) }
    :: d_step { phase == WRITING -> write_file(state); phase = (gave -> ANSWERING : SHOWN) }
    :: d_step { phase == LEAVING ->
           write_file(target);
           state = target;
           c_code { follow(); };
           settle();
           target = S_INIT;
           phase = SHOWN }
    :: atomic { phase == ANSWERING ->
           if
           :: told = NUM_CURRENT
           :: skip /* the reply is lost */
           fi;
           gave = false;
           phase = SHOWN }
    :: d_step { phase == SHOWN && !(held && left == 0) && pressed == seen -> forget(); phase = IDLE }
    od
}

/* The only clock that counts. */
proctype clock()
{
    do
    :: d_step { held && left > 0 -> left--; c_code { look(); } }
    od
}

/* Anybody, from anywhere, with any number. */
proctype operators()
{
    byte verb, n;
    bool beside;
    do
    :: atomic { phase == IDLE ->
           select(verb : 1 .. 9);
           select(n : NUM_NONE .. NUM_CURRENT);
           if
           :: beside = true
           :: beside = false
           fi;
           d_step {
               forget();
               by_local = beside;
               number = n;
               was_held = held;
               was_over = held && left == 0;
               was_local = holder_local;
               c_code { judge(Poperators->verb, Poperators->beside, Poperators->n); };
               if
               :: !ok -> target = S_INIT; gave = false; phase = SHOWN
               :: ok ->
                      ev = last;
                      if
                      :: target == (moves[state * EVENTS + ev] != 0 -> moves[state * EVENTS + ev] - 1 : state) -> skip
                      :: else -> assert(false)
                      fi;
                      find_target();
                      if
                      :: LATCHED(state) && !LATCHED(target) -> phase = LEAVING
                      :: else -> state = target; settle(); conclude()
                      fi
               fi;
               c_code { look(); };
               verb = 0;
               n = 0;
               beside = false
           }
       }
    :: rest = 0
    od
}

/* Agent and runners: what is live comes and goes; the agent takes a release away; frames remain without a result. */
proctype models()
{
    do
    :: d_step { phase == IDLE && primary == NOBODY -> forget(); primary = READY; settle(); conclude() }
    :: d_step { phase == IDLE && primary == NOBODY -> forget(); primary = POOR; settle(); conclude() }
    :: d_step { phase == IDLE && primary != NOBODY -> primary = NOBODY; raise(E_PRIMARY_LOST) }
    :: d_step { phase == IDLE && !fallback -> forget(); fallback = true; settle(); conclude() }
    :: d_step { phase == IDLE && fallback -> fallback = false; raise(E_FALLBACK_LOST) }
    :: d_step { phase == IDLE && (primary != NOBODY || fallback) -> primary = NOBODY; fallback = false; raise(E_DEACTIVATED) }
    :: d_step { phase == IDLE -> raise(E_FAULT) }
    :: rest = 0
    od
}

/* The emergency stop of the robot. */
proctype button()
{
    do
    :: pressed = !pressed
    :: rest = 0
    od
}

/* kill -9, or no more power, at any instant; with the file as it is, or damaged. */
inline start_again(from)
{
    d_step {
        forget();
        told = (behind && told == NUM_CURRENT -> NUM_AHEAD : told);
        behind = false;
        held = false; holder_local = false; left = 0;
        local_word = kept_word;
        state = from;
        primary = NOBODY; fallback = false;
        seen = (state == S_ESTOP);
        phase = IDLE;
        move(E_STARTED);
        settle();
        conclude();
        crashed = true
    }
}

proctype power()
{
    do
    :: atomic { true -> c_code { ev = oversight_restore(now.kept); }; start_again(ev) }
    :: atomic { true -> c_code { ev = oversight_restore(GUARD_STATE_COUNT); }; start_again(ev); damaged = true }
    :: rest = 0
    od
}

init
{
    d_step {
        guard_table();
        c_code {
            for (int s = 0; s < GUARD_STATE_COUNT; s++)
                if (guard_fsm_latched((enum guard_state)s) != (s >= GUARD_FORCED))
                    now.dropped = 1;
        };
        assert(dropped == false); /* LATCHED above */
        move(E_STARTED);
        settle()
    }
    atomic { run guard(); run clock(); run operators(); run models(); run button(); run power() }
}

#include "guard_claims.pml"
