#include "wire/profile_check.h"

#include "base/mem.h"

#include <math.h>

#define LARGEST 1e30 /* of any number; squares and sums of such are finite */

static bool is_number(double value)
{
    return value >= -LARGEST && value <= LARGEST;
}

static bool is_share(double value)
{
    return value >= 0 && value <= 1;
}

static bool ascends(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_number((double)values[i]) || (i && values[i] < values[i - 1]))
            return false;
    return true;
}

static int check_signals(const struct profile *profile, struct err *err)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        const struct drift_reference *signal = &profile->signals[i];
        if (!is_number(signal->mean) || !is_number(signal->sd) || signal->sd < 0 ||
            !is_number(signal->tolerance) || signal->tolerance < 0 || !is_number(signal->memory) ||
            signal->memory < 0 || !ascends(signal->edges, ARRAY_LEN(signal->edges)))
            return err_set(err, ERR_INVALID, "profile: the numbers of signal %zu cannot be", i);
        if (signal->sd > 0 && signal->memory < 1)
            return err_set(err, ERR_INVALID, "profile: signal %zu remembers less than one frame", i);
    }
    return 0;
}

static int check_accuracy(const struct profile *profile, struct err *err)
{
    const struct labelfree_reference *known = &profile->accuracy;
    for (size_t i = 0; i < SIGNAL_LABELS; i++)
        if (!is_share(profile->label_share[i]))
            return err_set(err, ERR_INVALID, "profile: share %zu of the labels is none", i);
    if (isnan(known->accuracy))
        return 0;
    bool good = is_share(known->accuracy) && is_share(known->mean_confidence) &&
                is_share(known->atc_threshold) && is_number(known->slope) && is_number(known->atc_slope) &&
                is_share(known->reach) && is_share(known->error);
    for (size_t i = 0; i < LABELFREE_BINS; i++)
        good = good && is_share(known->bins_accuracy[i]);
    return good ? 0 : err_set(err, ERR_INVALID, "profile: the numbers of the accuracy cannot be");
}

static bool is_tap_whole(const struct profile *profile)
{
    return profile->tap[0] && profile->channels && profile->projection && profile->prototype_count &&
           profile->prototypes && profile->prototype_labels && profile->quantile_count && profile->quantiles;
}

static bool is_tap_empty(const struct profile *profile)
{
    return !profile->tap[0] && !profile->channels && !profile->prototype_count && !profile->quantile_count;
}

static int check_tap(const struct profile *profile, struct err *err)
{
    if (is_tap_empty(profile))
        return 0;
    if (!is_tap_whole(profile) || profile->channels > PROFILE_MAX_CHANNELS ||
        profile->prototype_count > PROFILE_MAX_PROTOTYPES || profile->quantile_count > PROFILE_MAX_QUANTILES)
        return err_set(err, ERR_INVALID, "profile: tap, prototypes and distances go together");
    for (size_t i = 0; i < (size_t)profile->channels * PROFILE_DIMS; i++)
        if (!is_number((double)profile->projection[i]))
            return err_set(err, ERR_INVALID, "profile: number %zu of the projection cannot be", i);
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        if (!is_number((double)profile->offset[i]))
            return err_set(err, ERR_INVALID, "profile: number %zu of the offset cannot be", i);
    if (!ascends(profile->quantiles, profile->quantile_count) || profile->quantiles[0] < 0)
        return err_set(err, ERR_INVALID, "profile: the distances must ascend from 0");
    return 0;
}

int profile_check(const struct profile *profile, struct err *err)
{
    if (check_signals(profile, err) < 0 || check_accuracy(profile, err) < 0)
        return -1;
    return check_tap(profile, err);
}
