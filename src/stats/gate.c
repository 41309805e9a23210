#include "stats/gate.h"

#include "stats/bound.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* The rank-th smallest (from 1) by halving the range of values: no copy, no sorting. */
static int64_t nth_smallest(const int64_t *values, size_t count, size_t rank)
{
    int64_t low = values[0], high = values[0];
    for (size_t i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    while (low < high) { /* the answer is in [low, high] */
        int64_t middle = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
        size_t below = 0;
        for (size_t i = 0; i < count; i++)
            below += values[i] <= middle;
        if (below >= rank)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static size_t rank_of(size_t count, double share)
{
    size_t rank = (size_t)ceil(share * (double)count - 1e-9);
    return rank ? rank : 1;
}

static double quantile_ms(const int64_t *values, size_t count, double share)
{
    return count ? (double)nth_smallest(values, count, rank_of(count, share)) / 1e6 : NAN;
}

static size_t count_over(const int64_t *values, size_t count, int64_t limit)
{
    size_t over = 0;
    for (size_t i = 0; i < count; i++)
        over += values[i] > limit;
    return over;
}

static bool is_faster(double candidate, double parent)
{
    return candidate * GATE_MIN_SPEEDUP < parent;
}

static size_t count_faster(const struct gate_pairs *pairs, size_t first)
{
    size_t faster = 0;
    for (size_t i = first; i < pairs->count; i++)
        faster += is_faster((double)pairs->candidate_ns[i], (double)pairs->parent_ns[i]);
    return faster;
}

static double log_choose(double n, double k)
{
    int sign;
    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

/* If both were alike: the chance that among the `top` slowest of 2·count runs, half of them the parent's, at most `most` are the parent's. */
static double chance_of_few(size_t count, size_t top, size_t most)
{
    double n = (double)count, chance = 0;
    for (size_t j = 0; j <= most && j <= top; j++) {
        double mine = (double)j, other = (double)(top - j);
        if (mine <= n && other <= n)
            chance += exp(log_choose(n, mine) + log_choose(n, other) - log_choose(2 * n, (double)top));
    }
    return chance < 1 ? chance : 1;
}

/* Beyond the parent's p99 are x runs of the candidate: then of the x + j slowest runs at most j are the parent's, where the p99 is its (j + 1)-th
 * slowest. */
static bool tail_is_worse(const struct gate_pairs *pairs)
{
    size_t rank = rank_of(pairs->count, 0.99), above = pairs->count - rank;
    int64_t p99 = nth_smallest(pairs->parent_ns, pairs->count, rank);
    size_t over = count_over(pairs->candidate_ns, pairs->count, p99);
    return over > above && chance_of_few(pairs->count, over + above, above) <= GATE_ALPHA;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct gate_answer *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(out->reason, sizeof out->reason, fmt, args);
    va_end(args);
    return false;
}

static void measure_latency(const struct gate_pairs *pairs, struct gate_answer *out)
{
    size_t n = pairs->count, faster = count_faster(pairs, 0);
    out->parent_p50_ms = quantile_ms(pairs->parent_ns, n, 0.5);
    out->parent_p99_ms = quantile_ms(pairs->parent_ns, n, 0.99);
    out->candidate_p50_ms = quantile_ms(pairs->candidate_ns, n, 0.5);
    out->candidate_p99_ms = quantile_ms(pairs->candidate_ns, n, 0.99);
    out->speedup = out->candidate_p50_ms > 0 ? out->parent_p50_ms / out->candidate_p50_ms : NAN;
    out->faster_share = n ? (double)faster / (double)n : NAN;
    out->faster_share_lower = n ? bound_share_lower(faster, n, GATE_ALPHA) : NAN;
}

static bool latency_holds(const struct gate_pairs *pairs, struct gate_answer *out)
{
    size_t n = pairs->count, half = n / 2;
    if (n < GATE_MIN_PAIRS)
        return refuse(out, "too few runs: %zu pairs, %d are needed", n, GATE_MIN_PAIRS);
    if (out->faster_share_lower <= 0.5)
        return refuse(
            out,
            "not faster: p50 %.3f ms, the parent's is %.3f ms; faster by %.0f %% in %.0f %% of %zu pairs",
            out->candidate_p50_ms, out->parent_p50_ms, 100 * (GATE_MIN_SPEEDUP - 1), 100 * out->faster_share,
            n);
    if (bound_share_lower(count_faster(pairs, half), n - half, GATE_ALPHA) <= 0.5)
        return refuse(out, "fast only at first: p50 of the later half %.3f ms, the parent's is %.3f ms",
                      quantile_ms(pairs->candidate_ns + half, n - half, 0.5),
                      quantile_ms(pairs->parent_ns + half, n - half, 0.5));
    if (!is_faster(out->candidate_p50_ms, out->parent_p50_ms))
        return refuse(out, "not faster by %.0f %%: p50 %.3f ms, the parent's is %.3f ms",
                      100 * (GATE_MIN_SPEEDUP - 1), out->candidate_p50_ms, out->parent_p50_ms);
    if (out->candidate_p99_ms > out->parent_p99_ms && tail_is_worse(pairs))
        return refuse(out, "slower at worst: p99 %.3f ms, the parent's is %.3f ms", out->candidate_p99_ms,
                      out->parent_p99_ms);
    return true;
}

static bool memory_holds(const struct gate_question *q, struct gate_answer *out)
{
    if (!q->parent_memory || !q->candidate_memory ||
        (double)q->candidate_memory <= (double)q->parent_memory * GATE_MEMORY_SLACK + GATE_MEMORY_ROOM)
        return true;
    return refuse(out, "more memory: %.1f MB at the peak, the parent needs %.1f MB",
                  (double)q->candidate_memory / 1e6, (double)q->parent_memory / 1e6);
}

static void measure_fidelity(const struct gate_question *q, struct gate_answer *out)
{
    double sum = 0;
    size_t agree = 0;
    for (size_t i = 0; i < q->fidelity_count; i++) {
        double x = q->fidelity[i] > 0 ? fmin(q->fidelity[i], 1) : 0; /* NaN is nothing in common */
        sum += x;
        agree += x >= 1;
    }
    out->fidelity = q->fidelity_count ? sum / (double)q->fidelity_count : NAN;
    out->fidelity_lower = q->fidelity_binary ? bound_share_lower(agree, q->fidelity_count, GATE_ALPHA)
                                             : bound_mean_lower(q->fidelity, q->fidelity_count, GATE_ALPHA);
}

static bool fidelity_holds(const struct gate_question *q, struct gate_answer *out)
{
    const double least = 1 - q->max_drop, rounding = 1e-12;
    if (out->fidelity_lower >= least - rounding)
        return true;
    if (least >= 1)
        return refuse(out, "no number of samples proves that nothing is lost: allow a drop above 0");
    if (bound_share_lower(q->fidelity_count, q->fidelity_count, GATE_ALPHA) < least - rounding)
        return refuse(
            out,
            "too few samples: %zu held out prove at most %.4f, wanted is %.4f; %llu held-out samples "
            "can prove that",
            q->fidelity_count, bound_share_lower(q->fidelity_count, q->fidelity_count, GATE_ALPHA), least,
            (unsigned long long)bound_samples_needed(least, GATE_ALPHA));
    return refuse(out, "less faithful: at least %.4f on %zu held-out samples (mean %.4f), wanted is %.4f",
                  out->fidelity_lower, q->fidelity_count, out->fidelity, least);
}

static void praise(const struct gate_question *q, struct gate_answer *out)
{
    int len = 0;
    if (q->pairs.count)
        len = snprintf(out->reason, sizeof out->reason,
                       "%.2f times as fast (p50 %.3f ms, the parent's is %.3f ms)", out->speedup,
                       out->candidate_p50_ms, out->parent_p50_ms);
    if (q->fidelity)
        snprintf(out->reason + len, sizeof out->reason - (size_t)len,
                 "%sfaithful: at least %.4f on %zu held-out samples", len ? "; " : "", out->fidelity_lower,
                 q->fidelity_count);
}

void gate_judge(const struct gate_question *q, struct gate_answer *out)
{
    *out = (struct gate_answer){.parent_p50_ms = NAN,
                                .parent_p99_ms = NAN,
                                .candidate_p50_ms = NAN,
                                .candidate_p99_ms = NAN,
                                .speedup = NAN,
                                .faster_share = NAN,
                                .faster_share_lower = NAN,
                                .fidelity = NAN,
                                .fidelity_lower = NAN};
    if (q->pairs.count)
        measure_latency(&q->pairs, out);
    if (q->fidelity)
        measure_fidelity(q, out);
    if (!q->pairs.count && !q->fidelity) {
        refuse(out, "nothing was measured");
        return;
    }
    if (q->pairs.count && !latency_holds(&q->pairs, out))
        return;
    if (!memory_holds(q, out) || (q->fidelity && !fidelity_holds(q, out)))
        return;
    out->promoted = true;
    praise(q, out);
}
