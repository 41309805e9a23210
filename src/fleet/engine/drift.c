/* What robots' watchers say, taken together, once a minute: fleet/watch/judge.h over the newest e-values of each release. */
#include "fleet/engine/drift.h"

#include "base/mem.h"
#include "base/str.h"
#include "fleet/core/numbers.h"
#include "fleet/watch/judge.h"

#include <math.h>

enum { FRESH_MS = 15 * 60000, BLOCK_S = 60, QUARTER_DAYS = 90, MAX_RELEASES = 256 };
enum { QUIET_MS = 3600000, TOUCH_MS = 300000, LAST_ROWS = 200 };
#define FALSE_DISCOVERIES 0.1

struct speaker {
    char robot[API_ID_SIZE], release[72];
    struct watch_voice voice;
};

struct hearing {
    int64_t now_ms;
    size_t count, space;
    struct speaker *speakers;
    bool no_memory;
};

static int hear_evidence(struct series *series, void *arg)
{
    struct hearing *hearing = arg;
    if (series->kind != OTLP_GAUGE || !str_eq(series->attribute, "muster.signal") ||
        !str_eq(series->word, "all") || !series->release[0] || hearing->now_ms - series->last_ms > FRESH_MS)
        return 0; /* one voice for each robot and release, whatever else it calls so */
    if (hearing->count == hearing->space) {
        size_t space = MAX(2 * hearing->space, (size_t)64);
        struct speaker *more = mem_grow(hearing->speakers, space, sizeof *more);
        if (!more)
            return hearing->no_memory = true, 1;
        hearing->speakers = more;
        hearing->space = space;
    }
    struct speaker *speaker = &hearing->speakers[hearing->count++];
    *speaker = (struct speaker){.voice = {.log10_e = series->last}};
    str_copy(speaker->robot, sizeof speaker->robot, series->robot);
    str_copy(speaker->release, sizeof speaker->release, series->release);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct speaker *x = a, *y = b;
    int robots = strcmp(x->robot, y->robot);
    return robots ? robots : strcmp(x->release, y->release);
}

/* The speakers are sorted by then. */
static int hear_alarm(struct series *series, void *arg)
{
    struct hearing *hearing = arg;
    struct speaker key = {0};
    str_copy(key.robot, sizeof key.robot, series->robot);
    str_copy(key.release, sizeof key.release, series->release);
    struct speaker *speaker =
        hearing->count ? bsearch(&key, hearing->speakers, hearing->count, sizeof key, by_name) : NULL;
    if (!speaker || series->kind != OTLP_GAUGE || series->attribute[0] ||
        !(series->last >= 1 && series->last < DRIFT_CAUSES))
        return 0;
    speaker->voice.alarm = true;
    speaker->voice.cause = (enum drift_cause)series->last;
    return 0;
}

/* ---- what people hear of it ---- */

static void name_robots(const struct speaker *const *speakers, const size_t *found, size_t count,
                        struct drift_row *row)
{
    row->robots[0] = 0;
    row->robot_count = count;
    for (size_t i = 0, used = 0; i < count; i++) {
        const char *robot = speakers[found[i]]->robot;
        if (used + strlen(robot) + 2 >= sizeof row->robots)
            break;
        used +=
            (size_t)snprintf(row->robots + used, sizeof row->robots - used, "%s%s", used ? " " : "", robot);
    }
}

/* ---- what people know already ---- */

struct last {
    const struct digest *release;
    const char *cause;
    bool known;
    struct drift_row row; /* the newest of them */
};

static int on_row(const struct drift_row *row, void *arg)
{
    struct last *last = arg;
    if (!digest_equal(&row->release, last->release) || !str_eq(row->cause, last->cause))
        return 0;
    last->known = true;
    last->row = *row;
    return 1;
}

static bool names_all(const struct drift_row *row, const struct speaker *const *speakers, const size_t *found,
                      size_t count)
{
    bool cut = strlen(row->robots) + API_ID_SIZE + 2 >= sizeof row->robots;
    for (size_t i = 0; i < count && !cut; i++)
        if (!drift_row_names(row, speakers[found[i]]->robot))
            return false;
    return count <= row->robot_count;
}

/* Acknowledged, it stands as it was, and it never went away: no news. A robot's own alarm goes when it hears of that (api/orders.c), which may be hours
 * later. */
static int is_known(struct fleet *fleet, const struct digest *release, const struct watch_finding *finding,
                    const struct speaker *const *speakers, const size_t *found, int64_t now_ms, bool *out,
                    struct err *err)
{
    struct store *store = fleet->store;
    struct last last = {.release = release, .cause = drift_cause_name(finding->cause)};
    if (store->ops->drift_each(store, false, LAST_ROWS, on_row, &last, err) < 0)
        return -1;
    int64_t heard_ms = MAX(last.row.updated_ms, last.row.closed_ms);
    *out = last.known && last.row.closed_ms && (last.row.common || !finding->common) &&
           now_ms - heard_ms < QUIET_MS && names_all(&last.row, speakers, found, finding->count);
    if (!*out || now_ms - heard_ms < TOUCH_MS)
        return 0;
    last.row.updated_ms = now_ms;
    return store->ops->drift_save(store, &last.row, err);
}

static int keep(struct fleet *fleet, const struct digest *release, const struct watch_finding *finding,
                size_t robots, const struct speaker *const *speakers, const size_t *found, int64_t now_ms,
                struct err *err)
{
    struct store *store = fleet->store;
    struct drift_row row;
    struct err absent = {0};
    const char *cause = drift_cause_name(finding->cause);
    if (store->ops->drift_open(store, release, cause, &row, &absent) < 0) {
        bool known = false;
        if (absent.code != ERR_NOT_FOUND)
            return *err = absent, -1;
        if (is_known(fleet, release, finding, speakers, found, now_ms, &known, err) < 0)
            return -1;
        if (known)
            return 0;
        row = (struct drift_row){.release = *release, .opened_ms = now_ms};
        str_copy(row.cause, sizeof row.cause, cause);
    }
    bool news = !row.id || (finding->common && !row.common) || finding->count > row.robot_count;
    if (!news)
        return 0;
    row.common = row.common || finding->common;
    row.updated_ms = now_ms;
    row.log10_e = MAX(row.log10_e, finding->log10_e);
    name_robots(speakers, found, finding->count, &row);
    snprintf(row.text, sizeof row.text, "%zu of %zu robots%s: %s", finding->count, robots,
             finding->common ? ", something common" : "", drift_remedy(finding->cause));
    if ((row.id ? store->ops->drift_save(store, &row, err)
                : store->ops->drift_add(store, &row, &row.id, err)) < 0)
        return -1;
    return fleet_event(fleet, "drift", NULL, err, "%s: %s", row.cause, row.text);
}

static int judge_release(struct fleet *fleet, const struct hearing *hearing, const char *release,
                         struct err *err)
{
    cleanup_free struct watch_voice *voices = mem_zalloc(hearing->count, sizeof *voices);
    cleanup_free const struct speaker **speakers = mem_zalloc(hearing->count, sizeof *speakers);
    cleanup_free double *logs = mem_zalloc(hearing->count, sizeof *logs);
    cleanup_free size_t *order = mem_zalloc(hearing->count, sizeof *order),
                        *found = mem_zalloc(hearing->count, sizeof *found);
    struct watch_finding finding;
    struct digest digest;
    size_t count = 0;
    if (!voices || !speakers || !logs || !order || !found)
        return err_no_memory(err);
    for (size_t i = 0; i < hearing->count; i++)
        if (str_eq(hearing->speakers[i].release, release)) {
            speakers[count] = &hearing->speakers[i];
            voices[count++] = hearing->speakers[i].voice;
        }
    const struct watch_limits limits = {.robot_arl = drift_budget(1, (double)count, QUARTER_DAYS, BLOCK_S),
                                        .fleet_arl = drift_budget(1, 1, QUARTER_DAYS, BLOCK_S),
                                        .share = MAX(0.01, MIN(2.0 / (double)count, 1.0)),
                                        .false_discoveries = FALSE_DISCOVERIES};
    watch_judge(voices, count, &limits, logs, order, found, &finding);
    if ((!finding.common && !finding.count) || !digest_parse(release, &digest))
        return 0;
    return keep(fleet, &digest, &finding, count, speakers, found, hearing->now_ms, err);
}

/* Robots may name any release: those that nobody pushed here are not spoken of. */
static int is_known_release(struct fleet *fleet, const char *release, bool *out, struct err *err)
{
    struct release_row row;
    struct digest digest;
    struct err absent = {0};
    *out = digest_parse(release, &digest) &&
           fleet->store->ops->release_get(fleet->store, &digest, &row, &absent) == 0;
    if (absent.code == ERR_NONE || absent.code == ERR_NOT_FOUND)
        return 0;
    *err = absent;
    return -1;
}

static int judge_all(struct fleet *fleet, const struct hearing *hearing, struct err *err)
{
    const char *done[MAX_RELEASES];
    size_t count = 0;
    for (size_t i = 0; i < hearing->count; i++) {
        bool seen = false;
        for (size_t k = 0; k < count && !seen; k++)
            seen = str_eq(done[k], hearing->speakers[i].release);
        bool known = false;
        if (seen || count == MAX_RELEASES)
            continue;
        if (is_known_release(fleet, hearing->speakers[i].release, &known, err) < 0)
            return -1;
        if (!known)
            continue;
        done[count++] = hearing->speakers[i].release;
        if (judge_release(fleet, hearing, hearing->speakers[i].release, err) < 0)
            return -1;
    }
    return 0;
}

int engine_drift(struct fleet *fleet, int64_t now_ms, struct err *err)
{
    struct hearing hearing = {.now_ms = now_ms};
    struct series_set *series = numbers_series(fleet->numbers);
    series_each(series, NULL, "muster.drift.log_e", hear_evidence, &hearing);
    if (hearing.count)
        qsort(hearing.speakers, hearing.count, sizeof *hearing.speakers, by_name);
    series_each(series, NULL, "muster.drift.alarm", hear_alarm, &hearing);
    int rc = hearing.no_memory ? err_no_memory(err) : 0;
    if (rc == 0 && hearing.count && (rc = group_enter(fleet->group, err)) == 0) {
        rc = judge_all(fleet, &hearing, err);
        if (rc == 0)
            rc = group_leave(fleet->group, err);
        else
            group_cancel(fleet->group);
    }
    free(hearing.speakers);
    return rc;
}
