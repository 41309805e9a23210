#include "stats/labelfree.h"

#include <math.h>

enum { MAX_COPIES = 64 };
#define CHANCE                                                                                               \
    0.3 /* two standard errors of a mean confidence, times √answers: what chance alone does is no shift */

size_t labelfree_bin(double confidence)
{
    if (!(confidence > 0))
        return 0;
    return confidence >= 1 ? LABELFREE_BINS - 1 : (size_t)(confidence * LABELFREE_BINS);
}

void labelfree_add(struct labelfree_copy *copy, double confidence, bool right)
{
    const size_t bin = labelfree_bin(confidence);
    copy->all[bin]++;
    copy->right[bin] += right;
}

/* ---- what a histogram says ---- */

static double total(const uint64_t bins[LABELFREE_BINS])
{
    double sum = 0;
    for (int i = 0; i < LABELFREE_BINS; i++)
        sum += (double)bins[i];
    return sum;
}

static double mean_confidence(const uint64_t bins[LABELFREE_BINS])
{
    double sum = 0;
    for (int i = 0; i < LABELFREE_BINS; i++)
        sum += (double)bins[i] * (i + 0.5) / LABELFREE_BINS;
    return sum / total(bins);
}

static double accuracy(const struct labelfree_copy *copy)
{
    return total(copy->right) / total(copy->all);
}

/* As if answers lay evenly within their bin. */
static double share_above(const uint64_t bins[LABELFREE_BINS], double threshold)
{
    double sum = 0;
    for (int i = 0; i < LABELFREE_BINS; i++) {
        const double above = i + 1 - threshold * LABELFREE_BINS;
        sum += (double)bins[i] * fmin(fmax(above, 0), 1);
    }
    return sum / total(bins);
}

/* The threshold above which there is this share; shares fall as it rises. */
static double threshold_of(const uint64_t bins[LABELFREE_BINS], double share)
{
    double low = 0, high = 1;
    for (int i = 0; i < 40; i++) {
        const double middle = (low + high) / 2;
        if (share_above(bins, middle) >= share)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double into_share(double value)
{
    return fmin(fmax(value, 0), 1);
}

/* ---- fitting ---- */

struct drop { /* of one copy, against home */
    double confidence, atc, accuracy;
    const struct labelfree_copy *copy;
};

/* Least squares through home. */
static double slope_of(const struct drop *drops, size_t count, bool atc)
{
    double xy = 0, xx = 0;
    for (size_t i = 0; i < count; i++) {
        const double x = atc ? drops[i].atc : drops[i].confidence;
        xy += x * drops[i].accuracy;
        xx += x * x;
    }
    return xx > 1e-9 ? fmax(xy / xx, 0)
                     : 1; /* less sure and yet better: chance, or another shift than these copies */
}

/* By how far their confidence fell, nearest first. */
static size_t sort_drops(const struct labelfree_copy *copies, size_t count,
                         const struct labelfree_reference *home, struct drop out[MAX_COPIES])
{
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < MAX_COPIES; i++) {
        if (total(copies[i].all) < LABELFREE_MIN)
            continue;
        const struct drop drop = {
            .confidence = home->mean_confidence - mean_confidence(copies[i].all),
            .atc = home->accuracy - share_above(copies[i].all, home->atc_threshold),
            .accuracy = home->accuracy - accuracy(&copies[i]),
            .copy = &copies[i],
        };
        size_t at = kept++;
        for (; at > 0 && out[at - 1].confidence > drop.confidence; at--)
            out[at] = out[at - 1];
        out[at] = drop;
    }
    return kept;
}

/* Pool adjacent violators, over all copies together; bins that nobody saw take what the one below has. */
static void fit_bins(const struct drop *drops, size_t count, double out[LABELFREE_BINS])
{
    double right[LABELFREE_BINS] = {0}, all[LABELFREE_BINS] = {0};
    int first[LABELFREE_BINS], blocks = 0;
    for (int bin = 0; bin < LABELFREE_BINS; bin++) {
        double r = 0, a = 0;
        for (size_t i = 0; i < count; i++) {
            r += (double)drops[i].copy->right[bin];
            a += (double)drops[i].copy->all[bin];
        }
        if (a == 0 && blocks)
            continue; /* lies in the block below */
        first[blocks] = bin;
        right[blocks] = r;
        all[blocks++] = a;
        while (blocks > 1 && right[blocks - 2] * all[blocks - 1] >= right[blocks - 1] * all[blocks - 2]) {
            blocks--;
            right[blocks - 1] += right[blocks];
            all[blocks - 1] += all[blocks];
        }
    }
    for (int i = 0; i < blocks; i++)
        for (int bin = first[i]; bin < (i + 1 < blocks ? first[i + 1] : LABELFREE_BINS); bin++)
            out[bin] = all[i] > 0 ? right[i] / all[i] : 0;
}

static double at_bins(const uint64_t confidence[LABELFREE_BINS], const double accuracies[LABELFREE_BINS])
{
    double sum = 0;
    for (int i = 0; i < LABELFREE_BINS; i++)
        sum += (double)confidence[i] * accuracies[i];
    return sum / total(confidence);
}

/* How far the worst of these copies is off, less what chance does to so few answers. */
static double largest_error(const struct drop *drops, size_t count, const double accuracies[LABELFREE_BINS])
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        const double true_one = accuracy(drops[i].copy);
        const double chance = sqrt(true_one * (1 - true_one) / total(drops[i].copy->all));
        worst = fmax(worst, fabs(at_bins(drops[i].copy->all, accuracies) - true_one) - chance);
    }
    return worst;
}

/* As many copies, from home on, as one accuracy at each confidence is true of. */
static size_t reachable(const struct drop *drops, size_t count)
{
    double bins[LABELFREE_BINS];
    for (size_t i = count; i > 1; i--) {
        fit_bins(drops, i, bins);
        if (largest_error(drops, i, bins) <= LABELFREE_FIT_ERROR)
            return i;
    }
    return 1;
}

void labelfree_fit(const struct labelfree_copy *copies, size_t count, struct labelfree_reference *out)
{
    struct drop drops[MAX_COPIES];
    *out = (struct labelfree_reference){.accuracy = NAN};
    if (count == 0 || total(copies[0].all) < LABELFREE_MIN)
        return;
    out->accuracy = accuracy(&copies[0]);
    out->mean_confidence = mean_confidence(copies[0].all);
    out->atc_threshold = threshold_of(copies[0].all, out->accuracy);
    count = sort_drops(copies, count, out, drops);
    const size_t reach = reachable(drops, count);
    out->slope = slope_of(drops, reach, false);
    out->atc_slope = slope_of(drops, reach, true);
    fit_bins(drops, reach, out->bins_accuracy);
    out->error = largest_error(drops, reach, out->bins_accuracy);
    out->reach = into_share(out->mean_confidence - fmax(drops[reach - 1].confidence, 0));
}

/* ---- estimating ---- */

static const char *why_grey(const struct labelfree_reference *reference,
                            const struct labelfree_estimate *estimate, double mean, bool drifted)
{
    if (drifted)
        return "drift says that something is there which the labelled data did not have";
    if (mean < reference->reach - CHANCE / sqrt((double)estimate->answers))
        return "the model is less sure than on any data that the estimate was tried on";
    if (fabs(estimate->doc - estimate->cbpe) > LABELFREE_DISAGREEMENT)
        return "two ways of estimating disagree";
    return NULL;
}

void labelfree_estimate(const struct labelfree_reference *reference,
                        const uint64_t confidence[LABELFREE_BINS], bool drifted,
                        struct labelfree_estimate *out)
{
    const double answers = total(confidence);
    *out = (struct labelfree_estimate){.accuracy = NAN,
                                       .doc = NAN,
                                       .atc = NAN,
                                       .cbpe = NAN,
                                       .answers = (uint64_t)answers,
                                       .because = "the release has no labelled data to compare with"};
    if (isnan(reference->accuracy))
        return;
    out->because = "too few answers were seen";
    if (answers < LABELFREE_MIN)
        return;
    const double mean = mean_confidence(confidence);
    const double share = share_above(confidence, reference->atc_threshold);
    out->doc = into_share(reference->accuracy - reference->slope * (reference->mean_confidence - mean));
    out->atc = into_share(reference->accuracy - reference->atc_slope * (reference->accuracy - share));
    out->cbpe = into_share(at_bins(confidence, reference->bins_accuracy));
    out->accuracy = out->cbpe;
    out->because = why_grey(reference, out, mean, drifted);
    out->valid = !out->because;
}
