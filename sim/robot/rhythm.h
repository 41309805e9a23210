/* So many times a second, and never in a hurry: who is behind leaves frames out. */
#ifndef MUSTER_SIM_ROBOT_RHYTHM_H
#define MUSTER_SIM_ROBOT_RHYTHM_H

#include <signal.h>
#include <stdint.h>

struct rhythm {
    int64_t period_ns, next_ns;
};

struct rhythm rhythm_of(double per_second);
void rhythm_wait(struct rhythm *rhythm, const volatile sig_atomic_t *stop);

#endif
