/* struct frame_signals as a JSON object: {"luma": 0.4, …, "novel_box": [x0, y0, x1, y1]}. What is not finite is left out, and unknown names are passed
 * over: a robot may know signals that its server does not. Private to wire/. */
#ifndef MUSTER_WIRE_SIGNALS_JSON_H
#define MUSTER_WIRE_SIGNALS_JSON_H

#include "stats/signals.h"
#include "wire/json.h"
#include "wire/json_write.h"

/* The double of fewest digits that is this float; NaN and infinity: null. */
json_t *json_from_float(float value);
/* A number that fits a float, or null, which is NaN. */
void json_as_float(struct json_at at, float *out);

json_t *json_from_signals(const struct frame_signals *signals); /* NULL: out of memory */
/* The member "signals" of `at`; without one, nobody computed any. */
void json_get_signals(struct json_at at, struct frame_signals *out);

#endif
