/* DIR/marks: what cannot be read from the segments. Text, replaced atomically:
 *
 *   muster-forward 1
 *   stream 0123456789abcdef0123456789abcdef
 *   boot   4d1f…
 *   event  ACKED OFFERED BOUND SETTLED
 *   metric …
 *   sample …
 *   owed   EVENT {"class":…}          the GAP that is event number EVENT, if it is not there yet; no line: none
 *   check  crc32c of the lines above
 *
 * ACKED the server has everything up to it. OFFERED up to it the server may have it. BOUND no number above it was ever given. SETTLED what is missing up to
 * it is inside of GAP records. */
#ifndef MUSTER_ROBOT_FORWARD_MARKS_H
#define MUSTER_ROBOT_FORWARD_MARKS_H

#include "robot/forward/forward.h"
#include "robot/forward/segment.h"

#include <stdbool.h>

enum { MARKS_BOOT = 40 };

struct marks {
    uint8_t stream[SEGMENT_STREAM];
    char boot[MARKS_BOOT];
    struct {
        uint64_t acked, offered, bound, settled;
    } of[FORWARD_CLASSES];
    uint64_t owed; /* 0: none */
    char owed_text[FORWARD_MAX_GAP];
};

extern const char *const forward_class_names[FORWARD_CLASSES];

int marks_write(const char *dir, const struct marks *marks, struct err *err) must_check;
/* 1: read; 0: there are none, or they are damaged (*out_damaged). */
int marks_read(const char *dir, struct marks *out, bool *out_damaged, struct err *err) must_check;

#endif
