/* GET /metrics in the Prometheus text format, and GET /healthz. */
#include "base/clock.h"
#include "fleet/api/call.h"
#include "fleet/api/prometheus_robots.h"
#include "fleet/authority/authority.h"

#include <math.h>

enum { TEXT_MAX_BYTES = 16 << 20 };

struct page {
    struct fleet *fleet;
    struct buf text;
    struct err err; /* the first one */
    uint64_t presence[PRESENCE_COUNT];
    uint64_t rollouts[ROLLOUT_STATE_COUNT];
};

#define line(page, ...)                                                                                      \
    do {                                                                                                     \
        if ((page)->err.code == ERR_NONE)                                                                    \
            (void)!buf_printf(&(page)->text, &(page)->err, __VA_ARGS__);                                     \
    } while (0)

static void head(struct page *page, const char *name, const char *type, const char *help)
{
    line(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct page *page, const char *name, const char *help, uint64_t value)
{
    head(page, name, "counter", help);
    line(page, "%s %llu\n", name, (unsigned long long)value);
}

static void count_presence(struct roster_entry *entry, void *arg)
{
    struct page *page = arg;
    page->presence[roster_presence(entry, clock_mono_ms())]++;
}

static int count_rollout(const struct rollout_row *row, void *arg)
{
    struct page *page = arg;
    page->rollouts[row->rollout.state]++;
    return 0;
}

static void write_fleet(struct page *page)
{
    roster_each(page->fleet->roster, count_presence, page);
    head(page, "muster_robots", "gauge", "Robots by presence.");
    for (int i = 0; i < PRESENCE_COUNT; i++)
        line(page, "muster_robots{presence=\"%s\"} %llu\n", presence_name((enum presence)i),
             (unsigned long long)page->presence[i]);
    struct err err = {0};
    if (page->fleet->store->ops->rollout_each(page->fleet->store, false, count_rollout, page, &err) < 0)
        page->err = err;
    head(page, "muster_rollouts", "gauge", "Rollouts by state.");
    for (int i = 0; i < ROLLOUT_STATE_COUNT; i++)
        line(page, "muster_rollouts{state=\"%s\"} %llu\n", rollout_state_name((enum rollout_state)i),
             (unsigned long long)page->rollouts[i]);
}

static void write_server(struct page *page)
{
    const struct fleet_counters *c = &page->fleet->counters;
    const struct group_stats *group = group_stats(page->fleet->group);
    head(page, "muster_requests_total", "counter", "Requests that were let in, by port.");
    line(page, "muster_requests_total{port=\"robot\"} %llu\n", (unsigned long long)c->robot_requests);
    line(page, "muster_requests_total{port=\"operator\"} %llu\n", (unsigned long long)c->operator_requests);
    counter(page, "muster_requests_refused_total", "Requests without the right to be made.", c->refused);
    counter(page, "muster_reports_total", "Records applied.", c->reports);
    counter(page, "muster_report_replays_total", "Records that were applied before.", c->report_replays);
    counter(page, "muster_exports_total", "Telemetry exports applied.", c->exports);
    counter(page, "muster_export_replays_total", "Telemetry exports that were applied before.",
            c->export_replays);
    counter(page, "muster_export_gaps_total", "Telemetry exports that never came.", c->export_gaps);
    counter(page, "muster_commits_total", "Transactions on disk.", group->commits);
    counter(page, "muster_commit_failures_total", "Transactions that failed.", group->failures);
    counter(page, "muster_replies_parked_total", "Replies that waited for a commit.", group->parked);
    head(page, "muster_commit_seconds", "summary", "Time of a commit.");
    static const double quantiles[] = {0.5, 0.99};
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        line(page, "muster_commit_seconds{quantile=\"%g\"} %g\n", quantiles[i],
             exphist_quantile(&group->commit_ms, quantiles[i]) / 1000);
    line(page, "muster_commit_seconds_sum %g\nmuster_commit_seconds_count %llu\n",
         group->commit_ms.sum / 1000, (unsigned long long)group->commit_ms.count);
    head(page, "muster_start_time_seconds", "gauge", "When this server started.");
    line(page, "muster_start_time_seconds %lld\n", (long long)(page->fleet->started_ms / 1000));
}

static void write_trust(struct page *page)
{
    int64_t version, expires_s;
    head(page, "muster_trust_expires_seconds", "gauge", "Until metadata of the TUF repository expire.");
    for (int kind = 0; kind < TUF_KIND_COUNT; kind++)
        if (authority_expiry(page->fleet->authority, (enum tuf_kind)kind, &version, &expires_s))
            line(page, "muster_trust_expires_seconds{role=\"%s\"} %lld\n", tuf_kind_name((enum tuf_kind)kind),
                 (long long)(expires_s - clock_wall_ms() / 1000));
}

/* Prometheus wants all lines of one metric together, so the releases are walked once per metric. */
struct release_metric {
    const char *name, *type, *help;
    double (*value)(const struct telemetry_row *row);
};

static double frames(const struct telemetry_row *row)
{
    return (double)row->frames;
}

static double results(const struct telemetry_row *row)
{
    return (double)row->results;
}

static double lost(const struct telemetry_row *row)
{
    return (double)row->lost;
}

static double latency_p50(const struct telemetry_row *row)
{
    return exphist_quantile(&row->latency_ms, 0.5) / 1000;
}

static double latency_p99(const struct telemetry_row *row)
{
    return exphist_quantile(&row->latency_ms, 0.99) / 1000;
}

static double accuracy(const struct telemetry_row *row)
{
    return view_f1(row->score_tp, row->score_fp, row->score_fn);
}

static const struct release_metric release_metrics[] = {
    {"muster_release_frames_total", "counter", "Frames submitted.", frames},
    {"muster_release_results_total", "counter", "Results the guard let pass.", results},
    {"muster_release_frames_lost_total", "counter", "Frames without a usable result.", lost},
    {"muster_release_latency_p50_seconds", "gauge", "Inference latency, median, over all time.", latency_p50},
    {"muster_release_latency_p99_seconds", "gauge", "Inference latency, 99th percentile, over all time.",
     latency_p99},
    {"muster_release_accuracy_f1", "gauge", "F1 on labelled frames.", accuracy},
};

struct release_walk {
    struct page *page;
    const struct release_metric *metric; /* NULL: interventions */
};

/* Classic buckets out of the exponential ones: a bucket that reaches over an edge counts below it. */
static void write_buckets(struct page *page, const struct release_row *row, const struct exphist *latency_ms)
{
    static const double edges_s[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5};
    static const char name[] = "muster_release_latency_seconds";
    for (size_t i = 0; i < ARRAY_LEN(edges_s); i++)
        line(page, "%s_bucket{release=\"%s\",version=\"%s\",le=\"%g\"} %llu\n", name, row->name, row->version,
             edges_s[i],
             (unsigned long long)(latency_ms->count - exphist_count_above(latency_ms, edges_s[i] * 1000)));
    line(page, "%s_bucket{release=\"%s\",version=\"%s\",le=\"+Inf\"} %llu\n", name, row->name, row->version,
         (unsigned long long)latency_ms->count);
    line(page, "%s_sum{release=\"%s\",version=\"%s\"} %.10g\n", name, row->name, row->version,
         latency_ms->sum / 1000);
    line(page, "%s_count{release=\"%s\",version=\"%s\"} %llu\n", name, row->name, row->version,
         (unsigned long long)latency_ms->count);
}

static int write_histogram(const struct release_row *row, void *arg)
{
    struct page *page = arg;
    struct telemetry_row telemetry;
    struct err absent = {0};
    if (page->fleet->store->ops->telemetry_get(page->fleet->store, &row->digest, "", &telemetry, &absent) ==
        0)
        write_buckets(page, row, &telemetry.latency_ms);
    return 0;
}

static int write_release(const struct release_row *row, void *arg)
{
    struct release_walk *walk = arg;
    struct fleet *fleet = walk->page->fleet;
    struct telemetry_row telemetry;
    struct err absent = {0};
    if (fleet->store->ops->telemetry_get(fleet->store, &row->digest, "", &telemetry, &absent) < 0)
        return 0;
    if (walk->metric) {
        double value = walk->metric->value(&telemetry);
        if (!isnan(value))
            line(walk->page, "%s{release=\"%s\",version=\"%s\"} %.10g\n", walk->metric->name, row->name,
                 row->version, value);
        return 0;
    }
    for (int i = 0; i < OTLP_REASONS; i++)
        line(walk->page,
             "muster_release_interventions_total{release=\"%s\",version=\"%s\",reason=\"%s\"} %llu\n",
             row->name, row->version, otlp_reason_names[i], (unsigned long long)telemetry.interventions[i]);
    return 0;
}

static int write_releases(struct page *page, struct err *err)
{
    struct store *store = page->fleet->store;
    for (size_t i = 0; i <= ARRAY_LEN(release_metrics); i++) {
        bool last = i == ARRAY_LEN(release_metrics);
        struct release_walk walk = {.page = page, .metric = last ? NULL : &release_metrics[i]};
        if (last)
            head(page, "muster_release_interventions_total", "counter",
                 "Frames the guard stepped in on, by reason.");
        else
            head(page, walk.metric->name, walk.metric->type, walk.metric->help);
        if (store->ops->release_each(store, write_release, &walk, err) < 0)
            return -1;
    }
    head(page, "muster_release_latency_seconds", "histogram", "Inference latency.");
    return store->ops->release_each(store, write_histogram, page, err);
}

int prometheus_get(struct call *call, struct err *err)
{
    struct page page = {.fleet = call->fleet, .text = BUF_INIT(TEXT_MAX_BYTES)};
    write_fleet(&page);
    write_server(&page);
    write_trust(&page);
    int rc = write_releases(&page, err);
    if (rc == 0 && page.err.code == ERR_NONE)
        rc = prometheus_numbers(page.fleet, &page.text, err);
    if (rc == 0 && page.err.code == ERR_NONE)
        rc = prometheus_robots(page.fleet, &page.text, err);
    if (rc == 0 && page.err.code != ERR_NONE) {
        *err = page.err;
        rc = -1;
    }
    if (rc < 0) {
        buf_fini(&page.text);
        return -1;
    }
    size_t len = page.text.len;
    char *text = buf_take(&page.text);
    if (!text)
        return err_no_memory(err);
    return call_bytes(call, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
}

int healthz_get(struct call *call, struct err *err)
{
    return call_json(call, 200, mem_strdup("{\"status\":\"ok\",\"version\":\"" MUSTER_VERSION "\"}"), err);
}
