/* How sure is the model, and what does it say? From the raw output and the result. */
#include "base/mem.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <math.h>

enum { MOST_LANES = 2048, GATHERED = 256 }; /* of more columns only the first 65,536 */
#define LN_2 0.69314718f
_Static_assert((int)RESULT_BEST == (int)LOOPS_LANES, "a column in each lane");
#define SAME_IOU 0.3f

/* ---- the best of many columns: of the best lanes ---- */

struct ranking {
    const float *values;
    size_t count, room;
    float least; /* what does not exceed it is none of them */
    uint32_t *at;
};

static void insert(struct ranking *ranking, uint32_t at)
{
    const float value = ranking->values[at];
    size_t i = ranking->count < ranking->room ? ranking->count++ : ranking->room - 1;
    for (; i > 0 && ranking->values[ranking->at[i - 1]] < value; i--)
        ranking->at[i] = ranking->at[i - 1];
    ranking->at[i] = at;
    if (ranking->count == ranking->room)
        ranking->least = ranking->values[ranking->at[ranking->room - 1]];
}

/* Of lanes as of columns: what does not reach a floor that enough of them reach is not looked at any further. */
static void rank_lanes(struct ranking *ranking, size_t lane_count)
{
    uint32_t reach[MOST_LANES + 1];
    const float floor = MAX(loops_floor(ranking->values, lane_count, ranking->room), ranking->least);
    const size_t count = loops_reach(ranking->values, lane_count, floor, reach);
    for (size_t i = 0; i < count; i++)
        if (ranking->values[reach[i]] > ranking->least)
            insert(ranking, reach[i]);
}

/* The largest scores above `least` and below `below`, from the lanes with the largest ones. */
static size_t rank_columns(const struct signal_view *view, const float *lanes, size_t lane_count, float least,
                           float below, size_t room, uint32_t *out)
{
    uint32_t best_lanes[RESULT_BEST];
    struct ranking of_lanes = {.values = lanes, .room = room, .least = least, .at = best_lanes};
    struct ranking of_columns = {.values = view->best, .room = room, .least = least, .at = out};
    rank_lanes(&of_lanes, lane_count);
    const float floor = of_lanes.count == room ? of_lanes.least : least;
    for (size_t i = 0; i < of_lanes.count; i++) {
        const size_t chunk = best_lanes[i] / LOOPS_LANES * LOOPS_SCORES, first = best_lanes[i] % LOOPS_LANES;
        const size_t to = MIN(chunk + LOOPS_SCORES, view->columns);
        for (size_t at = chunk + first; at < to; at += LOOPS_LANES)
            if (view->best[at] >= floor && view->best[at] < below && view->best[at] > of_columns.least)
                insert(&of_columns, (uint32_t)at);
    }
    return of_columns.count;
}

void result_find_best(const struct signal_view *view, struct best_columns *out)
{
    float most[MOST_LANES], below[MOST_LANES];
    const size_t columns = MIN(view->columns, (size_t)MOST_LANES * LOOPS_SCORE_ROWS);
    const size_t lanes = (columns + LOOPS_SCORES - 1) / LOOPS_SCORES * LOOPS_LANES;
    *out = (struct best_columns){0};
    if (columns == 0)
        return;
    loops_scores(view->best, columns, view->threshold, most, below, &out->unsure);
    out->count = rank_columns(view, most, lanes, -1, INFINITY, RESULT_BEST, out->best);
    out->below_count = rank_columns(view, below, lanes, view->threshold * RESULT_SOMETHING, view->threshold,
                                    RESULT_UNKNOWN, out->below);
    out->most = out->count ? view->best[out->best[0]] : 0;
}

/* ---- probabilities ---- */

static float bits_of(float p)
{
    return p > 0 ? 0 - p * signals_log2(p) : 0;
}

/* Of one yes or no. */
static float binary_entropy(float p)
{
    return bits_of(p) + bits_of(1 - p);
}

/* Of numbers with these sums. 0: one label has it all; 1: all have the same. */
static float entropy_of(float total, float bits, size_t labels)
{
    if (!(total > 0))
        return 1;
    return (bits / total + signals_log2(total)) / signals_log2((float)labels); /* of p / total */
}

static float entropy(const float *p, size_t labels)
{
    float bits = 0, total = 0;
    if (labels == 1)
        return binary_entropy(p[0]);
    for (size_t i = 0; i < labels; i++) {
        total += p[i];
        bits += bits_of(p[i]);
    }
    return entropy_of(total, bits, labels);
}

/* Σ ln(1 - p): the energy of a head of sigmoids. */
static float sigmoid_energy(const float *p, size_t labels)
{
    float sum = 0;
    for (size_t i = 0; i < labels; i++)
        sum += signals_log2(1 - MIN(p[i], LOOPS_NEARLY_SURE));
    return sum * LN_2;
}

static float logit_energy(const float *logits, size_t count)
{
    float most = logits[0], sum = 0;
    for (size_t i = 1; i < count; i++)
        most = MAX(most, logits[i]);
    for (size_t i = 0; i < count; i++)
        sum += expf(logits[i] - most);
    return 0 - most - logf(sum);
}

/* ---- boxes ---- */

static bool same_thing(const struct detection *a, const struct detection *b)
{
    return a->label == b->label && detection_iou(a, b) >= SAME_IOU;
}

/* In both directions. */
static size_t without_partner(const struct detection *now, size_t count, const struct detection *before,
                              size_t was)
{
    bool partner[RESULT_TRACKED] = {0};
    size_t alone = 0;
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < was; k++)
            if (same_thing(&now[i], &before[k]))
                found = partner[k] = true;
        alone += !found;
    }
    for (size_t k = 0; k < was; k++)
        alone += !partner[k];
    return alone;
}

/* Of the best ones of both frames. NaN where there is nothing in either. */
static float flicker(struct result_memory *memory, const struct pipeline_result *result)
{
    const struct detection *now = result->detections, *before = memory->items;
    const size_t count = MIN(result->count, (size_t)RESULT_TRACKED), was = memory->count;
    float share = NAN;
    if (memory->known && count + was > 0)
        share = (float)without_partner(now, count, before, was) / (float)(count + was);
    if (count > 0)
        memcpy(memory->items, now, count * sizeof *now);
    memory->count = count;
    memory->known = true;
    return share;
}

static void read_boxes(const struct pipeline_frame *frame, const struct pipeline_result *result,
                       float values[SIGNALS])
{
    const float frame_area = (float)frame->width * (float)frame->height, count = (float)result->count;
    float area = 0, aspect = 0, score = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct detection *box = &result->detections[i];
        float width = box->x1 - box->x0, height = box->y1 - box->y0;
        area += width * height;
        aspect += signals_log2(width / height);
        score += box->score;
    }
    values[SIGNAL_COUNT] = count;
    if (result->count == 0)
        return;
    values[SIGNAL_SCORE_MEAN] = score / count;
    values[SIGNAL_BOX_AREA] = area / frame_area / count;
    values[SIGNAL_BOX_ASPECT] = aspect / count;
}

static void read_probabilities(const struct signal_view *view, const uint32_t *best, size_t count,
                               float values[SIGNALS])
{
    const float *rows = view->output + 4 * view->columns;
    uint32_t at[LOOPS_LANES];
    struct loops_logs logs;
    float spread = 0, energy = 0;
    for (size_t i = 0; i < LOOPS_LANES; i++)
        at[i] = best[i < count ? i : 0];
    loops_logs(rows, view->columns, view->labels, at, &logs);
    for (size_t i = 0; i < count; i++) {
        spread += view->labels == 1 ? binary_entropy(rows[at[i]])
                                    : entropy_of(logs.sum[i], logs.bits[i], view->labels);
        energy += logs.rest[i] * LN_2;
    }
    values[SIGNAL_ENTROPY] = spread / (float)count;
    values[SIGNAL_ENERGY] = energy / (float)count;
}

/* The best columns, as many as do not cost too much: each label is in another row of the output. */
static void read_columns(const struct signal_view *view, const struct best_columns *best,
                         float values[SIGNALS])
{
    const size_t affordable = MAX(GATHERED / MAX(view->labels, (size_t)1), (size_t)1);
    const size_t count = MIN(best->count, affordable);
    values[SIGNAL_SCORE_MAX] = best->most;
    values[SIGNAL_UNSURE] = (float)best->unsure;
    if (count > 0)
        read_probabilities(view, best->best, count, values);
}

/* ---- scores ---- */

static void read_scores(struct result_memory *memory, const struct signal_view *view,
                        const struct pipeline_result *result, float values[SIGNALS])
{
    const float *p = result->values;
    const bool softmax = view->activation == ACTIVATION_SOFTMAX;
    uint32_t top = 0;
    float second = -INFINITY;
    for (uint32_t i = 1; i < result->count; i++) {
        second = MAX(second, p[i] > p[top] ? p[top] : p[i]);
        top = p[i] > p[top] ? i : top;
    }
    if (result->count == 1)
        second = 1 - p[0];
    values[SIGNAL_SCORE_MAX] = p[top];
    values[SIGNAL_UNSURE] = 1 - fabsf(p[top] - second);
    values[SIGNAL_ENTROPY] = entropy(p, result->count);
    values[SIGNAL_ENERGY] =
        softmax ? logit_energy(view->output, result->count) : sigmoid_energy(p, result->count);
    const uint32_t answer = result->count == 1 ? p[0] > second : top;
    if (memory->known)
        values[SIGNAL_FLICKER] = answer != memory->answer;
    memory->known = true;
    memory->answer = answer;
}

void result_read(struct result_memory *memory, const struct signal_view *view,
                 const struct best_columns *best, const struct pipeline_frame *frame,
                 const struct pipeline_result *result, float values[SIGNALS])
{
    if (view->decoder == DECODER_YOLOV8) {
        read_boxes(frame, result, values);
        read_columns(view, best, values);
        values[SIGNAL_FLICKER] = flicker(memory, result);
    } else if (view->decoder == DECODER_SCORES && result->count > 0) {
        read_scores(memory, view, result, values);
    }
}
