/* The mirror of a hardware emergency stop: what the line says, said to the guard (role ESTOP).
 *
 *   pressed   at once: one reading is enough, and a line that cannot be read counts as pressed
 *   released  only after it has read so without a break for `release_ms`: a contact that bounces stays pressed
 *
 * The hardware stop itself acts without us: we only see to it that Muster knows. A guard that loses its mirror counts that as
 * pressed; a guard that comes up is told at once.
 */
#ifndef MUSTER_ROBOT_ESTOP_MIRROR_H
#define MUSTER_ROBOT_ESTOP_MIRROR_H

#include "base/err.h"
#include "robot/estop/line.h"

#include <stdbool.h>
#include <stdint.h>

enum mirror_reading { MIRROR_CLEAR, MIRROR_PRESSED, MIRROR_UNREADABLE };

struct mirror_filter { /* pure */
    bool pressed;
    bool clearing; /* the line has read clear since clear_since_ms */
    int64_t clear_since_ms;
};

void mirror_filter_init(
    struct mirror_filter *filter); /* pressed, until the line says otherwise for long enough */
/* True if `pressed` changed. */
bool mirror_filter_feed(struct mirror_filter *filter, enum mirror_reading reading, int64_t now_ms,
                        int64_t release_ms);

struct mirror_options {
    const char *run_dir;
    struct line *line; /* borrowed */
    int64_t reread_ms, release_ms;
    const volatile int *stop; /* ends the loop when it is not 0 */
};

/* Until *stop. Errors: only what keeps it from working at all. */
int mirror_run(const struct mirror_options *options, struct err *err) must_check;

#endif
