/* The inside of signals.h and novelty.h: what a run left behind, what is remembered of the frame before, and who computes which of the signals. Private to
 * signals*.c, novelty*.c, their tests and bench-signals, which needs no model that way.
 *
 *     signal_view ─┬─▶ sensor_read      signals_sensor.c   the pixels, or floats
 *                  ├─▶ result_read      signals_result.c   raw output, detections, values
 *                  └─▶ novelty_score    novelty_find.c     the tapped tensor against the prototypes
 */
#ifndef MUSTER_INFER_SIGNALS_INSIDE_H
#define MUSTER_INFER_SIGNALS_INSIDE_H

#include "infer/novelty.h"
#include "infer/preprocess.h"
#include "infer/signals.h"

#include <stdbool.h>

/* ---- what there is to look at ---- */

struct signal_view {
    enum frame_format format;
    enum decoder_kind decoder;
    enum activation activation;
    float threshold;
    const float *output;               /* the result's, raw */
    size_t labels, columns;            /* yolov8: of the output; scores: `labels` numbers */
    const float *best;                 /* yolov8: per column, of all labels */
    const struct placement *placement; /* of the frame in the input */
    int input_width, input_height;     /* pixels */
    const float *tap;                  /* NULL: none */
    uint32_t channels;                 /* of the tap */
    uint32_t map_height, map_width;    /* its cells; a series: 1 x t; a vector: 1 x 1 */
    bool map;                          /* cells are places in the frame */
};
void signal_view_of(const struct pipeline *pipeline, struct signal_view *out);

/* ---- the sensor ---- */

enum {
    SENSOR_RUNS = 16,   /* of pixels side by side, spread over the frame */
    SENSOR_POINTS = 64, /* in each */
    SENSOR_FLOATS = 1024
};

struct sensor { /* one frame ago */
    int width, height;
    size_t points; /* 0: nothing is known */
    union {
        uint8_t bytes[SENSOR_RUNS * SENSOR_POINTS * 3];
        float floats[SENSOR_FLOATS];
    };
};
void sensor_read(struct sensor *sensor, const struct pipeline_frame *frame, enum frame_format format,
                 float values[SIGNALS]);

/* ---- the result ---- */

enum { RESULT_BEST = 8, RESULT_TRACKED = 8, RESULT_UNKNOWN = 4 };

struct result_memory { /* one frame ago */
    bool known;
    size_t count;
    struct detection items[RESULT_TRACKED];
    uint32_t answer; /* scores: the largest one; of a single score: is it more likely than not? */
};

struct best_columns { /* of a yolov8 output, by descending score */
    size_t count, below_count;
    uint32_t best[RESULT_BEST];
    uint32_t below[RESULT_UNKNOWN]; /* the best ones below the threshold that may be something yet */
    float most;
    uint32_t unsure;
};
/* What scores at least this share of the threshold may be something. */
#define RESULT_SOMETHING 0.25f
void result_find_best(const struct signal_view *view, struct best_columns *out);
void result_read(struct result_memory *memory, const struct signal_view *view,
                 const struct best_columns *best, const struct pipeline_frame *frame,
                 const struct pipeline_result *result, float values[SIGNALS]);

/* ---- novelty ---- */

struct novelty_index { /* the prototypes, laid out for many at once */
    const struct profile *profile;
    size_t padded;     /* prototypes, in whole blocks */
    int8_t *blocks;    /* owned: [padded] * PROFILE_DIMS, see loops_place */
    float *projection; /* owned: [channels][PROFILE_DIMS] */
    float *scratch;    /* owned: 2 * channels */
};
int novelty_index_init(struct novelty_index *index, const struct profile *profile,
                       struct err *err) must_check;
void novelty_index_fini(struct novelty_index *index);
/* As novelty_embed and novelty_distance, to the bit; distances of several at once. */
void novelty_index_embed(const struct novelty_index *index, const float *features, size_t stride,
                         int8_t out[PROFILE_DIMS]);
void novelty_index_distances(const struct novelty_index *index, const int8_t (*embedded)[PROFILE_DIMS],
                             size_t count, float *out);

size_t novelty_find(const struct signal_view *view, const struct best_columns *best,
                    const struct pipeline_frame *frame, const struct pipeline_result *result, float *scratch,
                    struct novelty_candidate out[NOVELTY_CANDIDATES]);
/* Of more than NOVELTY_EACH candidates a few in each frame, in turn: it would cost too much otherwise. */
enum { NOVELTY_EACH = 2 };
void novelty_score(const struct novelty_index *index, const struct signal_view *view,
                   const struct best_columns *best, const struct pipeline_frame *frame,
                   const struct pipeline_result *result, uint32_t turn, struct frame_signals *out);

/* Of those whose products these are. */
float novelty_mean_distance(const int16_t *dots, size_t count);
/* To length 127: what is NaN, infinite or of no length becomes zeros, which are far from everything. */
void novelty_quantize(const float in[PROFILE_DIMS], int8_t out[PROFILE_DIMS]);

/* ---- the maker ---- */

void signal_maker_view(struct signal_maker *maker, const struct pipeline_frame *frame,
                       const struct signal_view *view, const struct pipeline_result *result, int64_t run_ns,
                       struct frame_signals *out);

/* log2 to six digits, without a call; 0 and below: -126. */
static inline float signals_log2(float x)
{
    union {
        float value;
        uint32_t bits;
    } part = {.value = x};
    if (!(x >= 1.1754944e-38f))
        return -126;
    int exponent = (int)(part.bits >> 23) - 127;
    part.bits = (part.bits & 0x7fffff) | 0x3f800000;
    if (part.value > 1.41421356f) {
        part.value /= 2;
        exponent++;
    }
    float t = (part.value - 1) / (part.value + 1),
          t2 = t * t; /* ln m = 2 (t + t³/3 + t⁵/5 + …), |t| ≤ 0.172 */
    return (float)exponent + 2.88539008f * t * (1 + t2 * (1.0f / 3 + t2 * (0.2f + t2 / 7)));
}

#endif
