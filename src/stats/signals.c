#include "stats/signals.h"

#include "base/mem.h"

#include <stddef.h>

const struct signal_info signal_infos[SIGNALS] = {
    [SIGNAL_LUMA] = {"luma", "1", FAMILY_SENSOR},
    [SIGNAL_CONTRAST] = {"contrast", "1", FAMILY_SENSOR},
    [SIGNAL_SHARPNESS] = {"sharpness", "log2(1)", FAMILY_SENSOR},
    [SIGNAL_SATURATION] = {"saturation", "1", FAMILY_SENSOR},
    [SIGNAL_CLIPPED] = {"clipped", "1", FAMILY_SENSOR},
    [SIGNAL_CHANGE] = {"change", "1", FAMILY_SENSOR},
    [SIGNAL_COUNT] = {"count", "1", FAMILY_RESULT},
    [SIGNAL_SCORE_MAX] = {"score_max", "1", FAMILY_RESULT},
    [SIGNAL_SCORE_MEAN] = {"score_mean", "1", FAMILY_RESULT},
    [SIGNAL_UNSURE] = {"unsure", "1", FAMILY_RESULT},
    [SIGNAL_ENTROPY] = {"entropy", "1", FAMILY_RESULT},
    [SIGNAL_ENERGY] = {"energy", "1", FAMILY_RESULT},
    [SIGNAL_BOX_AREA] = {"box_area", "1", FAMILY_RESULT},
    [SIGNAL_BOX_ASPECT] = {"box_aspect", "log2(1)", FAMILY_RESULT},
    [SIGNAL_FLICKER] = {"flicker", "1", FAMILY_RESULT},
    [SIGNAL_NOVELTY] = {"novelty", "-log10(p)", FAMILY_NOVELTY},
    [SIGNAL_NOVELTY_MEAN] = {"novelty_mean", "-log10(p)", FAMILY_NOVELTY},
    [SIGNAL_UNKNOWN] = {"unknown", "1", FAMILY_NOVELTY},
    [SIGNAL_RUN_MS] = {"run_ms", "log2(ms)", FAMILY_MACHINE},
};

const char *signal_family_name(enum signal_family family)
{
    static const char *const names[FAMILIES] = {[FAMILY_SENSOR] = "sensor",
                                                [FAMILY_RESULT] = "result",
                                                [FAMILY_NOVELTY] = "novelty",
                                                [FAMILY_MACHINE] = "machine"};
    return (unsigned)family < FAMILIES ? names[family] : "unknown";
}

_Static_assert(sizeof(struct frame_signals) == SIGNALS * sizeof(float) + 4 * sizeof(float) + sizeof(uint32_t),
               "no padding");
_Static_assert(sizeof(struct frame_signals) % 8 == 0, "whole words: it travels in rings");
