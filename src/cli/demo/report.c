#include "cli/demo/report.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"

#include <math.h>

enum { FINAL = 1, BAD = 2 }; /* indices into play_warehouse.versions */

static const struct view_release *release_of(const struct view *view, const char *version)
{
    for (size_t i = 0; i < view->release_count; i++)
        if (str_eq(view->releases[i].version, version))
            return &view->releases[i];
    return NULL;
}

static void fill_version(struct report *report, size_t i, const struct view *view, struct tally *tally)
{
    const struct view_release *seen = release_of(view, play_warehouse.versions[i]);
    const struct tally_version *counted = &tally->versions[i];
    double map = counted->meter ? ap_meter_map(counted->meter, 0.5) : NAN;
    report->versions[i].release = play_warehouse.versions[i];
    report->versions[i].map50 = isnan(map) ? -1 : map;
    report->versions[i].latency_p50_ms = seen ? seen->latency_p50_ms : -1;
    report->versions[i].latency_p99_ms = seen ? seen->latency_p99_ms : -1;
    report->versions[i].frames = counted->frames;
    report->versions[i].frames_lost = counted->lost;
    report->versions[i].labelled = counted->labelled;
}

void report_make(const struct stage *stage, const struct story *story, const struct view *view,
                 const struct chaos *chaos, struct tally *tally, double story_seconds, struct report *out)
{
    *out = (struct report){.robots = stage->robots,
                           .kills = chaos->kills,
                           .bad_passed_canary = story->bad_wave > 0,
                           .unchecked_results = tally->unchecked,
                           .story_seconds = story_seconds,
                           .rollback_seconds = -1};
    for (size_t i = 0; i < view->robot_count; i++)
        out->robots_on_final += str_eq(view->robots[i].running, play_warehouse.versions[FINAL]);
    for (size_t i = 0; i < STAGE_RELEASES; i++) {
        fill_version(out, i, view, tally);
        str_copy(out->versions[i].backend, sizeof out->versions[i].backend, story->backends[i]);
    }
    const struct tally_version *bad = &tally->versions[BAD];
    out->bad_release_robots = bad->robots;
    if (bad->first_ms)
        out->rollback_seconds = (double)(bad->last_ms - bad->first_ms) / 1000;
    str_copy(out->bad_reason, sizeof out->bad_reason, story->bad_reason);
    out->bytes_moved = view->bytes_moved;
}

bool report_good(const struct report *report)
{
    return report->robots_on_final == report->robots && !report->bad_passed_canary &&
           report->unchecked_results == 0;
}

/* Rounded to `decimals`; null if it is negative: not known. */
static void put_number(struct json_writer *w, const char *key, double value, int decimals)
{
    double unit = decimals == 3 ? 1000 : 10;
    jsonw_real(w, key, value < 0 ? (double)NAN : round(value * unit) / unit);
}

static void put_version(struct json_writer *w, const struct report *report, size_t i)
{
    jsonw_object(w, NULL);
    jsonw_text(w, "release", report->versions[i].release);
    if (report->versions[i].backend[0])
        jsonw_text(w, "backend", report->versions[i].backend);
    else
        jsonw_nothing(w, "backend");
    put_number(w, "map50", report->versions[i].map50, 3);
    put_number(w, "latency_p50_ms", report->versions[i].latency_p50_ms, 3);
    put_number(w, "latency_p99_ms", report->versions[i].latency_p99_ms, 3);
    jsonw_u64(w, "frames", report->versions[i].frames);
    jsonw_u64(w, "frames_lost", report->versions[i].frames_lost);
    jsonw_u64(w, "frames_labelled", report->versions[i].labelled);
    jsonw_close(w);
}

int report_print_json(const struct report *report, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "robots", report->robots);
    jsonw_text(&w, "final_release", play_warehouse.versions[FINAL]);
    jsonw_i64(&w, "robots_on_final", report->robots_on_final);
    jsonw_text(&w, "bad_release", play_warehouse.versions[BAD]);
    jsonw_i64(&w, "bad_release_robots", report->bad_release_robots);
    jsonw_boolean(&w, "bad_release_passed_canary", report->bad_passed_canary);
    jsonw_text(&w, "bad_release_reason", report->bad_reason);
    jsonw_u64(&w, "unchecked_results", report->unchecked_results);
    jsonw_i64(&w, "kills", report->kills);
    jsonw_u64(&w, "bytes_moved", report->bytes_moved);
    put_number(&w, "rollback_seconds", report->rollback_seconds, 1);
    put_number(&w, "story_seconds", report->story_seconds, 1);
    jsonw_array(&w, "versions");
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        put_version(&w, report, i);
    jsonw_close(&w);
    jsonw_close(&w);
    return output_print(&w, err);
}

static const char *cell(char *out, size_t size, double value, int decimals)
{
    if (value < 0)
        return "-";
    snprintf(out, size, "%.*f", decimals, value);
    return out;
}

void report_print_table(const struct report *report, const struct story *story)
{
    printf("\n%-9s %9s %11s %11s %9s %11s\n", "release", "mAP@0.5", "p50 ms", "p99 ms", "frames",
           "frames lost");
    for (size_t i = 0; i < STAGE_RELEASES; i++) {
        char map[24], p50[24], p99[24];
        printf("%-9s %9s %11s %11s %9llu %11llu\n", report->versions[i].release,
               cell(map, sizeof map, report->versions[i].map50, 3),
               cell(p50, sizeof p50, report->versions[i].latency_p50_ms, 1),
               cell(p99, sizeof p99, report->versions[i].latency_p99_ms, 1),
               (unsigned long long)report->versions[i].frames,
               (unsigned long long)report->versions[i].frames_lost);
    }
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        if (report->versions[i].backend[0])
            printf("%s%s ran on %s\n", i ? "" : "\n", report->versions[i].release,
                   report->versions[i].backend);
    printf("\n%d of %d robots ended on %s. %s answered on %d robots", report->robots_on_final, report->robots,
           play_warehouse.versions[FINAL], play_warehouse.versions[BAD], report->bad_release_robots);
    if (report->rollback_seconds >= 0)
        printf(" and was gone %.1f s after its first answer", report->rollback_seconds);
    printf(".\n");
    if (story->bad_reason[0])
        printf("Why: %s.\n", story->bad_reason);
    printf("%llu unchecked results, %.1f MB moved over the air, %.0f s of story%s.\n",
           (unsigned long long)report->unchecked_results, (double)report->bytes_moved / 1e6,
           report->story_seconds, report->kills ? "" : ", nobody was killed");
    if (report->kills)
        printf("%d processes were killed on the way.\n", report->kills);
}
