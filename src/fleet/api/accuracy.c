/* GET /api/v1/accuracy?release=: how right a release is, by what people said and, where they said nothing, by its confidence; for the fleet and by site. */
#include "fleet/api/call.h"

#include "base/clock.h"
#include "base/str.h"
#include "fleet/blobs/blobs.h"
#include "fleet/core/numbers.h"
#include "fleet/review/accuracy.h"
#include "release/image.h"
#include "stats/drift/drift.h"
#include "sys/file.h"
#include "wire/profile.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_REVIEWS = 100000, ANSWERS_MS = 2 * 3600 * 1000 /* what the server has in minutes */ };
static const double ALPHA = 0.05;

struct seen { /* a robot that this operator may see */
    char id[API_ID_SIZE], site[64];
};

struct gathering {
    struct call *call;
    struct digest release;
    char release_text[DIGEST_TEXT_SIZE];
    struct accuracy *accuracy;
    struct seen *robots; /* by id */
    size_t count, space;
    int64_t now_ms;
    struct err *err;
    int rc;
};

static int by_id(const void *key, const void *item)
{
    return strcmp(key, ((const struct seen *)item)->id);
}

static const struct seen *find(const struct gathering *g, const char *robot)
{
    return g->count ? bsearch(robot, g->robots, g->count, sizeof *g->robots, by_id) : NULL;
}

/* ---- who, and how long they worked ---- */

static int add_work(struct gathering *g, const struct seen *robot)
{
    struct store *store = g->call->fleet->store;
    struct telemetry_row row;
    struct err absent = {0};
    if (store->ops->telemetry_get(store, &g->release, robot->id, &row, &absent) == 0)
        accuracy_add_work(g->accuracy, robot->site, &row);
    else if (absent.code != ERR_NOT_FOUND)
        return *g->err = absent, -1;
    return 0;
}

static int on_robot(const struct robot_row *row, void *arg)
{
    struct gathering *g = arg;
    struct err denied = {0};
    if (call_may(g->call, RIGHT_SEE, row, &denied) < 0)
        return 0;
    if (g->count == g->space) {
        size_t space = g->space ? g->space * 2 : 64;
        struct seen *wider = mem_grow(g->robots, space, sizeof *wider);
        if (!wider)
            return g->rc = err_no_memory(g->err);
        g->robots = wider;
        g->space = space;
    }
    struct seen *robot = &g->robots[g->count++];
    *robot = (struct seen){0};
    str_copy(robot->id, sizeof robot->id, row->id);
    str_copy(robot->site, sizeof robot->site, view_site(row));
    return g->rc = add_work(g, robot);
}

/* ---- what people said ---- */

static int on_review(const struct review_row *row, void *arg)
{
    struct gathering *g = arg;
    return find(g, row->robot) ? g->rc = accuracy_add_review(g->accuracy, row, g->err) : 0;
}

static int on_missed(const struct missed_row *row, void *arg)
{
    struct gathering *g = arg;
    if (find(g, row->robot))
        accuracy_add_missed(g->accuracy, row);
    return 0;
}

/* ---- what robots said ---- */

static bool is_recent(const struct gathering *g, int64_t time_ms)
{
    return time_ms > g->now_ms - ANSWERS_MS;
}

static int on_bin(struct series *series, void *arg)
{
    struct gathering *g = arg;
    const struct seen *robot = find(g, series->robot);
    const float most = 1e12F; /* of a minute: robots may say anything */
    uint64_t bin, sum = 0;
    if (!robot || !str_eq(series->release, g->release_text) || !str_to_u64(series->word, &bin))
        return 0;
    for (size_t i = 0; i < series->minute_count; i++)
        if (is_recent(g, (int64_t)series->minutes[i].minute * 60000) && series->minutes[i].sum > 0)
            sum += (uint64_t)MIN(series->minutes[i].sum, most);
    accuracy_add_answers(g->accuracy, robot->site, (size_t)bin, sum);
    return 0;
}

static int on_drift(struct series *series, void *arg)
{
    struct gathering *g = arg;
    const struct seen *robot = find(g, series->robot);
    long cause = lround(series->last);
    if (robot && str_eq(series->release, g->release_text) && is_recent(g, series->last_ms) &&
        (cause == DRIFT_MODEL || cause == DRIFT_NOVELTY))
        accuracy_add_drift(g->accuracy, robot->site);
    return 0;
}

static int gather(struct gathering *g)
{
    struct store *store = g->call->fleet->store;
    struct series_set *series = numbers_series(g->call->fleet->numbers);
    const struct review_filter filter = {
        .robot = "", .release = g->release, .open = -1, .reason = -1, .limit = MOST_REVIEWS};
    if (store->ops->robot_each(store, "", -1, on_robot, g, g->err) < 0 || g->rc < 0 ||
        store->ops->review_each(store, &filter, on_review, g, g->err) < 0 || g->rc < 0 ||
        store->ops->missed_each(store, &g->release, on_missed, g, g->err) < 0)
        return -1;
    series_each(series, NULL, "muster.confidence.bin", on_bin, g);
    series_each(series, NULL, "muster.drift.alarm", on_drift, g);
    return 0;
}

/* A release without a profile, or one that cannot be read, has no reference: that is said, and is no error. */
static bool load_reference(struct call *call, const struct digest *release, struct labelfree_reference *out)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    cleanup_free char *path = NULL;
    cleanup_buf struct buf bytes = BUF_INIT(PROFILE_MAX_BYTES);
    cleanup_profile struct profile profile = {0};
    struct err ignored = {0};
    if (!image || image_open(blobs_dir(call->fleet->blobs), release, image, &ignored) < 0)
        return false;
    int rc = image_profile_path(image, &path, &ignored);
    image_close(image);
    if (rc < 0 || !path || file_read(path, &bytes, &ignored) < 0 ||
        profile_parse(bytes.data, bytes.len, &profile, &ignored) < 0)
        return false;
    *out = profile.accuracy;
    return true;
}

/* ---- the answer ---- */

static void put_estimate(struct json_writer *w, const char *key, const struct review_estimate *estimate)
{
    jsonw_object(w, key);
    jsonw_real(w, "value", estimate->value);
    jsonw_real(w, "low", estimate->low);
    jsonw_real(w, "high", estimate->high);
    jsonw_real(w, "evidence", isnan(estimate->evidence) ? 0 : estimate->evidence);
    jsonw_close(w);
}

static void put_alarms(struct json_writer *w, const struct accuracy_counts *counts,
                       const struct accuracy_words *words)
{
    jsonw_object(w, "alarms");
    jsonw_u64(w, "count", counts->alarms);
    jsonw_u64(w, "open", counts->alarms_open);
    jsonw_u64(w, "true", counts->alarms_true);
    jsonw_u64(w, "false", counts->alarms_false);
    jsonw_u64(w, "unsure", counts->alarms_unsure);
    jsonw_u64(w, "missed", counts->missed);
    put_estimate(w, "precision", &words->alarm_precision);
    put_estimate(w, "recall", &words->alarm_recall);
    put_estimate(w, "false_per_hour", &words->false_alarms_per_hour);
    jsonw_close(w);
}

static void put_frames(struct json_writer *w, const struct accuracy_counts *counts,
                       const struct accuracy_words *words)
{
    jsonw_object(w, "frames");
    jsonw_u64(w, "audits", counts->audits);
    jsonw_u64(w, "open", counts->audits_open);
    jsonw_u64(w, "unsure", counts->audits_unsure);
    jsonw_u64(w, "chosen", counts->chosen);
    jsonw_u64(w, "chosen_open", counts->chosen_open);
    put_estimate(w, "precision", &words->frame_precision);
    put_estimate(w, "recall", &words->frame_recall);
    jsonw_close(w);
}

static void put_drills(struct json_writer *w, const struct accuracy_counts *counts)
{
    jsonw_object(w, "drills");
    jsonw_u64(w, "tp", counts->drill_tp);
    jsonw_u64(w, "fp", counts->drill_fp);
    jsonw_u64(w, "fn", counts->drill_fn);
    jsonw_close(w);
}

static void put_unlabelled(struct json_writer *w, const struct labelfree_estimate *estimate)
{
    jsonw_object(w, "unlabelled");
    jsonw_real(w, "accuracy", estimate->accuracy);
    jsonw_real(w, "doc", estimate->doc);
    jsonw_real(w, "atc", estimate->atc);
    jsonw_real(w, "cbpe", estimate->cbpe);
    jsonw_u64(w, "answers", estimate->answers);
    jsonw_boolean(w, "valid", estimate->valid);
    jsonw_text(w, "because", estimate->because ? estimate->because : "");
    jsonw_close(w);
}

static void put_group(struct json_writer *w, const struct gathering *g, size_t index,
                      const struct labelfree_reference *reference)
{
    const struct accuracy_counts *counts = accuracy_at(g->accuracy, index);
    struct accuracy_words words;
    accuracy_judge(g->accuracy, index, reference, ALPHA, &words);
    jsonw_object(w, NULL);
    if (index)
        jsonw_text(w, "site", counts->site);
    else
        jsonw_nothing(w, "site");
    jsonw_real(w, "operating_hours", (double)counts->operating_ms / 3.6e6);
    put_alarms(w, counts, &words);
    put_frames(w, counts, &words);
    put_drills(w, counts);
    put_unlabelled(w, &words.unlabelled);
    jsonw_close(w);
}

static int answer(struct gathering *g)
{
    cleanup_json_writer struct json_writer w;
    struct labelfree_reference reference;
    bool known = load_reference(g->call, &g->release, &reference);
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view_release_ref(&w, "release", g->call->fleet, &g->release);
    jsonw_real(&w, "alpha", ALPHA);
    jsonw_array(&w, "groups");
    for (size_t i = 0; i < accuracy_count(g->accuracy); i++)
        put_group(&w, g, i, known ? &reference : NULL);
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(g->call, 200, &w, g->err);
}

int accuracy_get(struct call *call, struct err *err)
{
    struct gathering g = {.call = call, .now_ms = clock_wall_ms(), .err = err};
    struct release_row row;
    const char *release = http_query(call->request, "release");
    if (!release || !digest_parse(release, &g.release))
        return err_set(err, ERR_INVALID, "release: sha256: and 64 hexadecimal digits are wanted");
    str_copy(g.release_text, sizeof g.release_text, digest_format(&g.release).text);
    if (call->fleet->store->ops->release_get(call->fleet->store, &g.release, &row, err) < 0 ||
        accuracy_new(&g.accuracy, err) < 0)
        return -1;
    int rc = gather(&g);
    if (rc == 0)
        rc = answer(&g);
    accuracy_free(g.accuracy);
    free(g.robots);
    return rc;
}
