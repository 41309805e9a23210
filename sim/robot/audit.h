/* An auditor who believes nobody: was this answer one that the guard had checked, for a frame that we
 * submitted, in time?
 *
 * It keeps its own list of what was submitted and judges every answer again with the guard's own pure
 * function. What it cannot see, the kernel vouches for: the page that verdicts come from is sealed, so that
 * only its maker, who sits behind RUN_DIR/guard.sock, can write it. */
#ifndef MUSTER_SIM_ROBOT_AUDIT_H
#define MUSTER_SIM_ROBOT_AUDIT_H

#include "muster/muster.h"
#include "robot/decide/guard_check.h"
#include "robot/ring/ring.h"

#include <stdbool.h>

enum { AUDIT_FRAMES = 64 };

struct audit {
    struct guard_frame frames[AUDIT_FRAMES]; /* `decided`: an answer came */
};

void audit_submitted(struct audit *audit, const struct guard_frame *frame);

/* False if `verdict` carries a result that must not be used. `raw` is what the guard's page held, `sealed`
 * whether nobody else can write that page. SAFE needs no proof. */
bool audit_answer(struct audit *audit, const struct muster_verdict *verdict, const struct ring_verdict *raw,
                  bool sealed, int64_t now_ns);

#endif
