/* guard-export: what is made from the guard's table besides the program itself. Not shipped.
 *
 *   --promela   the table as a Promela array, for guard_env.pml (scripts/spin)
 *   --diagram   a Mermaid state diagram, for docs/guard.md (export_test.c compares the two)
 *   --suite     a complete test suite of the table: the W-method. One case a line, from a machine that was just started:
 *
 *                   stop=safe_stop override=-safe_stop
 *
 *               token = event, the state after it, `-` in front of that if the event is refused. The cases are
 *               (path to every state) · (every event) · (every sequence of a set that tells any two states apart by what
 *               can be seen from outside: what is refused, who answers a frame, and whether degraded). An implementation that has no more
 *               states than the table and passes them all behaves as the table, whatever it looks like inside.
 *   --tour      one long walk for a whole guard (table, leases, what is live, restarts): each line one act and what must
 *               be seen after it. Every act in every situation that it can meet occurs; acts below.
 *
 *                   primary_ready auto
 *                   release -standby         (refused)
 *
 *               primary_ready, primary_degraded, primary_lost, fallback_ready, fallback_lost: a runner of that generation
 *               attaches or goes; both generations are admitted and active all the time. estop_pressed, estop_released.
 *               lease_lost: nobody renews until it has run out. fault. reboot: every process is killed, the guard comes
 *               back over the same state directory and the e-stop mirror says again what it said. The verbs come from one
 *               remote operator, with the number of his lease while he holds one.
 */
#ifndef MUSTER_ROBOT_DECIDE_EXPORT_H
#define MUSTER_ROBOT_DECIDE_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

void export_promela(FILE *out);
void export_diagram(FILE *out);
void export_suite(FILE *out);

/* `without`: acts that the caller cannot perform, NULL-terminated. False: there is no such act. */
bool export_tour(FILE *out, const char *const *without);

#endif
