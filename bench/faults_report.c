/* What is expected, what was seen, in words and numbers. */
#include "base/str.h"
#include "bench/faults.h"
#include "wire/json_stream.h"

#include <stdlib.h>

static const char *state_text(enum guard_state state)
{
    return state < GUARD_STATE_COUNT ? muster_state_name((enum muster_state)state) : "";
}

/* "safe (deadline or stale), auto; …" */
void expected_text(const struct fault_case *row, char *out, size_t size)
{
    size_t len = 0;
    const char *between = "";
    out[0] = 0;
    for (int i = MUSTER_OK; i <= MUSTER_SAFE; i++)
        if (row->answers & 1u << i) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", between,
                                    muster_answer_name((enum muster_answer)i));
            between = " or ";
        }
    between = " (";
    for (int i = 0; i <= MUSTER_REASON_INVALID; i++)
        if (row->reasons & 1u << i) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", between,
                                    muster_reason_name((enum muster_reason)i));
            between = " or ";
        }
    len += (size_t)snprintf(out + len, size - len, "%s", row->reasons ? ")" : "");
    if (row->state < GUARD_STATE_COUNT)
        snprintf(out + len, size - len, ", %s", state_text(row->state));
}

static bool right(const struct fault_case *row, const struct sight *seen, enum guard_state state)
{
    if (seen->wrong[0])
        return false;
    bool answer = !row->answers || row->answers & 1u << seen->answer;
    bool reason = !row->reasons || row->reasons & 1u << seen->reason;
    return answer && reason && (row->state == GUARD_STATE_COUNT || row->state == state);
}

void tally_note(struct tally *tally, const struct sight *seen, enum guard_state state)
{
    if (seen->impossible[0]) {
        tally->impossible++;
        str_copy(tally->because, sizeof tally->because, seen->impossible);
        return;
    }
    bool ok = right(tally->row, seen, state);
    if (tally->wrong == 0) {
        int len = snprintf(tally->seen, sizeof tally->seen, "%s%s%s%s, %s", muster_answer_name(seen->answer),
                           seen->answer == MUSTER_OK ? "" : " (",
                           seen->answer == MUSTER_OK ? "" : muster_reason_name(seen->reason),
                           seen->answer == MUSTER_OK ? "" : ")", state_text(state));
        if (seen->wrong[0] && len < (int)sizeof tally->seen)
            snprintf(tally->seen + len, sizeof tally->seen - (size_t)len, "; %s", seen->wrong);
    }
    tally->us[tally->injections++] = seen->us;
    tally->wrong += !ok;
}

static int by_size(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Of sorted values, nearest rank. */
static int64_t quantile(const int64_t *us, size_t count, double q)
{
    size_t rank = (size_t)(q * (double)count + 0.999999);
    return count ? us[MAX(rank, (size_t)1) - 1] : 0;
}

static bool in_time(const struct tally *tally)
{
    return tally->row->measure == NOT_TIMED ||
           quantile(tally->us, tally->injections, 0.99) <= tally->row->bound_us;
}

static void sort(const struct campaign *campaign)
{
    for (size_t i = 0; i < campaign->count; i++)
        qsort(campaign->tallies[i].us, campaign->tallies[i].injections, sizeof(int64_t), by_size);
}

size_t campaign_bad(const struct campaign *campaign, bool states_only)
{
    size_t bad = 0;
    sort(campaign);
    for (size_t i = 0; i < campaign->count; i++)
        bad += campaign->tallies[i].wrong + (!states_only && !in_time(&campaign->tallies[i]));
    return bad;
}

/* All injections of one measure together. */
struct sum {
    int64_t *us; /* owned */
    size_t count;
};

static struct sum gather(const struct campaign *campaign, enum measure measure)
{
    struct sum sum = {0};
    for (size_t i = 0; i < campaign->count; i++)
        sum.count += campaign->tallies[i].row->measure == measure ? campaign->tallies[i].injections : 0;
    sum.us = mem_zalloc(sum.count + 1, sizeof sum.us[0]);
    size_t at = 0;
    for (size_t i = 0; sum.us && i < campaign->count; i++) {
        const struct tally *tally = &campaign->tallies[i];
        if (tally->row->measure != measure)
            continue;
        memcpy(sum.us + at, tally->us, tally->injections * sizeof sum.us[0]);
        at += tally->injections;
    }
    sum.count = at;
    if (sum.us)
        qsort(sum.us, sum.count, sizeof sum.us[0], by_size);
    return sum;
}

struct totals {
    size_t injections, wrong, not_possible, late;
};

static struct totals total(const struct campaign *campaign)
{
    struct totals totals = {0};
    for (size_t i = 0; i < campaign->count; i++) {
        const struct tally *tally = &campaign->tallies[i];
        totals.injections += tally->injections;
        totals.wrong += tally->wrong;
        totals.not_possible += tally->impossible > 0;
        totals.late += tally->injections > 0 && !in_time(tally);
    }
    return totals;
}

static void write_case(struct json_writer *out, const struct tally *tally)
{
    char expected[160];
    const struct fault_case *row = tally->row;
    expected_text(row, expected, sizeof expected);
    jsonw_object(out, NULL);
    jsonw_text(out, "name", row->name);
    jsonw_text(out, "expected", expected);
    jsonw_text(out, "seen", tally->impossible ? "" : tally->seen);
    jsonw_u64(out, "injections", tally->injections);
    jsonw_u64(out, "wrong", tally->wrong);
    if (row->measure != NOT_TIMED && tally->injections) {
        jsonw_i64(out, "p50_us", quantile(tally->us, tally->injections, 0.5));
        jsonw_i64(out, "p99_us", quantile(tally->us, tally->injections, 0.99));
        jsonw_i64(out, "max_us", quantile(tally->us, tally->injections, 1));
        jsonw_u64(out, "bound_us", row->bound_us);
    }
    jsonw_boolean(out, "ok", tally->injections > 0 && tally->wrong == 0 && in_time(tally));
    if (tally->impossible)
        jsonw_text(out, "not_possible_here", tally->because);
    jsonw_close(out);
}

void report_json(const struct campaign *campaign)
{
    cleanup_json_writer struct json_writer out;
    struct err err = {0};
    sort(campaign);
    struct totals totals = total(campaign);
    struct sum crash = gather(campaign, CRASH), over = gather(campaign, OVER_DEADLINE);
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "benchmark", "faults");
    jsonw_u64(&out, "injections", totals.injections);
    jsonw_u64(&out, "cases", campaign->count);
    jsonw_u64(&out, "cases_not_possible_here", totals.not_possible);
    jsonw_u64(&out, "wrong_state", totals.wrong);
    jsonw_u64(&out, "cases_over_bound", totals.late);
    jsonw_u64(&out, "crash_injections", crash.count);
    jsonw_i64(&out, "crash_to_safe_p50_us", quantile(crash.us, crash.count, 0.5));
    jsonw_i64(&out, "crash_to_safe_p99_us", quantile(crash.us, crash.count, 0.99));
    jsonw_i64(&out, "crash_to_safe_max_us", quantile(crash.us, crash.count, 1));
    jsonw_u64(&out, "hang_injections", over.count);
    jsonw_i64(&out, "hang_over_deadline_p50_us", quantile(over.us, over.count, 0.5));
    jsonw_i64(&out, "hang_over_deadline_p99_us", quantile(over.us, over.count, 0.99));
    jsonw_i64(&out, "hang_over_deadline_max_us", quantile(over.us, over.count, 1));
    jsonw_real(&out, "took_s", campaign->took_s);
    jsonw_boolean(&out, "niced", campaign->niced);
    jsonw_array(&out, "case");
    for (size_t i = 0; i < campaign->count; i++)
        write_case(&out, &campaign->tallies[i]);
    jsonw_close(&out);
    jsonw_close(&out);
    cleanup_free char *text = jsonw_take(&out, &err);
    puts(text ? text : err.text);
    free(crash.us);
    free(over.us);
}

void report_text(const struct campaign *campaign)
{
    sort(campaign);
    struct totals totals = total(campaign);
    struct sum crash = gather(campaign, CRASH), over = gather(campaign, OVER_DEADLINE);
    for (size_t i = 0; i < campaign->count; i++) {
        const struct tally *tally = &campaign->tallies[i];
        char expected[160];
        expected_text(tally->row, expected, sizeof expected);
        if (tally->impossible) {
            printf("-     %-36s not possible here: %s\n", tally->row->name, tally->because);
            continue;
        }
        printf("%s %-36s %5zu  p99 %7lld us, max %7lld us  %s\n",
               tally->wrong     ? "WRONG"
               : in_time(tally) ? "ok   "
                                : "SLOW ",
               tally->row->name, tally->injections, (long long)quantile(tally->us, tally->injections, 0.99),
               (long long)quantile(tally->us, tally->injections, 1), tally->seen);
        if (tally->wrong)
            printf("      %zu times; expected %s\n", tally->wrong, expected);
    }
    printf("%zu injections of %zu faults in %.0f s, %zu wrong; %zu cases are not possible here\n",
           totals.injections, campaign->count, campaign->took_s, totals.wrong, totals.not_possible);
    printf("crash to safe verdict (%zu): p50 %lld us, p99 %lld us, max %lld us\n", crash.count,
           (long long)quantile(crash.us, crash.count, 0.5), (long long)quantile(crash.us, crash.count, 0.99),
           (long long)quantile(crash.us, crash.count, 1));
    printf("hang, past the deadline (%zu): p50 %lld us, p99 %lld us, max %lld us\n", over.count,
           (long long)quantile(over.us, over.count, 0.5), (long long)quantile(over.us, over.count, 0.99),
           (long long)quantile(over.us, over.count, 1));
    free(crash.us);
    free(over.us);
}

static const char *measure_text(enum measure measure)
{
    static const char *const texts[] = {[CRASH] = "after the crash",
                                        [OVER_DEADLINE] = "after the deadline",
                                        [ANSWERED] = "after it",
                                        [NOT_TIMED] = "not timed"};
    return texts[measure];
}

static void bound_text(const struct fault_case *row, char *out, size_t size)
{
    if (row->measure == NOT_TIMED)
        str_copy(out, size, "not timed");
    else
        snprintf(out, size, "%g ms %s", row->bound_us / 1000.0, measure_text(row->measure));
}

void report_list(const struct campaign *campaign, bool markdown)
{
    if (markdown)
        puts("| case | injected | expected | within | of 10,000 |\n|---|---|---|---|---|");
    for (size_t i = 0; i < campaign->count; i++) {
        const struct tally *tally = &campaign->tallies[i];
        char expected[160], bound[48];
        expected_text(tally->row, expected, sizeof expected);
        bound_text(tally->row, bound, sizeof bound);
        const char *also = tally->row->also ? tally->row->also : "";
        if (markdown)
            printf("| `%s` | %s | %s%s%s | %s | %zu |\n", tally->row->name, tally->row->injected, expected,
                   also[0] ? "; " : "", also, bound, tally->times);
        else
            printf("%-38s %s%s%s (%s, %zu times)\n    %s\n", tally->row->name, expected, also[0] ? "; " : "",
                   also, bound, tally->times, tally->row->injected);
    }
}
