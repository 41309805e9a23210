#include "robot/agent/shelf.h"

#include "base/mem.h"
#include "base/str.h"

static struct ctl_limits limits_of(const struct release *release)
{
    return (struct ctl_limits){
        .deadline_us = (uint32_t)(release->budgets.deadline_ms * 1000),
        .max_detections = (uint32_t)release->envelope.max_detections,
        .label_count = (uint32_t)release->label_count,
        .min_score = (float)release->envelope.min_score,
        .max_age_us = (uint32_t)(release->envelope.max_age_ms * 1000),
        .frozen_frames = (uint32_t)release->envelope.frozen_frames,
        .latch_after = (uint32_t)release->envelope.latch_after,
        .value_count = (uint32_t)release_value_count(release),
        .value_min = (float)release->envelope.value_min,
        .value_max = (float)release->envelope.value_max,
        .max_rate = (float)release->envelope.max_rate,
        .max_jump = (float)release->envelope.max_jump,
    };
}

static void describe(const struct image *image, struct shelf_item *out)
{
    const struct release *release = &image->release;
    *out = (struct shelf_item){
        .release = image->digest,
        .manifest_size = image->size,
        .limits = limits_of(release),
        .latency_budget_ms = release->budgets.latency_p99_ms,
        .max_intervention_share = release->envelope.max_miss_share,
        .min_agreement = release->switching.min_agreement,
        .memory_mib = release->budgets.memory_mib,
        .shadow_frames = release->switching.shadow_frames,
        .hold_s = release->switching.hold_s,
        .memory_first = release->switching.policy == SWITCH_MEMORY,
        .at_sequence_end = release->switching.at == SWITCH_AT_SEQUENCE_END,
    };
    str_copy(out->name, sizeof out->name, release->name);
    str_copy(out->version, sizeof out->version, release->version);
}

const struct shelf_item *shelf_get(struct shelf *shelf, const char *layout, const struct digest *release,
                                   struct err *err)
{
    for (size_t i = 0; i < SHELF_ITEMS; i++)
        if (digest_equal(&shelf->items[i].release, release))
            return &shelf->items[i];
    struct image *image = mem_zalloc(1, sizeof *image); /* big: not on the stack */
    if (!image) {
        err_no_memory(err);
        return NULL;
    }
    struct shelf_item *item = NULL;
    if (image_open(layout, release, image, err) == 0) {
        item = &shelf->items[shelf->next++ % SHELF_ITEMS];
        describe(image, item);
        image_close(image);
    }
    free(image);
    return item;
}
