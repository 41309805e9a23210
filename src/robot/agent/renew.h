/* How a robot keeps its certificate: at half of its life (± 10 %, so that a fleet does not come at once) it asks for the next one, over the
 * connection that the present one opens.
 *
 *   STATE_DIR/device.key    stays the same: recordings are signed with it, sealed models are sealed to it
 *   STATE_DIR/device.csr    the request, from before it is sent until its answer is kept: asked again, also after a restart, it is the same
 *                           request and has the same answer
 *   STATE_DIR/device.pem    replaced in one step, after the answer was found to be our CA's for this robot and key, and before it is used
 *
 *     wait ──half of life──▶ ask ──answer──▶ check ──▶ device.pem ──▶ fetch_use_identity ──▶ wait
 *                             ▲ └─error: back-off
 *
 * So after a kill at any instruction the disk holds a certificate that the server takes: the old one until the new one was used, and it is not used
 * before it is on the disk. A certificate that is over is renewed in the same way as long as the server's grace lasts.
 *
 * A clock that is wrong: whatever lies outside of the present certificate's time is no clock; the robot then renews at once, and counts the next
 * half of life from that moment. The beginning of each certificate is a time that was: it goes under the clock for checking servers
 * (fetch_raise_clock_floor). A server whose clock is years ahead, or that wants to be the last one that this robot ever believes, must not raise it
 * that high: a certificate that begins more than a day behind the robot's clock *and* more than 90 days behind the end of the trusted root, which
 * only offline keys can move, is refused. */
#ifndef MUSTER_ROBOT_AGENT_RENEW_H
#define MUSTER_ROBOT_AGENT_RENEW_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/store/store.h"

#include <stdint.h>

struct anchor;
struct fetch;
struct renew;

struct renew_options {   /* all borrowed */
    struct fetch *fetch; /* whose identity it renews */
    const char *server;
    const char *robot;
    const struct store *store;
    const struct anchor *anchor; /* NULL: how far ahead a certificate may begin is not looked at */
};

int renew_new(const struct renew_options *options, struct renew **out, struct err *err) must_check;
void renew_free(struct renew *renew);
MUSTER_CLEANUP(struct renew *, renew_free)
#define cleanup_renew __attribute__((cleanup(renew_freep)))

void renew_tick(struct renew *renew, int64_t now_ms);
int64_t renew_next_ms(const struct renew *renew);

/* When to renew, in ms from now. Pure. `wall_s`: what the clock says; `random` decides about the jitter. */
int64_t renew_delay_ms(int64_t from_s, int64_t until_s, int64_t wall_s, uint32_t random);
/* No certificate is taken that begins later. Pure. `root_until_s`: when the trusted root expires; 0: none. */
int64_t renew_latest_s(int64_t wall_s, int64_t root_until_s);

#endif
