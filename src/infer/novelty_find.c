/* Which places of a frame are looked at, and how new they are. */
#include "base/mem.h"
#include "infer/decode_yolov8.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <math.h>

enum { AVERAGED_CELLS = 16, MOST_UNKNOWN = 2 };
#define SURPRISING 2.0f /* -log10 p */

/* ---- where ---- */

static size_t cell_of(float centre, float scale, float offset, int side, uint32_t cells)
{
    float at = (centre * scale + offset) / (float)side * (float)cells;
    if (!(at > 0)) /* nor NaN */
        return 0;
    return at < (float)cells ? MIN((size_t)at, (size_t)cells - 1) : (size_t)cells - 1;
}

static void point_at_cell(const struct signal_view *view, struct novelty_candidate *candidate)
{
    const struct placement *placement = view->placement;
    const float *box = candidate->box;
    size_t x = cell_of((box[0] + box[2]) / 2, placement->scale_x, placement->offset_x, view->input_width,
                       view->map_width);
    size_t y = cell_of((box[1] + box[3]) / 2, placement->scale_y, placement->offset_y, view->input_height,
                       view->map_height);
    candidate->features = view->tap + y * view->map_width + x;
    candidate->stride = (size_t)view->map_height * view->map_width;
}

/* The mean over cells; of many, over some of them. */
static void average(const struct signal_view *view, float *scratch, struct novelty_candidate *candidate)
{
    const size_t cells = (size_t)view->map_height * view->map_width,
                 used = MIN(cells, (size_t)AVERAGED_CELLS);
    for (size_t channel = 0; channel < view->channels; channel++) {
        const float *at = view->tap + channel * cells;
        float sum = 0;
        for (size_t i = 0; i < used; i++)
            sum += at[i * cells / used];
        scratch[channel] = sum / (float)used;
    }
    candidate->features = scratch;
    candidate->stride = 1;
}

static void point(const struct signal_view *view, float *scratch, struct novelty_candidate *candidate)
{
    if (view->map)
        point_at_cell(view, candidate);
    else
        average(view, scratch, candidate);
}

static struct novelty_candidate candidate_of(const struct detection *box, uint32_t label)
{
    return (struct novelty_candidate){
        .box = {box->x0, box->y0, box->x1, box->y1}, .score = box->score, .label = label};
}

static bool covers(const struct detection *box, float x, float y)
{
    return x >= box->x0 && x <= box->x1 && y >= box->y0 && y <= box->y1;
}

/* Whether something lies there that is known of already. */
static bool is_taken(const struct detection *box, const struct pipeline_result *result,
                     const struct novelty_candidate *found, size_t count)
{
    const float x = (box->x0 + box->x1) / 2, y = (box->y0 + box->y1) / 2;
    for (size_t i = 0; i < MIN(result->count, (size_t)RESULT_TRACKED); i++)
        if (covers(&result->detections[i], x, y))
            return true;
    for (size_t i = 0; i < count; i++) {
        const float *other = found[i].box;
        const struct detection seen = {.x0 = other[0], .y0 = other[1], .x1 = other[2], .y1 = other[3]};
        if (covers(&seen, x, y))
            return true;
    }
    return false;
}

static size_t find_unknown(const struct signal_view *view, const struct best_columns *best,
                           const struct pipeline_frame *frame, const struct pipeline_result *result,
                           struct novelty_candidate *out)
{
    size_t count = 0;
    for (size_t i = 0; i < best->below_count && count < MOST_UNKNOWN; i++) {
        struct detection box = decoder_box(view->output, view->columns, best->below[i], view->placement,
                                           (float)frame->width, (float)frame->height);
        box.score = view->best[best->below[i]];
        if (box.x1 > box.x0 && box.y1 > box.y0 && !is_taken(&box, result, out, count))
            out[count++] = candidate_of(&box, PROFILE_NO_LABEL);
    }
    return count;
}

static size_t find_boxes(const struct signal_view *view, const struct best_columns *best,
                         const struct pipeline_frame *frame, const struct pipeline_result *result,
                         struct novelty_candidate out[NOVELTY_CANDIDATES])
{
    size_t count = find_unknown(view, best, frame, result, out);
    for (size_t i = 0; i < result->count && count < NOVELTY_CANDIDATES; i++)
        out[count++] = candidate_of(&result->detections[i], result->detections[i].label);
    return count;
}

static uint32_t top_label(const struct pipeline_result *result)
{
    uint32_t top = 0;
    for (uint32_t i = 1; i < result->count; i++)
        top = result->values[i] > result->values[top] ? i : top;
    return top;
}

size_t novelty_find(const struct signal_view *view, const struct best_columns *best,
                    const struct pipeline_frame *frame, const struct pipeline_result *result, float *scratch,
                    struct novelty_candidate out[NOVELTY_CANDIDATES])
{
    size_t count = 1;
    if (!view->tap)
        return 0;
    if (view->decoder == DECODER_YOLOV8)
        count = find_boxes(view, best, frame, result, out);
    else
        out[0] = (struct novelty_candidate){.label = result->count ? top_label(result) : PROFILE_NO_LABEL};
    for (size_t i = 0; i < count; i++)
        point(view, scratch, &out[i]);
    return count;
}

size_t novelty_candidates(const struct pipeline *pipeline, const struct pipeline_frame *frame,
                          const struct pipeline_result *result, float *scratch,
                          struct novelty_candidate out[NOVELTY_CANDIDATES])
{
    struct signal_view view;
    struct best_columns best = {0};
    signal_view_of(pipeline, &view);
    if (view.decoder == DECODER_YOLOV8)
        result_find_best(&view, &best);
    return novelty_find(&view, &best, frame, result, scratch, out);
}

/* ---- how new ---- */

int novelty_index_init(struct novelty_index *index, const struct profile *profile, struct err *err)
{
    const size_t count = profile->prototype_count;
    const size_t padded = (count + LOOPS_BLOCK - 1) / LOOPS_BLOCK * LOOPS_BLOCK;
    *index = (struct novelty_index){.profile = profile, .padded = padded};
    index->blocks = mem_zalloc(MAX(padded, (size_t)1), PROFILE_DIMS);
    index->projection = mem_zalloc(MAX(profile->channels, 1U), PROFILE_DIMS * sizeof(float));
    index->scratch = mem_zalloc(MAX(profile->channels, 1U), 2 * sizeof(float));
    if (!index->blocks || !index->projection || !index->scratch) {
        novelty_index_fini(index);
        return err_no_memory(err);
    }
    for (size_t d = 0; d < PROFILE_DIMS; d++) {
        for (size_t i = 0; i < count; i++)
            index->blocks[loops_place(i, d)] = profile->prototypes[i][d];
        for (size_t c = 0; c < profile->channels; c++)
            index->projection[c * PROFILE_DIMS + d] = profile->projection[d * profile->channels + c];
    }
    return 0;
}

void novelty_index_fini(struct novelty_index *index)
{
    free(index->blocks);
    free(index->projection);
    free(index->scratch);
    *index = (struct novelty_index){0};
}

void novelty_index_embed(const struct novelty_index *index, const float *features, size_t stride,
                         int8_t out[PROFILE_DIMS])
{
    const size_t channels = index->profile->channels;
    float projected[PROFILE_DIMS], *gathered = index->scratch + channels;
    for (size_t c = 0; c < channels; c++)
        gathered[c] = features[c * stride];
    loops_project(index->projection, gathered, channels, projected);
    for (size_t d = 0; d < PROFILE_DIMS; d++)
        projected[d] += index->profile->offset[d];
    novelty_quantize(projected, out);
}

/* Of two at once, of which one may not count. */
static void distances_of(const struct novelty_index *index, const int8_t queries[LOOPS_QUERIES][PROFILE_DIMS],
                         size_t count, float *out)
{
    const size_t prototypes = index->profile->prototype_count;
    int16_t dots[LOOPS_QUERIES][PROFILE_MAX_PROTOTYPES], most[LOOPS_TOP];
    int16_t *const both[LOOPS_QUERIES] = {dots[0], dots[1]};
    loops_dots(index->blocks, index->padded, queries, both);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = prototypes; k < index->padded; k++)
            dots[i][k] = INT16_MIN;
        loops_top(dots[i], index->padded, most);
        out[i] = novelty_mean_distance(most, MIN(prototypes, (size_t)LOOPS_TOP));
    }
}

void novelty_index_distances(const struct novelty_index *index, const int8_t (*embedded)[PROFILE_DIMS],
                             size_t count, float *out)
{
    for (size_t from = 0; from < count; from += LOOPS_QUERIES) {
        int8_t queries[LOOPS_QUERIES][PROFILE_DIMS] = {{0}};
        const size_t these = MIN((size_t)LOOPS_QUERIES, count - from);
        memcpy(queries, embedded + from, these * sizeof *queries);
        distances_of(index, (const int8_t(*)[PROFILE_DIMS])queries, these, out + from);
    }
}

static void surprises(const struct novelty_index *index, const struct novelty_candidate *found, size_t count,
                      float out[NOVELTY_EACH])
{
    int8_t embedded[NOVELTY_EACH][PROFILE_DIMS];
    float distances[NOVELTY_EACH];
    for (size_t i = 0; i < count; i++)
        novelty_index_embed(index, found[i].features, found[i].stride, embedded[i]);
    novelty_index_distances(index, (const int8_t(*)[PROFILE_DIMS])embedded, count, distances);
    for (size_t i = 0; i < count; i++)
        out[i] = 0 - signals_log2((float)novelty_p(index->profile, distances[i])) * 0.30103f; /* log10 2 */
}

/* Whose turn it is, moved to the front. */
static size_t in_turn(struct novelty_candidate found[NOVELTY_CANDIDATES], size_t count, uint32_t turn)
{
    struct novelty_candidate chosen[NOVELTY_EACH];
    if (count <= NOVELTY_EACH)
        return count;
    for (size_t i = 0; i < NOVELTY_EACH; i++)
        chosen[i] = found[((size_t)turn * NOVELTY_EACH + i) % count];
    memcpy(found, chosen, sizeof chosen);
    return NOVELTY_EACH;
}

void novelty_score(const struct novelty_index *index, const struct signal_view *view,
                   const struct best_columns *best, const struct pipeline_frame *frame,
                   const struct pipeline_result *result, uint32_t turn, struct frame_signals *out)
{
    struct novelty_candidate found[NOVELTY_CANDIDATES];
    size_t count = novelty_find(view, best, frame, result, index->scratch, found);
    count = in_turn(found, count, turn);
    float new[NOVELTY_EACH], most = -1, sum = 0, unknown = 0;
    surprises(index, found, count, new);
    for (size_t i = 0; i < count; i++) {
        if (new[i] > most)
            memcpy(out->novel_box, found[i].box, sizeof out->novel_box);
        most = MAX(most, new[i]);
        sum += new[i];
        unknown += new[i] >= SURPRISING;
    }
    out->values[SIGNAL_UNKNOWN] = unknown; /* of none there is none */
    if (count == 0)
        return;
    out->values[SIGNAL_NOVELTY] = most;
    out->values[SIGNAL_NOVELTY_MEAN] = sum / (float)count;
}
