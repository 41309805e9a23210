/* Signals of one frame (stats/signals.h), from what was there anyway: the pixels, the raw output, the result. No inference, no allocation.
 *
 *     struct signal_maker *maker;                                         // remembers one frame ago: some pixels, detections
 *     signal_maker_new(&release, profile or NULL, &maker, &err);
 *     pipeline_process(…);  signal_maker_frame(maker, &frame, pipeline, &result, run_ns, &out);
 *                                                   // result NULL: the frame was not answered; sensor and time only
 *
 * Some 4 µs per frame on x86 with AVX2, novelty included (bench-signals). Without a profile, or where its tap is no output of this model:
 * no novelty.
 */
#ifndef MUSTER_INFER_SIGNALS_H
#define MUSTER_INFER_SIGNALS_H

#include "base/err.h"
#include "base/mem.h"
#include "infer/pipeline.h"
#include "stats/signals.h"
#include "wire/profile.h"
#include "wire/release.h"

#include <stdint.h>

struct signal_maker;

int signal_maker_new(const struct release *release, const struct profile *profile, struct signal_maker **out,
                     struct err *err) must_check; /* profile: borrowed for the maker's life */
void signal_maker_free(struct signal_maker *maker);
MUSTER_CLEANUP(struct signal_maker *, signal_maker_free)
#define cleanup_signal_maker __attribute__((cleanup(signal_maker_freep)))

void signal_maker_frame(struct signal_maker *maker, const struct pipeline_frame *frame,
                        const struct pipeline *pipeline, const struct pipeline_result *result, int64_t run_ns,
                        struct frame_signals *out);
void signal_maker_reset(struct signal_maker *maker); /* the next frame has no predecessor */

#endif
