#include "stats/cause.h"

#include <stddef.h>

const struct cause_info cause_infos[CAUSE_RULES] = {
    [CAUSE_TIME] = {"time", "ms", NULL},         [CAUSE_AGE] = {"age", "ms", NULL},
    [CAUSE_REPEATS] = {"repeats", "1", NULL},    [CAUSE_SIZE] = {"size", "1", NULL},
    [CAUSE_KIND] = {"kind", "1", NULL},          [CAUSE_BOX] = {"box", "px", "detection"},
    [CAUSE_SCORE] = {"score", "1", "detection"}, [CAUSE_LABEL] = {"label", "1", "detection"},
    [CAUSE_VALUE] = {"value", "1", "value"},     [CAUSE_RATE] = {"rate", "1", "value"},
    [CAUSE_JUMP] = {"jump", "px", "detection"},
};
