/* What a drift detector has learned, over restarts and power cuts: one file per release, replaced as a whole.
 *
 *   DIR/HEX.drift   "MWATCH2\0"  u32 block_frames  u32 contexts  u32 burn_in  u32 bytes  f64 arl_blocks  i64 told_ms  u32 told  u32 0
 *                   drift_save's bytes, and the first 8 bytes of SHA-256 over all before
 *                   "MWATCH1\0": older, without told_ms, told and 0
 *
 * A file that is damaged, or of another model of the world (other references, other options), is set aside as HEX.drift.damaged: better to learn
 * anew than to judge by nonsense.
 */
#ifndef MUSTER_ROBOT_WATCH_KEEP_H
#define MUSTER_ROBOT_WATCH_KEEP_H

#include "base/digest.h"
#include "base/err.h"
#include "stats/drift/drift.h"

#include <stddef.h>
#include <stdint.h>

enum { KEEP_FILES = 8 };

struct kept {
    struct drift_options options; /* site_sd and context_sd are not kept: 0 */
    int64_t
        told_ms; /* the alarm that stands in `state`, by the time that it was told with; 0: it was not told, or there is none */
    enum drift_cause told; /* as what */
    size_t len;
    uint8_t state[DRIFT_STATE_MAX];
};

int keep_save(const char *dir, const struct digest *release, const struct kept *kept,
              struct err *err) must_check;
int keep_load(const char *dir, const struct digest *release, struct kept *out,
              struct err *err) must_check; /* NOT_FOUND, CORRUPT */
void keep_set_aside(const char *dir, const struct digest *release);
/* Makes DIR; the files of all but the KEEP_FILES releases that were saved last go. */
int keep_open(const char *dir, struct err *err) must_check;

#endif
