/* POST /v1/metrics: OTLP windows, each export counted once, added up per (release, robot) and per release; and numbers with a name (core/numbers.h). */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/core/numbers.h"
#include "wire/otlp.h"
#include "wire/otlp_points.h"

#include <math.h>

enum {
    LONGEST_WINDOW_MS = 3600000
}; /* of what counts as time at work: a robot that was away for long sends one window for all of it */

/* Sums stay below 2^63 and finite, whatever a robot says: a row that could not be read any more would stop
 * everybody's telemetry of that release. */
static void add(uint64_t *sum, uint64_t more)
{
    *sum = MIN(*sum + MIN(more, (uint64_t)INT64_MAX), (uint64_t)INT64_MAX);
}

static void merge(struct exphist *into, const struct exphist *from)
{
    if (from->count <= INT64_MAX - MIN(into->count, (uint64_t)INT64_MAX) && isfinite(into->sum + from->sum))
        exphist_merge(into, from);
}

static void add_window(struct telemetry_row *row, const struct otlp_window *window)
{
    row->first_ms = row->first_ms ? MIN(row->first_ms, window->start_ms) : window->start_ms;
    row->last_ms = MAX(row->last_ms, window->end_ms);
    add(&row->frames, window->frames);
    add(&row->results, window->results);
    add(&row->lost, window->lost);
    for (int i = 0; i < OTLP_REASONS; i++)
        add(&row->interventions[i], window->interventions[i]);
    add(&row->score_frames, window->score_frames);
    add(&row->score_tp, window->score_tp);
    add(&row->score_fp, window->score_fp);
    add(&row->score_fn, window->score_fn);
    add(&row->detections, window->detections);
    row->confidence_sum += window->confidence_sum;
    if (window->frames)
        row->operating_ms += MIN(window->end_ms - window->start_ms, (int64_t)LONGEST_WINDOW_MS);
    merge(&row->latency_ms, &window->latency_ms);
    merge(&row->frame_ms, &window->frame_ms);
}

/* The row of this robot ("": the fleet), empty if it is new. */
static int load_row(struct fleet *fleet, const struct digest *release, const char *robot,
                    struct telemetry_row *row, bool *out_new, struct err *err)
{
    *out_new = false;
    if (fleet->store->ops->telemetry_get(fleet->store, release, robot, row, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    *row = (struct telemetry_row){.release = *release};
    str_copy(row->robot, sizeof row->robot, robot);
    exphist_init(&row->latency_ms);
    exphist_init(&row->frame_ms);
    *out_new = true;
    return 0;
}

static int apply_window(struct call *call, const struct digest *release, const struct otlp_window *window,
                        struct err *err)
{
    struct store *store = call->fleet->store;
    struct telemetry_row robot, sum;
    bool new_robot, new_sum;
    if (load_row(call->fleet, release, call->robot.id, &robot, &new_robot, err) < 0 ||
        load_row(call->fleet, release, "", &sum, &new_sum, err) < 0)
        return -1;
    robot.robots = 1;
    sum.robots += new_robot;
    add_window(&robot, window);
    add_window(&sum, window);
    if (store->ops->telemetry_save(store, &robot, err) < 0)
        return -1;
    numbers_window(call->fleet, &robot, window);
    return store->ops->telemetry_save(store, &sum, err);
}

/* Releases that were never pushed here get no row: a robot cannot fill the table with names it made up. */
static bool known_release(struct fleet *fleet, const char *text, struct digest *out)
{
    struct release_row row = {0};
    struct err err = {0};
    return digest_parse(text, out) && fleet->store->ops->release_get(fleet->store, out, &row, &err) == 0;
}

static bool sane(const struct otlp_window *window)
{
    return window->start_ms >= 0 && window->end_ms >= window->start_ms &&
           exphist_valid(&window->latency_ms) && exphist_valid(&window->frame_ms);
}

static int apply_export(struct call *call, const struct otlp_export *export, struct err *err)
{
    for (size_t i = 0; i < export->window_count; i++) {
        const struct otlp_window *window = &export->windows[i];
        struct digest release;
        if (!sane(window))
            return err_set(err, ERR_INVALID, "window %zu: its times or histograms do not fit together", i);
        if (known_release(call->fleet, window->release, &release) &&
            apply_window(call, &release, window, err) < 0)
            return -1;
    }
    return 0;
}

/* Whether models answer: facet `inference` (presence.h). */
static void note_work(struct call *call, const struct otlp_export *export)
{
    struct roster_entry *entry = roster_get(call->fleet->roster, call->robot.id);
    uint64_t frames = 0, results = 0;
    int64_t end_ms = 0, length_ms = 0;
    for (size_t i = 0; i < export->window_count; i++) {
        const struct otlp_window *window = &export->windows[i];
        frames += window->frames > 0;
        results += window->results > 0;
        end_ms = MAX(end_ms, window->end_ms);
        length_ms = MAX(length_ms, window->end_ms - window->start_ms);
    }
    if (entry && export->window_count)
        presence_told(&entry->work, frames, results, length_ms, clock_wall_ms() - end_ms, clock_mono_ms());
}

/* One export in its two readings. */
struct export_parts {
    struct otlp_export windows;
    struct otlp_points points;
    uint64_t skipped; /* points that cannot be taken */
};

static int apply_once(struct call *call, const struct export_parts *parts, struct err *err)
{
    const struct otlp_export *export = &parts->windows;
    struct store *store = call->fleet->store;
    uint64_t last = 0;
    if (store->ops->stream_get(store, call->robot.id, STREAM_TELEMETRY, export->stream, &last, err) < 0)
        return -1;
    if (export->seq <= last) {
        call->fleet->counters.export_replays++;
        return 0;
    }
    call->fleet->counters.exports++;
    call->fleet->counters.export_gaps += export->seq - last - 1;
    call->fleet->dirty = true;
    if (apply_export(call, export, err) < 0 ||
        numbers_apply(call->fleet, call->robot.id, &parts->points, parts->skipped, err) < 0)
        return -1;
    note_work(call, export);
    return store->ops->stream_set(store, call->robot.id, STREAM_TELEMETRY, export->stream, export->seq,
                                  clock_wall_ms(), err);
}

static int check_export(const struct call *call, const struct otlp_export *export, struct err *err)
{
    if (!export->stream[0] || !export->seq || export->seq > INT64_MAX)
        return err_set(err, ERR_INVALID,
                       "telemetry without muster.stream and muster.seq cannot be counted once");
    if (export->robot[0] && !str_eq(export->robot, call->robot.id))
        return err_set(err, ERR_DENIED, "telemetry of robot %s came with the certificate of %s",
                       export->robot, call->robot.id);
    return 0;
}

int metrics_post(struct call *call, struct err *err)
{
    const char *encoding = http_header(call->request, "Content-Encoding");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return err_set(err, ERR_INVALID, "content encoding %.40s is not taken here; send it plain", encoding);
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_free struct export_parts *parts = mem_zalloc(1, sizeof *parts);
    if (!parts)
        return err_no_memory(err);
    if (otlp_parse(body, len, &parts->windows, err) < 0 ||
        otlp_points_parse(body, len, &parts->points, &parts->skipped, err) < 0)
        return -1;
    bool counts = parts->windows.window_count || parts->points.count || parts->skipped;
    if (counts && (check_export(call, &parts->windows, err) < 0 || apply_once(call, parts, err) < 0))
        return -1;
    cleanup_buf struct buf answer = BUF_INIT(1024);
    if (otlp_points_answer(parts->skipped, &answer, err) < 0)
        return -1;
    size_t size = answer.len;
    return call_bytes(call, 200, "application/x-protobuf", buf_take(&answer), size);
}
