/* What the black box keeps: entries in the order they came, in memory of a fixed size; the oldest make room for new ones.
 *
 *   │ … free … │ oldest │ entry │ entry │ newest │ … free … │         an entry never wraps: it lies in one piece
 *   entry: kind, length, time │ payload │ up to 8 bytes of padding
 *
 * Nothing is allocated after arena_init. Pure but for the memory it is given.
 */
#ifndef MUSTER_ROBOT_RECORDER_ARENA_H
#define MUSTER_ROBOT_RECORDER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_entry {
    uint32_t kind; /* the caller's, not 0 */
    uint32_t len;  /* of the payload */
    int64_t time_ns;
    uint8_t payload[];
};

struct arena {
    uint8_t *memory;
    size_t size;       /* a multiple of 8 */
    size_t head, tail; /* oldest entry; where the next one goes */
    size_t wrap;       /* entries from head end here, then go on at 0; size: not wrapped */
    size_t count;
};

void arena_init(struct arena *arena, void *memory, size_t size); /* 8-byte aligned */

/* The payload of a new entry, to be filled in; drops the oldest ones as needed. NULL if it is larger than half of the
 * arena. */
void *arena_put(struct arena *arena, uint32_t kind, int64_t time_ns, size_t len);

/* From the oldest to the newest; NULL behind the last. Valid until the next arena_put. */
const struct arena_entry *arena_first(const struct arena *arena);
const struct arena_entry *arena_next(const struct arena *arena, const struct arena_entry *entry);

#endif
