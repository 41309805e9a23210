/* What several answers show in the same way. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"

#include <math.h>

const char *view_site(const struct robot_row *row)
{
    for (size_t i = 0; i < row->label_count; i++)
        if (str_eq(row->labels[i].key, "site"))
            return row->labels[i].value;
    return "";
}

double view_f1(uint64_t tp, uint64_t fp, uint64_t fn)
{
    double all = 2 * (double)tp + (double)fp + (double)fn;
    return all > 0 ? 2 * (double)tp / all : (double)NAN;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)MIN(part, whole) / (double)whole : (double)NAN;
}

static double quantile(const struct exphist *hist, double q)
{
    return hist->count ? exphist_quantile(hist, q) : (double)NAN;
}

/* Those that speak against the release. */
static uint64_t interventions(const struct telemetry_row *row)
{
    uint64_t sum = 0;
    for (int i = 0; i < OTLP_REASONS; i++)
        sum += i == OTLP_REASON_OVERSIGHT ? 0 : row->interventions[i];
    return sum;
}

void view_release_ref(struct json_writer *w, const char *key, struct fleet *fleet,
                      const struct digest *digest)
{
    struct release_row row = {0};
    struct err unknown = {0};
    if (digest_is_zero(digest)) {
        jsonw_nothing(w, key);
        return;
    }
    bool known = fleet->store->ops->release_get(fleet->store, digest, &row, &unknown) == 0;
    jsonw_object(w, key);
    jsonw_digest(w, "digest", digest);
    jsonw_text(w, "name", known ? row.name : "");
    jsonw_text(w, "version", known ? row.version : "");
    jsonw_close(w);
}

int view_budget(struct fleet *fleet, const struct digest *release, double *out_ms)
{
    struct release_row row = {0};
    struct err unknown = {0};
    if (fleet->store->ops->release_get(fleet->store, release, &row, &unknown) < 0)
        return -1;
    *out_ms = row.latency_p99_ms;
    return 0;
}

static void write_interventions(struct json_writer *w, const struct telemetry_row *row)
{
    jsonw_object(w, "interventions");
    for (int i = 0; i < OTLP_REASONS; i++)
        jsonw_u64(w, otlp_reason_names[i], row->interventions[i]);
    jsonw_close(w);
}

static void write_score(struct json_writer *w, const struct telemetry_row *row)
{
    jsonw_object(w, "score");
    jsonw_u64(w, "frames", row->score_frames);
    jsonw_u64(w, "tp", row->score_tp);
    jsonw_u64(w, "fp", row->score_fp);
    jsonw_u64(w, "fn", row->score_fn);
    jsonw_real(w, "f1", view_f1(row->score_tp, row->score_fp, row->score_fn));
    jsonw_close(w);
}

void view_telemetry(struct json_writer *w, const struct telemetry_row *row, double budget_ms)
{
    const struct exphist *latency = &row->latency_ms;
    jsonw_u64(w, "robots", row->robots);
    jsonw_u64(w, "frames", row->frames);
    jsonw_u64(w, "results", row->results);
    jsonw_u64(w, "lost", row->lost);
    jsonw_real(w, "latency_p50_ms", quantile(latency, 0.5));
    jsonw_real(w, "latency_p99_ms", quantile(latency, 0.99));
    jsonw_real(w, "frame_p50_ms", quantile(&row->frame_ms, 0.5));
    jsonw_real(w, "frame_p99_ms", quantile(&row->frame_ms, 0.99));
    jsonw_real(w, "over_budget_share",
               latency->count ? exphist_share_above(latency, budget_ms) : (double)NAN);
    jsonw_real(w, "intervention_share", share(interventions(row), row->frames));
    write_interventions(w, row);
    jsonw_u64(w, "detections", row->detections);
    jsonw_real(w, "confidence_mean",
               row->detections ? row->confidence_sum / (double)row->detections : (double)NAN);
    write_score(w, row);
}

static void write_guard(struct json_writer *w, const struct robot_row *row)
{
    if (!row->guard) {
        jsonw_nothing(w, "guard");
        return;
    }
    jsonw_object(w, "guard");
    jsonw_text(w, "state", api_guard_name(row->guard));
    jsonw_i64(w, "since_ms", row->guard_ms);
    jsonw_text(w, "who", row->guard_who);
    jsonw_text(w, "text", row->guard_text);
    jsonw_close(w);
}

static void write_quarantine(struct json_writer *w, const struct robot_row *row)
{
    if (!row->quarantined_ms) {
        jsonw_nothing(w, "quarantined");
        return;
    }
    jsonw_object(w, "quarantined");
    jsonw_i64(w, "since_ms", row->quarantined_ms);
    jsonw_text(w, "text", row->quarantine_text);
    jsonw_close(w);
}

/* Presence, taken apart: presence.h. */
static void write_facets(struct json_writer *w, const struct roster_entry *entry)
{
    int64_t mono_ms = clock_mono_ms();
    int64_t silence_ms = entry ? roster_silence_ms(entry, mono_ms) : -1;
    static const struct presence_link none;
    jsonw_object(w, "facets");
    jsonw_text(w, "link", presence_facet_name(presence_link_facet(entry ? &entry->link : &none, silence_ms)));
    jsonw_text(w, "agent", presence_facet_name(presence_agent_facet(silence_ms)));
    jsonw_text(w, "inference",
               presence_facet_name(entry ? presence_inference_facet(&entry->work, mono_ms) : FACET_UNKNOWN));
    jsonw_close(w);
    jsonw_boolean(w, "expected_offline", entry && entry->expected);
}

void view_robot(struct json_writer *w, struct fleet *fleet, const struct robot_row *row)
{
    struct roster_entry *entry = roster_get(fleet->roster, row->id);
    struct telemetry_row shown;
    struct err absent = {0};
    if (fleet->store->ops->telemetry_get(fleet->store, &row->running, row->id, &shown, &absent) < 0)
        memset(&shown, 0, sizeof shown);
    jsonw_text(w, "id", row->id);
    jsonw_object(w, "labels");
    for (size_t i = 0; i < row->label_count; i++)
        jsonw_text(w, row->labels[i].key, row->labels[i].value);
    jsonw_close(w);
    jsonw_text(w, "presence",
               presence_name(entry ? roster_presence(entry, clock_mono_ms()) : PRESENCE_NEVER));
    write_facets(w, entry);
    if (entry && entry->seen_ms)
        jsonw_i64(w, "last_seen_ms", entry->seen_ms);
    else
        jsonw_nothing(w, "last_seen_ms");
    view_release_ref(w, "release", fleet, &row->running);
    view_release_ref(w, "target", fleet, &row->target);
    jsonw_text(w, "phase", robot_phase_name(row->phase));
    jsonw_text(w, "phase_text", row->phase_text);
    write_guard(w, row);
    jsonw_u64(w, "frames", shown.frames);
    jsonw_u64(w, "results", shown.results);
    jsonw_u64(w, "lost", shown.lost);
    jsonw_real(w, "latency_p50_ms", quantile(&shown.latency_ms, 0.5));
    jsonw_real(w, "latency_p99_ms", quantile(&shown.latency_ms, 0.99));
    jsonw_real(w, "intervention_share", share(interventions(&shown), shown.frames));
    jsonw_real(w, "accuracy_f1", view_f1(shown.score_tp, shown.score_fp, shown.score_fn));
    jsonw_boolean(w, "revoked", row->revoked);
    write_quarantine(w, row);
}
