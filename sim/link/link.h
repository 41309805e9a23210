/* A bad link between a robot and its fleet, as a TCP relay: slow, broken now and then, half dead. (Packets are TCP's business; what a program sees of a lossy
 * radio is delay, little bandwidth, connections that stand still and connections that end.)
 *
 *     robot ──▶ 127.0.0.1:PORT ──▶ relay ──▶ fleet server
 *
 *     up … down … up …     each 0.3 to 1.7 times its mean; while it is down nothing passes, and connections end or just stand still (half of each)
 *     delay, jitter        of every piece of data, in both directions, in order
 *     rate                 bytes per second and direction
 *     loss                 share of pieces that come only after a further 200 ms to 1 s (what TCP makes of a lost packet)
 */
#ifndef MUSTER_SIM_LINK_H
#define MUSTER_SIM_LINK_H

#include "base/err.h"

#include <signal.h>
#include <stdint.h>

struct relay_options {
    uint16_t listen_port; /* 0: any; said on stdout */
    uint16_t to_port;     /* on 127.0.0.1 */
    double up_s, down_s;  /* means; down_s 0: never down */
    double delay_ms, jitter_ms, loss;
    double rate; /* bytes/s; 0: as it comes */
    uint64_t seed;
    const char *
        log_path; /* NULL: none; a line of JSON when the link goes up or down, and once a second while something passes */
};

int relay_run(const struct relay_options *options, const volatile sig_atomic_t *stop,
              struct err *err) must_check;

#endif
