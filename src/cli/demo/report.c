#include "cli/demo/report.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>

enum { FINAL = 1, BAD = 2 }; /* indices into stage_versions */

static const struct view_release *release_of(const struct view *view, const char *version)
{
    for (size_t i = 0; i < view->release_count; i++)
        if (str_eq(view->releases[i].version, version))
            return &view->releases[i];
    return NULL;
}

static void fill_version(struct report *report, size_t i, const struct view *view, struct tally *tally)
{
    const struct view_release *seen = release_of(view, stage_versions[i]);
    const struct tally_version *counted = &tally->versions[i];
    double map = counted->meter ? ap_meter_map(counted->meter, 0.5) : NAN;
    report->versions[i].release = stage_versions[i];
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
        out->robots_on_final += str_eq(view->robots[i].running, stage_versions[FINAL]);
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        fill_version(out, i, view, tally);
    const struct tally_version *bad = &tally->versions[BAD];
    out->bad_release_robots = bad->robots;
    if (bad->first_ms)
        out->rollback_seconds = (double)(bad->last_ms - bad->first_ms) / 1000;
    out->bytes_moved = view->bytes_moved;
}

bool report_good(const struct report *report)
{
    return report->robots_on_final == report->robots && !report->bad_passed_canary &&
           report->unchecked_results == 0;
}

static int put_number(struct buf *out, const char *key, double value, const char *fmt, struct err *err)
{
    char text[32];
    snprintf(text, sizeof text, str_eq(fmt, "3") ? "%.3f" : "%.1f", value);
    return buf_printf(out, err, "\"%s\":%s", key, value < 0 ? "null" : text);
}

static int put_version(struct buf *out, const struct report *report, size_t i, struct err *err)
{
    if (buf_printf(out, err, "%s{\"release\":\"%s\",", i ? "," : "", report->versions[i].release) < 0 ||
        put_number(out, "map50", report->versions[i].map50, "3", err) < 0 || buf_puts(out, ",", err) < 0 ||
        put_number(out, "latency_p50_ms", report->versions[i].latency_p50_ms, "3", err) < 0 ||
        buf_puts(out, ",", err) < 0 ||
        put_number(out, "latency_p99_ms", report->versions[i].latency_p99_ms, "3", err) < 0)
        return -1;
    return buf_printf(out, err, ",\"frames\":%llu,\"frames_lost\":%llu,\"frames_labelled\":%llu}",
                      (unsigned long long)report->versions[i].frames,
                      (unsigned long long)report->versions[i].frames_lost,
                      (unsigned long long)report->versions[i].labelled);
}

int report_print_json(const struct report *report, struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT(16384);
    if (buf_printf(&out, err,
                   "{\"robots\":%d,\"final_release\":\"%s\",\"robots_on_final\":%d,\"bad_release\":\"%s\","
                   "\"bad_release_robots\":%d,\"bad_release_passed_canary\":%s,\"unchecked_results\":%llu,"
                   "\"kills\":%d,\"bytes_moved\":%llu,",
                   report->robots, stage_versions[FINAL], report->robots_on_final, stage_versions[BAD],
                   report->bad_release_robots, report->bad_passed_canary ? "true" : "false",
                   (unsigned long long)report->unchecked_results, report->kills,
                   (unsigned long long)report->bytes_moved) < 0 ||
        put_number(&out, "rollback_seconds", report->rollback_seconds, "1", err) < 0 ||
        buf_puts(&out, ",", err) < 0 ||
        put_number(&out, "story_seconds", report->story_seconds, "1", err) < 0 ||
        buf_puts(&out, ",\"versions\":[", err) < 0)
        return -1;
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        if (put_version(&out, report, i, err) < 0)
            return -1;
    if (buf_puts(&out, "]}", err) < 0)
        return -1;
    puts(buf_text(&out));
    return 0;
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
    printf("\n%d of %d robots ended on %s. %s ran on %d robots", report->robots_on_final, report->robots,
           stage_versions[FINAL], stage_versions[BAD], report->bad_release_robots);
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
