/* A GAP record in the making: which numbers of a class are not there any more, as text (forward.h). */
#ifndef MUSTER_ROBOT_FORWARD_GAP_H
#define MUSTER_ROBOT_FORWARD_GAP_H

#include "robot/forward/forward.h"

#include <stdbool.h>

enum { GAP_NUMBERS = 2 << 10 };

struct gap {
    enum forward_class class;
    uint64_t count, merged, first, last;
    int64_t from_ms, until_ms;
    uint64_t run_first, run_last, run_step, run_count; /* the run that is not in `numbers` yet */
    size_t used;
    char numbers[GAP_NUMBERS];
};

bool gap_is_full(const struct gap *gap); /* nothing more may be added */
/* In growing order. */
void gap_add(struct gap *gap, uint64_t seq, int64_t time_ms);
void gap_add_range(struct gap *gap, uint64_t first, uint64_t last, int64_t from_ms, int64_t until_ms);
/* `why`: ASCII without quotes. Returns the length. */
size_t gap_format(struct gap *gap, const char *why, char out[FORWARD_MAX_GAP]);

#endif
