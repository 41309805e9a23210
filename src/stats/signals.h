/* What is known of a frame and of its result without running anything again: a few numbers, the same everywhere.
 *
 *     runner (infer/signals.h, from the pixels and the raw output) ─▶ ring_result ─▶ guard (carries it, unread) ─▶ ring_verdict ─▶ muster-watch
 *     forge (the same code on calibration data) ─▶ wire/profile.h ─▶ release
 *
 * A number that does not exist for a task is NaN and is not watched. Numbers are the runner's word: whoever reads them takes any bits.
 */
#ifndef MUSTER_STATS_SIGNALS_H
#define MUSTER_STATS_SIGNALS_H

#include <stdint.h>

enum signal {
    /* the sensor: rgb8 frames on a grid of at most 64 x 64 points; frames of floats: in brackets */
    SIGNAL_LUMA,      /* mean, 0..1 [mean] */
    SIGNAL_CONTRAST,  /* standard deviation of luma [of all values] */
    SIGNAL_SHARPNESS, /* log2 of the mean squared Laplacian of luma, per 1/255² [of the second difference] */
    SIGNAL_SATURATION, /* mean of (max - min) / max [NaN] */
    SIGNAL_CLIPPED,    /* share of points at 0 or 255 [at the frame's own extreme values] */
    SIGNAL_CHANGE,     /* mean |luma - luma one frame ago| [likewise] */
    /* the result */
    SIGNAL_COUNT,      /* detections [NaN for values] */
    SIGNAL_SCORE_MAX,  /* the best detection's score; the top class's probability */
    SIGNAL_SCORE_MEAN, /* over detections; NaN without any */
    SIGNAL_UNSURE, /* candidates before the threshold with a score in [0.25, 0.5], per result; classification: 1 - margin of the first two */
    SIGNAL_ENTROPY, /* of the class probabilities, 0..1 of the most there can be; mean over detections */
    SIGNAL_ENERGY, /* -log Σ exp(logit); of sigmoid heads Σ log(1 - p) over classes, mean over the 8 best candidates */
    SIGNAL_BOX_AREA,   /* mean share of the frame; NaN without any */
    SIGNAL_BOX_ASPECT, /* mean log2(width / height); NaN without any */
    SIGNAL_FLICKER, /* share of detections that have no counterpart (same label, IoU ≥ 0.3) one frame ago, and back */
    /* what the model has not seen: from the tapped tensor; NaN without one */
    SIGNAL_NOVELTY, /* largest -log10 of the conformal p-value over candidates */
    SIGNAL_NOVELTY_MEAN,
    SIGNAL_UNKNOWN, /* candidates that look like an object, like none of the known ones */
    /* the machine */
    SIGNAL_RUN_MS, /* log2 of the inference's milliseconds */
    SIGNALS
};
enum { SIGNAL_LABELS = 16 }; /* labels beyond share the last place of a label distribution */

enum signal_family { FAMILY_SENSOR, FAMILY_RESULT, FAMILY_NOVELTY, FAMILY_MACHINE, FAMILIES };

struct signal_info {
    const char *name, *unit; /* "score_max", "1": also the name in telemetry */
    enum signal_family family;
};
extern const struct signal_info signal_infos[SIGNALS];
const char *signal_family_name(enum signal_family family); /* "sensor" */

/* Travels in results and verdicts: multiples of 8 bytes, no padding. All zero bits with valid 0: nobody computed any. */
struct frame_signals {
    float values[SIGNALS];
    float novel_box[4]; /* x0 y0 x1 y1, pixels of the frame: the most novel candidate; zeros: none */
    uint32_t valid;     /* 1: computed */
};

#endif
