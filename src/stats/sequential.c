#include "stats/sequential.h"
#include "base/mem.h"

#include <math.h>

/* Alternatives as multiples of the limit's odds: from "a bit more" to "nearly always". */
static const double odds_ratios[] = {1.3, 1.7, 2.5, 4, 8, 20, 100};

double sequential_log_e(uint64_t bad, uint64_t total, double limit)
{
    if (limit <= 0)
        return bad ? INFINITY : 0;
    if (limit >= 1 || !total)
        return 0;
    double good = (double)(total - bad), peak = -INFINITY, logs[ARRAY_LEN(odds_ratios)];
    for (size_t i = 0; i < ARRAY_LEN(odds_ratios); i++) {
        double odds = odds_ratios[i] * limit / (1 - limit);
        double share = odds / (1 + odds);
        logs[i] = (double)bad * log(share / limit) + good * log((1 - share) / (1 - limit));
        peak = fmax(peak, logs[i]);
    }
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(odds_ratios); i++)
        sum += exp(logs[i] - peak);
    return peak + log(sum / (double)ARRAY_LEN(odds_ratios));
}

bool sequential_exceeds(uint64_t bad, uint64_t total, double limit, double alpha)
{
    return sequential_log_e(bad, total, limit) >= -log(alpha);
}
