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
    /* the sensor: rgb8 frames at 16 runs of 64 pixels, spread over the frame, every channel by itself; frames of floats, all or 16 runs of 64: in brackets */
    SIGNAL_LUMA,       /* mean, 0..1 [mean] */
    SIGNAL_CONTRAST,   /* standard deviation, 0..1 [as it is] */
    SIGNAL_SHARPNESS,  /* log2 of the mean squared Laplacian, in (1/255)² [of the second difference] */
    SIGNAL_SATURATION, /* mean of (max - min) / max over channels [NaN] */
    SIGNAL_CLIPPED, /* share of points with 255 in a channel or 0 in all [at the frame's own extreme values] */
    SIGNAL_CHANGE,  /* mean |value - value one frame ago|, 0..1 [as it is]; NaN in the first frame */
    /* the result. "Candidates": columns of a detector's raw output */
    SIGNAL_COUNT,      /* detections [NaN for values] */
    SIGNAL_SCORE_MAX,  /* the best candidate's score, below the threshold too; the top class's probability */
    SIGNAL_SCORE_MEAN, /* over detections; NaN without any */
    SIGNAL_UNSURE,     /* candidates with a score in [0.25, 0.5]; scores: 1 - margin of the first two */
    SIGNAL_ENTROPY, /* of the class probabilities, 0..1 of the most there can be; mean over the 8 best candidates */
    SIGNAL_ENERGY, /* -ln Σ exp(logit) where the release has softmax; else Σ ln(1 - p) over classes; mean over the 8 best candidates */
    SIGNAL_BOX_AREA,   /* mean share of the frame; NaN without any */
    SIGNAL_BOX_ASPECT, /* mean log2(width / height); NaN without any */
    SIGNAL_FLICKER, /* share of the 8 best detections that have no counterpart (same label, IoU ≥ 0.3) one frame ago, and back; scores: the top class is
                          another one. NaN without any */
    /* what the model has not seen: from the tapped tensor; NaN without one. Two candidates in each frame, in turn where there are more */
    SIGNAL_NOVELTY, /* largest -log10 of the conformal p-value over candidates */
    SIGNAL_NOVELTY_MEAN,
    SIGNAL_UNKNOWN, /* candidates with p ≤ 0.01: they look like an object, like none of the known ones */
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
