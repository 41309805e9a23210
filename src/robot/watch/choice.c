#include "robot/watch/choice.h"

#include "base/mem.h"
#include "robot/ctl/ctl.h"

#include <math.h>

static const struct {
    double per_hour;
    double at_first; /* probability while it is not known how many there are */
} plan[SAMPLE_REASONS] = {
    [SAMPLE_AUDIT] = {20, 1},         [SAMPLE_UNSURE] = {12, 0.02}, [SAMPLE_NOVEL] = {12, 0.1},
    [SAMPLE_INTERVENTION] = {8, 0.1}, [SAMPLE_OPERATOR] = {60, 1},  [SAMPLE_ALARM] = {60, 1},
};

static const double unsure_within = 0.05, novel_from = 2, hour_s = 3600, remember = 0.2;

static double per_hour(const struct choice *choice, int reason)
{
    return plan[reason].per_hour * choice->options.scale;
}

static double most(const struct choice *choice, int reason)
{
    return reason == SAMPLE_AUDIT ? choice->options.audit : 1;
}

void choice_init(struct choice *choice, const struct choice_options *options)
{
    *choice = (struct choice){.options = *options, .random = options->seed};
    struct choice_options *o = &choice->options;
    o->audit = o->audit > 0 ? MIN(o->audit, 1.0) : 1.0 / 2000;
    o->scale = o->scale > 0 ? o->scale : 1;
    o->bytes_per_hour = o->bytes_per_hour ? o->bytes_per_hour : 4 << 20;
    choice->byte_tokens = (double)o->bytes_per_hour;
    for (int i = 0; i < SAMPLE_REASONS; i++)
        choice->strata[i] = (struct choice_stratum){.probability = MIN(plan[i].at_first, most(choice, i)),
                                                    .eligible_per_s = NAN,
                                                    .tokens = 2 * per_hour(choice, i)};
}

void choice_ask(struct choice *choice)
{
    choice->asked = true;
}

/* splitmix64 */
static double draw(struct choice *choice)
{
    uint64_t z = (choice->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static bool is_near(float score, double threshold)
{
    return fabs((double)score - threshold) <= unsure_within;
}

static bool is_unsure(const struct ring_verdict *verdict, double threshold)
{
    bool near = false;
    if (isnan(threshold))
        return false;
    for (uint32_t i = 0; i < verdict->count; i++)
        near |= is_near(verdict->kind == RING_VALUES ? verdict->values[i] : verdict->detections[i].score,
                        threshold);
    return near;
}

static bool is_novel(const struct ring_verdict *verdict)
{
    return verdict->signals.valid && (double)verdict->signals.values[SIGNAL_NOVELTY] >= novel_from;
}

static bool is_intervention(const struct ring_verdict *verdict)
{
    return verdict->status != RING_VERDICT_OK && verdict->reason < INTERVENTION_COUNT &&
           verdict->reason != INTERVENED_OVERSIGHT;
}

static bool take(struct choice *choice, int reason)
{
    struct choice_stratum *stratum = &choice->strata[reason];
    stratum->eligible++;
    if (draw(choice) >= stratum->probability)
        return false;
    if (stratum->tokens < 1 || choice->byte_tokens <= 0) {
        choice->cut_off++;
        return false;
    }
    return true;
}

static bool pick(struct choice *choice, enum sample_reason reason, struct choice_pick *out)
{
    if (!take(choice, reason))
        return false;
    *out = (struct choice_pick){reason, choice->strata[reason].probability};
    choice->strata[reason].tokens -= 1;
    return true;
}

bool choice_frame(struct choice *choice, const struct ring_verdict *verdict, double threshold,
                  struct choice_pick *out)
{
    static const enum sample_reason order[] = {SAMPLE_AUDIT, SAMPLE_OPERATOR, SAMPLE_INTERVENTION,
                                               SAMPLE_NOVEL, SAMPLE_UNSURE};
    const bool eligible[SAMPLE_REASONS] = {
        [SAMPLE_AUDIT] = true,
        [SAMPLE_UNSURE] = is_unsure(verdict, threshold),
        [SAMPLE_NOVEL] = is_novel(verdict),
        [SAMPLE_INTERVENTION] = is_intervention(verdict),
        [SAMPLE_OPERATOR] = choice->asked,
    };
    int found = -1;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (!eligible[order[i]])
            continue;
        if (found >= 0)
            choice->strata[order[i]].eligible++; /* another reason was first */
        else if (pick(choice, order[i], out))
            found = (int)order[i];
    }
    choice->asked &= found != SAMPLE_OPERATOR;
    return found >= 0;
}

bool choice_alarm(struct choice *choice, struct choice_pick *out)
{
    return pick(choice, SAMPLE_ALARM, out);
}

void choice_spent(struct choice *choice, uint64_t bytes)
{
    choice->byte_tokens -= (double)bytes;
}

static void refill(double *tokens, double most_per_hour, double seconds)
{
    *tokens = MIN(*tokens + most_per_hour * seconds / hour_s, most_per_hour);
}

void choice_window(struct choice *choice, double seconds)
{
    if (!(seconds > 0))
        return;
    refill(&choice->byte_tokens, (double)choice->options.bytes_per_hour, seconds);
    for (int i = 0; i < SAMPLE_REASONS; i++) {
        struct choice_stratum *stratum = &choice->strata[i];
        double rate = (double)stratum->eligible / seconds, before = stratum->eligible_per_s;
        refill(&stratum->tokens, 2 * per_hour(choice, i), seconds);
        stratum->eligible_per_s = isnan(before) ? rate : before + remember * (rate - before);
        stratum->eligible = 0;
        if (i == SAMPLE_OPERATOR || i == SAMPLE_ALARM)
            continue;
        double hourly = stratum->eligible_per_s * hour_s;
        double wanted = hourly > 0 ? per_hour(choice, i) / hourly : 1;
        stratum->probability = MIN(wanted, most(choice, i));
    }
}
