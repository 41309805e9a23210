/* One file of the log: a header, then records of one class by number.
 *
 *   header  "MFWDSEG1"  u8 class  u8[7] 0  u8[16] stream  u64 gap  u64 until  u32 crc32c of these   u32 0
 *   record  u32 bytes  u32 crc32c of all that follows  u8 class  u8 kind  u16 level  u32 skipped  u64 seq  i64 time_ms   payload
 *
 * Numbers are little-endian. `gap`, `until`: of a file that takes the place of others (thin.h): the EVENT that must be there, and the last segment that it
 * replaces. `skipped`: so many numbers just before this one are inside of GAP records. A record counts if its check holds; behind the first that does not,
 * nothing in the file counts. */
#ifndef MUSTER_ROBOT_FORWARD_SEGMENT_H
#define MUSTER_ROBOT_FORWARD_SEGMENT_H

#include "base/buf.h"
#include "base/err.h"
#include "robot/forward/forward.h"

#include <stdbool.h>

enum { SEGMENT_HEADER = 56, SEGMENT_RECORD = 32, SEGMENT_STREAM = 16 };

struct segment {
    uint64_t number;
    enum forward_class class;
    uint64_t first, last; /* seq; 0: no record */
    uint64_t count, bytes;
    uint32_t level;    /* how often it was thinned: the highest of its records */
    uint64_t until;    /* see above */
    uint32_t restless; /* passes over it that gained nothing */
};

struct segment_head {
    enum forward_class class;
    uint8_t stream[SEGMENT_STREAM];
    uint64_t gap, until;
};

/* A record as it lies in a file. */
struct segment_entry {
    struct forward_record record;
    uint32_t skipped;
    uint64_t offset, size; /* in the file, with its head */
};

void segment_put_head(const struct segment_head *head, uint8_t out[SEGMENT_HEADER]);
bool segment_get_head(const uint8_t *data, size_t len, struct segment_head *out);
/* Appends the record to `out`. */
int segment_put_record(const struct forward_record *record, uint32_t skipped, struct buf *out,
                       struct err *err) must_check;
/* The record at `offset` of the file's bytes; false: none that is whole. The payload points into data. */
bool segment_get_record(const uint8_t *data, size_t len, uint64_t offset, struct segment_entry *out);

int segment_write_at(int fd, const void *data, size_t len, uint64_t offset, struct err *err) must_check;

#endif
