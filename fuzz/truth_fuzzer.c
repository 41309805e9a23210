/* deps: forge wire base */
/* Any bytes as labels.json and as events.json: never a crash; indices stay within their arrays. */
#include "forge/truth.h"

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct truth *truth, const struct release *release)
{
    for (size_t i = 0; i < truth->file_count; i++)
        if (truth->files[i].label >= release->label_count ||
            truth->files[i].first + truth->files[i].count > truth->event_count)
            abort();
    for (size_t i = 0; i < truth->event_count; i++)
        if (truth->events[i].label >= release->label_count || truth->events[i].to_s < truth->events[i].from_s)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct release release = {.label_count = 2, .labels = {"walk", "fall"}};
    static int (*const parsers[])(const void *, size_t, const struct release *, struct truth **,
                                  struct err *) = {truth_parse_labels, truth_parse_events};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {0};
        cleanup_truth struct truth *truth = NULL;
        if (parsers[i](data, size, &release, &truth, &err) == 0)
            look(truth, &release);
    }
    return 0;
}
