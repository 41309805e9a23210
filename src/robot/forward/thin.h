/* Making room: neighbours of one age become half as many records.
 *
 *   1  choose sealed segments, the oldest of those that were thinned least
 *   2  pair records of one kind and level; the older one of a pair goes (METRIC: into the younger, where `merge` does that)
 *   3  N.new: what stays, durable; it names event number G
 *   4  event G: the GAP, durable           before: a start takes N.new away; from here on it carries on
 *   5  N.new ─ rename ─▶ N.seg, the others are unlinked
 *
 * Records that were offered stay as they are. */
#ifndef MUSTER_ROBOT_FORWARD_THIN_H
#define MUSTER_ROBOT_FORWARD_THIN_H

#include "robot/forward/segment.h"
#include "sys/file.h"

#include <stdbool.h>

enum { THIN_MAX_SEGMENTS = 16 };
enum thin_fate { THIN_STAYS, THIN_GOES, THIN_TAKES_IN };

struct thin_entry {
    struct segment_entry entry;
    enum thin_fate fate;
    size_t older; /* of THIN_TAKES_IN: whom */
};

struct thin {
    struct file_map maps[THIN_MAX_SEGMENTS];
    size_t map_count, count, room;
    struct thin_entry *entries;
};

int thin_load(struct thin *thin, const char *path, struct err *err) must_check;
void thin_fini(struct thin *thin);
/* Pairs what lies above `offered`; any_level: also records that were thinned unequally often. Returns the pairs. */
size_t thin_pair(struct thin *thin, uint64_t offered, bool any_level);

#endif
