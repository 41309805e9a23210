#include "fleet/review/accuracy.h"

#include "base/str.h"
#include "stats/bound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct verdicts { /* each with the probability of its frame */
    size_t count, space;
    double *probability;
    uint8_t *good;
};

struct group {
    struct accuracy_counts counts;
    struct verdicts right, complete; /* of audits */
};

struct accuracy {
    size_t count;
    struct group groups[1 + ACCURACY_SITES];
};

int accuracy_new(struct accuracy **out, struct err *err)
{
    *out = mem_zalloc(1, sizeof **out);
    if (!*out)
        return err_no_memory(err);
    (*out)->count = 1;
    return 0;
}

static void verdicts_fini(struct verdicts *verdicts)
{
    free(verdicts->probability);
    free(verdicts->good);
}

void accuracy_free(struct accuracy *accuracy)
{
    for (size_t i = 0; accuracy && i < accuracy->count; i++) {
        verdicts_fini(&accuracy->groups[i].right);
        verdicts_fini(&accuracy->groups[i].complete);
    }
    free(accuracy);
}

/* Groups of sites stay sorted. NULL: none, or too many. */
static struct group *group_of(struct accuracy *accuracy, const char *site)
{
    size_t i = 1;
    if (!site[0])
        return NULL;
    while (i < accuracy->count && strcmp(accuracy->groups[i].counts.site, site) < 0)
        i++;
    struct group *at = &accuracy->groups[i];
    if (i < accuracy->count && str_eq(at->counts.site, site))
        return at;
    if (accuracy->count > ACCURACY_SITES)
        return NULL;
    memmove(at + 1, at, (accuracy->count - i) * sizeof *at);
    *at = (struct group){0};
    str_copy(at->counts.site, sizeof at->counts.site, site);
    accuracy->count++;
    return at;
}

/* The fleet first, then the site: for loops. */
struct both {
    struct group *items[2];
    size_t count;
};

static struct both both_of(struct accuracy *accuracy, const char *site)
{
    struct group *of_site = group_of(accuracy, site);
    return (struct both){{&accuracy->groups[0], of_site}, of_site ? 2 : 1};
}

static int note(struct verdicts *verdicts, double probability, bool good, struct err *err)
{
    if (verdicts->count == verdicts->space) {
        size_t space = verdicts->space ? verdicts->space * 2 : 64;
        double *wider = mem_grow(verdicts->probability, space, sizeof *wider);
        verdicts->probability = wider ? wider : verdicts->probability;
        uint8_t *longer = mem_grow(verdicts->good, space, sizeof *longer);
        verdicts->good = longer ? longer : verdicts->good;
        if (!wider || !longer)
            return err_no_memory(err);
        verdicts->space = space;
    }
    verdicts->probability[verdicts->count] = probability;
    verdicts->good[verdicts->count++] = good;
    return 0;
}

static void add_alarm(struct accuracy_counts *counts, enum review_verdict verdict)
{
    counts->alarms++;
    counts->alarms_open += verdict == REVIEW_OPEN;
    counts->alarms_true += verdict == REVIEW_TRUE;
    counts->alarms_false += verdict == REVIEW_FALSE;
    counts->alarms_unsure += verdict == REVIEW_UNSURE;
}

static int add_audit(struct group *group, const struct review_row *row, struct err *err)
{
    bool right = row->verdict == REVIEW_TRUE;
    group->counts.audits++;
    group->counts.audits_open += row->verdict == REVIEW_OPEN;
    group->counts.audits_unsure += row->verdict == REVIEW_UNSURE;
    if (row->verdict != REVIEW_TRUE && row->verdict != REVIEW_FALSE)
        return 0;
    if (row->count && note(&group->right, row->probability, right, err) < 0)
        return -1;
    if (row->missed || (row->count && right))
        return note(&group->complete, row->probability, row->missed == 0, err);
    return 0;
}

int accuracy_add_review(struct accuracy *accuracy, const struct review_row *row, struct err *err)
{
    struct both both = both_of(accuracy, row->site);
    for (size_t i = 0; i < both.count; i++) {
        struct accuracy_counts *counts = &both.items[i]->counts;
        if (row->reason == SAMPLE_ALARM) {
            add_alarm(counts, row->verdict);
        } else if (row->reason == SAMPLE_AUDIT) {
            if (add_audit(both.items[i], row, err) < 0)
                return -1;
        } else {
            counts->chosen++;
            counts->chosen_open += row->verdict == REVIEW_OPEN;
        }
    }
    return 0;
}

void accuracy_add_missed(struct accuracy *accuracy, const struct missed_row *row)
{
    struct both both = both_of(accuracy, row->site);
    for (size_t i = 0; i < both.count; i++)
        both.items[i]->counts.missed++;
}

/* Sums stop short of where they could overflow: robots may say anything. */
static void add(uint64_t *sum, uint64_t more)
{
    const uint64_t most = INT64_MAX / 8;
    *sum = MIN(*sum + MIN(more, most), most);
}

void accuracy_add_work(struct accuracy *accuracy, const char *site, const struct telemetry_row *row)
{
    struct both both = both_of(accuracy, site);
    for (size_t i = 0; i < both.count; i++) {
        struct accuracy_counts *counts = &both.items[i]->counts;
        uint64_t operating_ms = (uint64_t)counts->operating_ms;
        add(&operating_ms, (uint64_t)MAX(row->operating_ms, 0));
        counts->operating_ms = (int64_t)operating_ms;
        add(&counts->drill_tp, row->score_tp);
        add(&counts->drill_fp, row->score_fp);
        add(&counts->drill_fn, row->score_fn);
    }
}

void accuracy_add_answers(struct accuracy *accuracy, const char *site, size_t bin, uint64_t count)
{
    struct both both = both_of(accuracy, site);
    for (size_t i = 0; i < both.count && bin < LABELFREE_BINS; i++)
        add(&both.items[i]->counts.confidence[bin], count);
}

void accuracy_add_drift(struct accuracy *accuracy, const char *site)
{
    struct both both = both_of(accuracy, site);
    for (size_t i = 0; i < both.count; i++)
        both.items[i]->counts.drifted = true;
}

size_t accuracy_count(const struct accuracy *accuracy)
{
    return accuracy->count;
}

const struct accuracy_counts *accuracy_at(const struct accuracy *accuracy, size_t index)
{
    return &accuracy->groups[index].counts;
}

static void share(uint64_t good, uint64_t bad, double alpha, struct review_estimate *out)
{
    *out = (struct review_estimate){NAN, NAN, NAN, (double)(good + bad)};
    if (good + bad == 0)
        return;
    out->value = (double)good / (double)(good + bad);
    bound_share_anytime(good, good + bad, alpha, &out->low, &out->high);
}

static void weighted(const struct verdicts *verdicts, double alpha, struct review_estimate *out)
{
    struct review_verdicts all = {
        .count = verdicts->count, .probability = verdicts->probability, .good = verdicts->good};
    review_share(&all, alpha, out);
}

void accuracy_judge(const struct accuracy *accuracy, size_t index,
                    const struct labelfree_reference *reference, double alpha, struct accuracy_words *out)
{
    static const struct labelfree_reference unknown = {.accuracy = NAN};
    const struct group *group = &accuracy->groups[index];
    const struct accuracy_counts *counts = &group->counts;
    share(counts->alarms_true, counts->alarms_false, alpha, &out->alarm_precision);
    share(counts->alarms_true, counts->missed, alpha, &out->alarm_recall);
    review_rate(counts->alarms_false, (double)counts->operating_ms / 3.6e6, alpha,
                &out->false_alarms_per_hour);
    weighted(&group->right, alpha, &out->frame_precision);
    weighted(&group->complete, alpha, &out->frame_recall);
    labelfree_estimate(reference ? reference : &unknown, counts->confidence, counts->drifted,
                       &out->unlabelled);
}
