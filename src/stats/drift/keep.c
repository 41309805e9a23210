/* A state as bytes, and back. One description of the layout (walk_*) both writes, checks and reads; every number is bounded on its way in, so that
 * a state that was made up can be wrong but not harmful.
 *
 *   little-endian; "MDRIFT1\0"  u64 print of references and options  then the numbers of walk_drift in its order, f64, f32 or u32; at the end u64 FNV-1a of all
 */
#include "stats/drift/state.h"

#include <math.h>
#include <string.h>

enum walking { WALK_WRITE, WALK_CHECK, WALK_READ };
struct walk {
    enum walking mode;
    uint8_t *out;
    const uint8_t *in;
    size_t at, len;
    bool bad;
};
static const char magic[8] = "MDRIFT1";

static void walk_bytes(struct walk *walk, void *value, size_t size)
{
    if (walk->bad || walk->len - walk->at < size) {
        walk->bad = true;
        return;
    }
    if (walk->mode == WALK_WRITE)
        for (size_t i = 0; i < size; i++)
            walk->out[walk->at + i] = ((const uint8_t *)value)[i];
    else
        for (size_t i = 0; i < size; i++)
            ((uint8_t *)value)[i] = walk->in[walk->at + i];
    walk->at += size;
}

static void walk_f64(struct walk *walk, double *value, double least, double most)
{
    double number = *value;
    walk_bytes(walk, &number, sizeof number);
    walk->bad |= walk->mode != WALK_WRITE && !(number >= least && number <= most);
    if (walk->mode == WALK_READ && !walk->bad)
        *value = number;
}

static void walk_share(struct walk *walk, float *value)
{
    float number = *value;
    walk_bytes(walk, &number, sizeof number);
    walk->bad |= walk->mode != WALK_WRITE && !(number >= 0 && number <= 1.001F);
    if (walk->mode == WALK_READ && !walk->bad)
        *value = number;
}

static void walk_u32(struct walk *walk, uint32_t *value, uint32_t most)
{
    uint32_t number = *value;
    walk_bytes(walk, &number, sizeof number);
    walk->bad |= walk->mode != WALK_WRITE && number > most;
    if (walk->mode == WALK_READ && !walk->bad)
        *value = number;
}

static void walk_u64(struct walk *walk, uint64_t *value)
{
    uint64_t number = *value;
    walk_bytes(walk, &number, sizeof number);
    if (walk->mode == WALK_READ && !walk->bad)
        *value = number;
}

static void walk_bool(struct walk *walk, bool *value)
{
    uint32_t number = *value;
    walk_u32(walk, &number, 1);
    if (walk->mode == WALK_READ && !walk->bad)
        *value = number;
}

/* ---- the layout ---- */

static void walk_learned(struct walk *walk, struct learned *learned)
{
    walk_u32(walk, &learned->blocks, UINT32_MAX - 1);
    walk_f64(walk, &learned->mean, -1e32, 1e32);
    walk_f64(walk, &learned->m2, 0, 1e100);
    for (int i = 0; i < DRIFT_BINS; i++)
        walk_share(walk, &learned->share[i]);
}

static void walk_replay(struct walk *walk, struct replay *replay)
{
    walk_u32(walk, &replay->waiting, (1U << REPLAY_LEVELS) - 1);
    for (int i = 0; i < REPLAY_LEVELS; i++) {
        walk_u32(walk, &replay->count[i], UINT32_MAX - 1);
        walk_f64(walk, &replay->squares[i], 0, 1e100);
        walk_f64(walk, &replay->half[i], -1e50, 1e50);
    }
}

static void walk_tails(struct walk *walk, struct tails *tails)
{
    walk_u32(walk, &tails->count, UINT32_MAX / 2);
    for (int i = 0; i < TRACKS; i++)
        walk_f64(walk, &tails->sum[i], 0, 1e50);
}

static void walk_track(struct walk *walk, struct track *track)
{
    walk_f64(walk, &track->m, 0, 1e37);
    walk_f64(walk, &track->run, -1e6, 1e6);
    walk_f64(walk, &track->sum, -1e50, 1e50);
    walk_u32(walk, &track->since, UINT32_MAX);
    walk_u32(walk, &track->count, UINT32_MAX);
}

static void walk_shape(struct walk *walk, struct shape *shape)
{
    walk_f64(walk, &shape->m, 0, 1e37);
    walk_f64(walk, &shape->run, -1e6, 1e6);
    walk_u32(walk, &shape->since, UINT32_MAX);
    walk_f64(walk, &shape->weight, 0, 1e6);
    for (int i = 0; i < DRIFT_BINS; i++)
        walk_f64(walk, &shape->excess[i], -1e6, 1e6);
    walk_f64(walk, &shape->dispersion, 0, 1e100);
    walk_u32(walk, &shape->dispersion_count, UINT32_MAX / 2);
}

static void walk_channel(struct walk *walk, struct channel *channel, uint32_t contexts)
{
    for (uint32_t i = 0; i < contexts; i++)
        walk_learned(walk, &channel->learned[i]);
    walk_replay(walk, &channel->replay);
    walk_tails(walk, &channel->tails);
    for (int i = 0; i < TRACKS; i++)
        walk_track(walk, &channel->tracks[i]);
    walk_shape(walk, &channel->shape);
}

static void walk_drift(struct walk *walk, struct drift *drift)
{
    uint32_t cause = (uint32_t)drift->cause;
    walk_u64(walk, &drift->blocks);
    walk_u64(walk, &drift->ignored);
    walk_u32(walk, &drift->last_context, drift->options.contexts - 1);
    for (uint32_t i = 0; i < drift->options.contexts; i++)
        walk_u32(walk, &drift->seen[i], UINT32_MAX);
    walk_bool(walk, &drift->cycle);
    walk_bool(walk, &drift->alarm);
    walk_bool(walk, &drift->results_moved);
    walk_u32(walk, &cause, DRIFT_CAUSES - 1);
    if (walk->mode == WALK_READ && !walk->bad)
        drift->cause = (enum drift_cause)cause;
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched)
            walk_channel(walk, &drift->channels[i], drift->options.contexts);
}

/* ---- around it ---- */

static uint64_t checksum(const uint8_t *data, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325U;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ data[i]) * 0x100000001b3U;
    return sum;
}

size_t drift_save(const struct drift *drift, uint8_t *out, size_t max)
{
    struct walk walk = {.mode = WALK_WRITE, .out = out, .len = max};
    struct drift *unchanged = (struct drift *)(uintptr_t)drift; /* WALK_WRITE only reads it */
    char head[sizeof magic];
    memcpy(head, magic, sizeof head);
    walk_bytes(&walk, head, sizeof head);
    walk_u64(&walk, &unchanged->print);
    walk_drift(&walk, unchanged);
    uint64_t sum = walk.bad ? 0 : checksum(out, walk.at);
    walk_u64(&walk, &sum);
    return walk.bad ? 0 : walk.at;
}

static void forget_what_is_not_saved(struct drift *drift)
{
    drift->open_frames = 0;
    for (int i = 0; i < SIGNALS; i++) {
        struct channel *channel = &drift->channels[i];
        channel->sum = 0;
        channel->frames = 0;
        memset(channel->bins, 0, sizeof channel->bins);
        evidence_recent_clear(channel);
    }
}

int drift_restore(struct drift *drift, const uint8_t *data, size_t len, struct err *err)
{
    enum { HEAD = sizeof magic + 8, TAIL = 8 };
    uint64_t print, sum;
    if (len < HEAD + TAIL || len > DRIFT_STATE_MAX || memcmp(data, magic, sizeof magic) != 0)
        return err_set(err, ERR_CORRUPT, "no state of a drift detector; it learns anew");
    memcpy(&print, data + sizeof magic, sizeof print);
    memcpy(&sum, data + len - TAIL, sizeof sum);
    if (checksum(data, len - TAIL) != sum)
        return err_set(err, ERR_CORRUPT, "the drift detector's state is damaged; it learns anew");
    if (print != drift->print)
        return err_set(err, ERR_CONFLICT,
                       "the drift detector's state is of another reference; it learns anew");
    struct walk walk = {.mode = WALK_CHECK, .in = data, .at = HEAD, .len = len - TAIL};
    walk_drift(&walk, drift);
    if (walk.bad || walk.at != walk.len)
        return err_set(err, ERR_CORRUPT, "the drift detector's state has impossible numbers; it learns anew");
    walk = (struct walk){.mode = WALK_READ, .in = data, .at = HEAD, .len = len - TAIL};
    walk_drift(&walk, drift);
    forget_what_is_not_saved(drift);
    for (int i = 0; i < SIGNALS; i++)
        learn_settle(drift, &drift->channels[i]);
    return 0;
}
