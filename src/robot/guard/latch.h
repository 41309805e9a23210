/* What the guard must not forget over its own death and the robot's: that a human or a fault stopped it, who and why, and
 * which lease number was the last.
 *
 *   STATE_DIR/guard.latch    one record, little-endian
 *   0 magic "MLCH" · 4 version · 8 state · 12 local · 16 lease · 24 who[48] · 72 reason[112] · 184 checksum (FNV-1a
 *   of everything before it)
 *
 * Replaced by a new file, fsync, rename, fsync of the directory; where there is no room or no descriptor for that, written
 * over in place: torn, it reads as damaged. Whatever is not a whole record of this version is damaged, and damaged means
 * SAFE_STOP. No file: nothing is latched. No heap, and no descriptor but the directory's and the file's.
 */
#ifndef MUSTER_ROBOT_GUARD_LATCH_H
#define MUSTER_ROBOT_GUARD_LATCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct latch_record {
    uint32_t magic, version;
    uint32_t state; /* enum guard_state if it is a latched one, else 0 */
    uint32_t local; /* 1: put in force at the robot itself */
    uint64_t lease;
    char who[48], reason[112];
    uint64_t checksum;
};

struct latch {
    int dir_fd, file_fd; /* -1: none */
    bool kept;           /* `record` is what the file holds */
    struct latch_record record;
};

/* Always gives a record to start from: what was kept, or SAFE_STOP with the reason (also if the directory cannot be
 * used). `dir` NULL: nothing is ever kept. */
struct latch_record latch_open(struct latch *latch, const char *dir);
void latch_close(struct latch *latch);

/* Makes the file say this; nothing is written if it does already. The caller fills in state, local, lease, who and reason. */
int latch_keep(struct latch *latch, const struct latch_record *record, struct err *err) must_check;

/* False: these bytes are no record. */
bool latch_parse(const void *bytes, size_t len, struct latch_record *out);

#endif
