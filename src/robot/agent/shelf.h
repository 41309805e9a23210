/* What the agent has to know of the releases in its store, read once each. */
#ifndef MUSTER_ROBOT_AGENT_SHELF_H
#define MUSTER_ROBOT_AGENT_SHELF_H

#include "base/digest.h"
#include "base/err.h"
#include "release/image.h"
#include "robot/ctl/ctl.h"

enum { SHELF_ITEMS = 4 };

struct shelf_item {
    struct digest release;  /* zero: free */
    uint64_t manifest_size; /* bytes */
    char name[64], version[64];
    struct ctl_limits limits;
    double latency_budget_ms, max_intervention_share, min_agreement;
    int memory_mib, shadow_frames, hold_s;
    bool memory_first, at_sequence_end; /* as release.json's `switch` says */
};

struct shelf {
    struct shelf_item items[SHELF_ITEMS];
    size_t next;
};

/* Borrowed until SHELF_ITEMS others were asked for. NULL with *err if the release cannot be read. */
const struct shelf_item *shelf_get(struct shelf *shelf, const char *layout, const struct digest *release,
                                   struct err *err);

#endif
