#include "robot/watch/subject.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static int begin(struct subject *subject, const struct drift_options *options, struct err *err)
{
    if (!subject->memory)
        subject->memory = mem_zalloc(1, drift_size());
    if (!subject->memory)
        return err_no_memory(err);
    subject->options = *options;
    return drift_init(subject->memory, subject->about.references, options, &subject->drift, err);
}

/* What was learned with blocks of this length goes on with them. */
static bool fits(const struct drift_options *kept, const struct drift_options *wanted)
{
    return kept->contexts == wanted->contexts && kept->burn_in == wanted->burn_in &&
           (kept->arl_blocks > wanted->arl_blocks * 0.999 && kept->arl_blocks < wanted->arl_blocks * 1.001);
}

static int restore(struct subject *subject, const char *dir, const struct drift_options *wanted,
                   struct kept *kept, struct err *err)
{
    if (keep_load(dir, &subject->release, kept, err) < 0)
        return -1;
    if (!fits(&kept->options, wanted))
        return err_set(err, ERR_CONFLICT, "it was learned with other options");
    struct drift_options options = *wanted;
    options.block_frames = kept->options.block_frames;
    options.arl_blocks = kept->options.arl_blocks;
    if (begin(subject, &options, err) < 0)
        return -1;
    if (drift_restore(subject->drift, kept->state, kept->len, err) < 0)
        return -1;
    subject->told_ms = kept->told_ms;
    subject->told = kept->told;
    subject->alarmed = kept->told_ms != 0;
    return 0;
}

int subject_judge(struct subject *subject, const char *dir, const struct drift_options *options,
                  struct kept *kept, bool *out_damaged, struct err *err)
{
    struct err why = {0};
    *out_damaged = subject->alarmed = false;
    subject->told_ms = 0;
    if (!subject->about.has_profile)
        return 0;
    if (dir && restore(subject, dir, options, kept, &why) == 0)
        return 0;
    subject->drift = NULL;
    if (dir && why.code != ERR_NOT_FOUND) {
        *out_damaged = why.code == ERR_CORRUPT;
        keep_set_aside(dir, &subject->release);
    }
    return options->block_frames ? begin(subject, options, err) : 0;
}

int subject_save(const struct subject *subject, const char *dir, struct kept *scratch, struct err *err)
{
    if (!subject->used || !subject->drift || !dir)
        return 0;
    scratch->options = subject->options;
    scratch->told_ms = subject->told_ms;
    scratch->told = subject->told;
    scratch->len = drift_save(subject->drift, scratch->state, sizeof scratch->state);
    if (scratch->len == 0)
        return err_set(err, ERR_INTERNAL, "what was learned does not fit into %d bytes", DRIFT_STATE_MAX);
    return keep_save(dir, &subject->release, scratch, err);
}

void subject_free(struct subject *subject)
{
    free(subject->memory);
    subject->memory = NULL;
    subject->drift = NULL;
    subject->used = false;
}

/* ---- alarms of event models ---- */

static float best_of(const struct ring_verdict *verdict)
{
    float best = -1;
    for (uint32_t i = 0; i < verdict->count; i++)
        best = MAX(best, verdict->values[i]);
    return best;
}

enum subject_edge subject_event_frame(struct subject *subject, const struct ring_verdict *verdict,
                                      int64_t now_ms, int64_t wall_ms)
{
    struct subject_event *event = &subject->event;
    float score = verdict->kind == RING_VALUES ? best_of(verdict) : -1;
    if (!subject->about.is_event || isnan(subject->about.threshold) ||
        !((double)score >= subject->about.threshold))
        return EDGE_NONE;
    if (!event->open) {
        event->open = true;
        event->has_frame = false;
        event->from_ms = now_ms;
        event->best = -1;
    }
    event->last_ms = now_ms;
    if (!(score > event->best))
        return EDGE_NONE;
    event->best = score;
    event->time_ms = wall_ms;
    event->verdict = *verdict;
    return EDGE_BETTER;
}

bool subject_event_over(const struct subject *subject, int64_t now_ms)
{
    const struct subject_event *event = &subject->event;
    return event->open && (now_ms - event->last_ms >= SUBJECT_EVENT_JOIN_MS ||
                           now_ms - event->from_ms >= SUBJECT_EVENT_LONGEST_MS);
}
