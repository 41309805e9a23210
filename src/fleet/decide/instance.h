/* Is there one robot behind an identity, or two? Pure: what was heard when is an argument.
 *
 * Each life of an agent draws a number at random when it starts, keeps it in memory only, and names it in each request ("Muster-Instance"). A
 * robot has one life after the other; two copies of a disk have two at once:
 *
 *     one robot    A A A A ✝ B B B ✝ C C …        a number that was followed by another one never speaks again …
 *     two copies   A A B A                        … so one that does is alive beside its successor
 *
 * Except that its last words may still be on their way when the successor already speaks. They are told apart by what the speaker must have heard
 * (sys/http.h, http_client_told_ns): a request counts as evidence only if it was made after a word of ours that we said after the present life
 * was first heard. Time is that of one clock, ours; how long anything took on its way is never asked.
 *
 *     told ≤ since(current)                        LATE     may have been said by somebody who is dead by now: proves nothing, changes nothing
 *     the current number                           SAME
 *     one that was followed                        CLONE
 *     any other                                    NEW      a restart (or the first word of a copy): it is the current one from now on
 *
 * Never wrong about one robot: let r be called CLONE, with told > since(c), c being current, and let c' be the one that followed r, at s' ≤ since(c).
 * If c' lived before r, it was dead when r was first heard, and could not have been told anything after that: it would have been LATE, not NEW. So
 * c' lived after r, and r was dead before c' said a word; but r was told something at told > s'. So r was not dead: there are two.
 *
 * Never blind for two that speak: as soon as both were heard, the first request that either begins (on a new connection, or after an answer)
 * when the other one is current is CLONE. What is kept is small; a number that fell out of it is taken for a new one, which delays the proof by
 * one request and never makes a false one. All is forgotten when the server restarts, which costs no more: no connection survives that.
 */
#ifndef MUSTER_FLEET_DECIDE_INSTANCE_H
#define MUSTER_FLEET_DECIDE_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

enum { INSTANCE_FOLLOWED = 6 };

struct instance_watch { /* all zero: nobody was heard yet */
    uint64_t current;   /* 0 is a number as any other: that of programs which name none */
    bool heard;
    int64_t since_ns;
    uint64_t followed[INSTANCE_FOLLOWED]; /* a ring */
    unsigned count;
};

enum instance_verdict { INSTANCE_SAME, INSTANCE_NEW, INSTANCE_LATE, INSTANCE_CLONE };

/* A request of `number`, whose sender must have heard us at told_ns. *out_before (may be NULL): after NEW, whom it followed. */
enum instance_verdict instance_heard(struct instance_watch *watch, uint64_t number, int64_t told_ns,
                                     int64_t now_ns, uint64_t *out_before);

#endif
