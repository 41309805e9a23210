#include "stats/review.h"

#include "base/mem.h"
#include "stats/bound.h"

#include <math.h>
#include <stdbool.h>

static const struct review_estimate unknown = {.value = NAN, .low = NAN, .high = NAN};

/* Policies have few probabilities: verdicts of the same one count together. */
struct groups {
    size_t count;
    bool overflow;
    double probability[16], good[16], bad[16];
};

/* Halves until `refuted` (true on the side of `outside`) has its edge between them. */
struct question {
    bool (*refuted)(const struct question *question, double candidate);
    const struct review_verdicts *verdicts;
    const struct groups *groups;
    double least;                     /* of shares */
    double events, time, log_mixture; /* of rates */
    double log_limit;
};

static double find_edge(const struct question *question, double inside, double outside)
{
    enum { HALVINGS = 40 };
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (inside + outside) / 2;
        if (question->refuted(question, middle))
            outside = middle;
        else
            inside = middle;
    }
    return outside;
}

static double log_add(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return isinf(high) ? high : high + log1p(exp(low - high));
}

/* ---- shares ---- */

static bool counts(const struct review_verdicts *verdicts, size_t i)
{
    return verdicts->probability[i] > 0 && verdicts->probability[i] <= 1;
}

/* log of ∏ (1 + bet·(w/W)·(good - share)/share) for bets on "more", or the mirrored one on "less". */
static double log_wealth_one_by_one(const struct question *question, double won, bool more, double bet)
{
    enum {
        TOGETHER = 32
    }; /* factors between 0.01 and 10⁸: some of them fit in a double before a logarithm is taken */
    const struct review_verdicts *verdicts = question->verdicts;
    double sum = 0, product = 1;
    for (size_t i = 0; i < verdicts->count; i++) {
        if (!counts(verdicts, i))
            continue;
        double weight = question->least / fmax(verdicts->probability[i], question->least);
        bool win = (verdicts->good[i] != 0) == more;
        product *= 1 + bet * weight * (win ? won : -1);
        if (i % TOGETHER == 0) {
            sum += log(product);
            product = 1;
        }
    }
    return sum + log(product);
}

static double log_wealth(const struct question *question, double share, bool more, double bet)
{
    const struct groups *groups = question->groups;
    double won = more ? 1 / share - 1 : 1 / (1 - share) - 1, sum = 0;
    if (groups->overflow)
        return log_wealth_one_by_one(question, won, more, bet);
    for (size_t i = 0; i < groups->count; i++) {
        double weight = question->least / groups->probability[i];
        double wins = more ? groups->good[i] : groups->bad[i],
               losses = more ? groups->bad[i] : groups->good[i];
        sum += wins * log1p(bet * weight * won) + losses * log1p(-bet * weight);
    }
    return sum;
}

/* An even mixture of bettors, some bold, some careful: sum of their wealth against two sides of alpha. */
static bool refuted_by_bets(const struct question *question, double share, bool more)
{
    enum { BETTORS = 14 };
    double bet = 0.9, total = -INFINITY;
    for (int i = 0; i < BETTORS; i++, bet /= 1.8)
        total = log_add(total, log_wealth(question, share, more, bet));
    return total - log(BETTORS) >= question->log_limit + M_LN2;
}

static bool too_low(const struct question *question, double share)
{
    return refuted_by_bets(question, share, true);
}

static bool too_high(const struct question *question, double share)
{
    return refuted_by_bets(question, share, false);
}

static void group(const struct review_verdicts *verdicts, struct groups *out)
{
    *out = (struct groups){0};
    for (size_t i = 0; i < verdicts->count && !out->overflow; i++) {
        size_t k = 0;
        if (!counts(verdicts, i))
            continue;
        while (k < out->count && fabs(out->probability[k] - verdicts->probability[i]) > 0)
            k++;
        out->overflow = k == ARRAY_LEN(out->probability);
        if (out->overflow)
            return;
        out->count = MAX(out->count, k + 1);
        out->probability[k] = verdicts->probability[i];
        out->good[k] += verdicts->good[i] != 0;
        out->bad[k] += verdicts->good[i] == 0;
    }
}

struct summary {
    size_t count, good;
    double weight, good_weight, least, most;
};

static struct summary look(const struct review_verdicts *verdicts)
{
    struct summary seen = {.least = 1};
    for (size_t i = 0; i < verdicts->count; i++) {
        if (!counts(verdicts, i))
            continue;
        double weight = 1 / verdicts->probability[i];
        seen.count++;
        seen.good += verdicts->good[i] != 0;
        seen.weight += weight;
        seen.good_weight += verdicts->good[i] ? weight : 0;
        seen.least = fmin(seen.least, verdicts->probability[i]);
        seen.most = fmax(seen.most, verdicts->probability[i]);
    }
    return seen;
}

void review_share(const struct review_verdicts *verdicts, double alpha, struct review_estimate *out)
{
    const double outermost = 1e-8;
    struct summary seen = look(verdicts);
    *out = unknown;
    if (!seen.count)
        return;
    out->evidence = (double)seen.count;
    out->value = seen.good_weight / seen.weight;
    double least = verdicts->least > 0 ? fmin(verdicts->least, seen.least) : seen.least;
    if (least >= seen.most) {
        bound_share_anytime(seen.good, seen.count, alpha, &out->low, &out->high);
        return;
    }
    struct groups groups;
    group(verdicts, &groups);
    struct question question = {.refuted = too_low,
                                .verdicts = verdicts,
                                .groups = &groups,
                                .least = least,
                                .log_limit = -log(alpha)};
    out->low = seen.good ? find_edge(&question, out->value, outermost) : 0;
    question.refuted = too_high;
    out->high = seen.good < seen.count ? find_edge(&question, out->value, 1 - outermost) : 1;
    out->low = out->low > 2 * outermost ? out->low : 0;
    out->high = out->high < 1 - 2 * outermost ? out->high : 1;
}

/* ---- rates ---- */

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* log of ∫ prior(λ)·λᵏ·exp(-λt) dλ for an even mixture of Gamma priors. */
static double log_mixture(double events, double time)
{
    enum { LEAST = -4, MOST = 5 };
    const double shape = 0.5;
    double total = -INFINITY;
    for (int i = LEAST; i <= MOST; i++) {
        double b = pow(10, i);
        total = log_add(total, shape * log(b) - (events + shape) * log(b + time));
    }
    return total + log_gamma(events + shape) - log_gamma(shape) - log(MOST - LEAST + 1);
}

static bool rate_refuted(const struct question *question, double rate)
{
    double likelihood = (question->events > 0 ? question->events * log(rate) : 0) - rate * question->time;
    return question->log_mixture - likelihood >= question->log_limit;
}

void review_rate(uint64_t events, double time, double alpha, struct review_estimate *out)
{
    *out = unknown;
    if (!(time > 1e-12 && time < 1e15))
        return;
    struct question question = {.refuted = rate_refuted,
                                .events = (double)events,
                                .time = time,
                                .log_mixture = log_mixture((double)events, time),
                                .log_limit = -log(alpha)};
    double rate = (double)events / time, above = fmax(rate, 1 / time);
    out->evidence = (double)events;
    out->value = rate;
    out->low = events ? find_edge(&question, rate, 0) : 0;
    while (!rate_refuted(&question, above))
        above *= 2;
    out->high = find_edge(&question, rate, above);
}
