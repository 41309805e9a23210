/* The rollout engine on a real store, with robots played by rows: the good way, the bad way, and a server
 * that dies between any two steps. */
#include "fleet/core/numbers.h"
#include "fleet/engine/drift.h"
#include "fleet/engine/engine.h"
#include "stats/drift/drift.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "fleet/authority/authority.h"
#include "fleet/testing/desk.h"
#include "sys/file.h"

#include <event2/event.h>
#include <string.h>

enum { ROBOTS = 10 };

struct fixture {
    char dir[64];
    struct desk desk;
    struct event_base *base;
    struct fleet *fleet;
    uint64_t rollout;
};

static struct digest release_digest(int version)
{
    struct digest digest;
    memset(digest.bytes, version, sizeof digest.bytes);
    return digest;
}

static void open_fleet(struct fixture *f)
{
    struct err err = {0};
    struct fleet_options options = {.dir = f->dir, .root = f->desk.root_file, .max_blob_bytes = 1 << 20};
    f->base = event_base_new();
    assert_ok(fleet_open(f->base, &options, &f->fleet, &err), err);
}

static void close_fleet(struct fixture *f)
{
    fleet_close(f->fleet);
    event_base_free(f->base);
    f->fleet = NULL;
    f->base = NULL;
}

static void restart(struct fixture *f)
{
    close_fleet(f);
    open_fleet(f);
}

static void enter(struct fixture *f)
{
    struct err err = {0};
    assert_ok(group_enter(f->fleet->group, &err), err);
}

static void leave(struct fixture *f)
{
    struct err err = {0};
    assert_ok(group_leave(f->fleet->group, &err), err);
    assert_ok(group_flush(f->fleet->group, &err), err);
}

static void name_release(struct fixture *f, const char *version, const struct digest *digest)
{
    struct err err = {0};
    size_t len;
    int64_t targets = desk_release(&f->desk, "detector", version, digest, 1, NULL);
    cleanup_free char *bytes = desk_read(&f->desk, "targets", targets, &len);
    assert_ok(authority_take(f->fleet->authority, "targets", bytes, len, clock_wall_ms() / 1000, &err), err);
}

static void add_release(struct fixture *f, int version)
{
    struct err err = {0};
    struct release_row row = {.digest = release_digest(version), .name = "detector", .latency_p99_ms = 40};
    snprintf(row.version, sizeof row.version, "%d.0.0", version);
    name_release(f, row.version, &row.digest);
    assert_ok(f->fleet->store->ops->release_add(f->fleet->store, &row, &err), err);
}

static void robot_id(int index, char out[16])
{
    snprintf(out, 16, "r%02d", index);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    char path[96];
    struct store *store = NULL;
    str_copy(f->dir, sizeof f->dir, "/tmp/muster-engine-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(path, sizeof path, "%s/muster.db", f->dir);
    assert_ok(store_open_sqlite(path, &store, &err), err);
    store_free(store);
    assert_ok(online_make(f->dir, &err), err);
    snprintf(path, sizeof path, "%s/online.json", f->dir);
    desk_open(&f->desk, f->dir, path);
    open_fleet(f);
    enter(f);
    for (int version = 1; version <= 3; version++)
        add_release(f, version);
    for (int i = 0; i < ROBOTS; i++) {
        struct robot_row row = {.label_count = 1, .labels = {{"site", "north"}}};
        robot_id(i, row.id);
        assert_ok(f->fleet->store->ops->robot_save(f->fleet->store, &row, &err), err);
    }
    leave(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    close_fleet(f);
    desk_close(&f->desk);
    assert_ok(file_remove_tree(f->dir, &err), err);
    free(f);
    return 0;
}

static struct rollout_spec spec_for(int version)
{
    struct rollout_spec spec = {
        .name = "test",
        .wave_count = 2,
        .waves = {{.name = "canary", .count = 2}, {.name = "all", .percent = 100}},
        .gates = {.max_failures = 0,
                  .max_over_budget_share = 0.05,
                  .max_intervention_share = 0.05,
                  .min_accuracy = -1,
                  .min_recall = -1,
                  .min_precision = -1,
                  .max_false_alarms_per_hour = -1,
                  .max_false_alarm_ratio = -1,
                  .max_drift = -1,
                  .min_frames = 50,
                  .alpha = 0.01},
        .wave_timeout_s = 900,
    };
    snprintf(spec.release, sizeof spec.release, "detector:%d.0.0", version);
    return spec;
}

static void begin(struct fixture *f, int version)
{
    struct err err = {0};
    struct rollout_spec spec = spec_for(version);
    enter(f);
    assert_ok(engine_begin(f->fleet, &spec, "tester", &f->rollout, &err), err);
    leave(f);
}

static struct robot_row robot(struct fixture *f, int index)
{
    struct err err = {0};
    struct robot_row row;
    char id[16];
    robot_id(index, id);
    assert_ok(f->fleet->store->ops->robot_get(f->fleet->store, id, &row, &err), err);
    return row;
}

static enum rollout_state state_of(struct fixture *f)
{
    struct err err = {0};
    cleanup_rollout_row struct rollout_row row = {0};
    assert_ok(f->fleet->store->ops->rollout_get(f->fleet->store, f->rollout, &row, &err), err);
    return row.rollout.state;
}

/* Frames on the robot's target; `slow` of them over the budget. */
static void show_frames(struct fixture *f, const struct robot_row *row, uint64_t frames, uint64_t slow)
{
    struct err err = {0};
    struct telemetry_row telemetry;
    struct store *store = f->fleet->store;
    if (store->ops->telemetry_get(store, &row->target, row->id, &telemetry, &err) < 0) {
        telemetry = (struct telemetry_row){.release = row->target, .robots = 1};
        str_copy(telemetry.robot, sizeof telemetry.robot, row->id);
        exphist_init(&telemetry.latency_ms);
        exphist_init(&telemetry.frame_ms);
    }
    telemetry.frames += frames;
    exphist_add(&telemetry.latency_ms, 10, frames - slow);
    if (slow)
        exphist_add(&telemetry.latency_ms, 100, slow);
    assert_ok(store->ops->telemetry_save(store, &telemetry, &err), err);
}

/* Every robot with a new target takes it up. */
static void robots_obey(struct fixture *f, uint64_t frames, uint64_t slow)
{
    struct err err = {0};
    enter(f);
    for (int i = 0; i < ROBOTS; i++) {
        struct robot_row row = robot(f, i);
        if (row.phase != PHASE_ASSIGNED)
            continue;
        row.running = row.committed = row.target;
        row.phase = PHASE_COMMITTED;
        assert_ok(f->fleet->store->ops->robot_save(f->fleet->store, &row, &err), err);
        show_frames(f, &row, frames, slow);
    }
    leave(f);
}

static void step(struct fixture *f)
{
    struct err err = {0};
    assert_ok(engine_step(f->fleet, &err), err);
    assert_ok(group_flush(f->fleet->group, &err), err);
}

static int count_on(struct fixture *f, int version)
{
    int count = 0;
    struct digest want = release_digest(version);
    for (int i = 0; i < ROBOTS; i++) {
        struct robot_row row = robot(f, i);
        count += digest_equal(&row.target, &want);
    }
    return count;
}

/* Steps until the rollout ends, with a new server process before each step. Returns the most robots that ever
 * had it. */
static int play(struct fixture *f, int version, uint64_t frames, uint64_t slow)
{
    int most = 0;
    for (int i = 0; i < 40; i++) {
        restart(f);
        step(f);
        most = MAX(most, count_on(f, version));
        robots_obey(f, frames, slow);
        if (state_of(f) == ROLLOUT_DONE || state_of(f) == ROLLOUT_ROLLED_BACK)
            return most;
    }
    fail_msg("the rollout does not end");
    return most;
}

static void test_good_release_reaches_everybody(void **state)
{
    struct fixture *f = *state;
    begin(f, 1);
    play(f, 1, 100, 0);
    assert_int_equal(state_of(f), ROLLOUT_DONE);
    assert_int_equal(count_on(f, 1), ROBOTS);
    for (int i = 0; i < ROBOTS; i++)
        assert_int_equal(robot(f, i).counter, 1); /* assigned exactly once, whatever died in between */
}

static void test_slow_release_stays_in_the_canary_and_goes_back(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f, 2);
    play(f, 2, 100, 0);
    begin(f, 3);
    assert_int_equal(play(f, 3, 200, 120), 2);
    assert_int_equal(state_of(f), ROLLOUT_ROLLED_BACK);
    assert_int_equal(count_on(f, 2), ROBOTS);
    cleanup_rollout_row struct rollout_row row = {0};
    assert_ok(f->fleet->store->ops->rollout_get(f->fleet->store, f->rollout, &row, &err), err);
    assert_non_null(strstr(row.rollout.reason, "over_budget_share"));
    assert_non_null(row.gates);
    assert_non_null(strstr(row.gates, "\"fail\""));
    assert_true(row.ended_ms > 0);
}

static void test_local_failure_counts_and_stays(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f, 1);
    play(f, 1, 100, 0);
    begin(f, 3);
    step(f);
    enter(f);
    struct robot_row row = robot(f, 0);
    assert_int_equal(row.phase, PHASE_ASSIGNED);
    row.phase = PHASE_ROLLED_BACK; /* the robot left it by itself */
    assert_ok(f->fleet->store->ops->robot_save(f->fleet->store, &row, &err), err);
    leave(f);
    play(f, 3, 0, 0);
    assert_int_equal(state_of(f), ROLLOUT_ROLLED_BACK);
    cleanup_rollout_row struct rollout_row ended = {0};
    assert_ok(f->fleet->store->ops->rollout_get(f->fleet->store, f->rollout, &ended, &err), err);
    assert_non_null(strstr(ended.gates, "{\"name\":\"failures\",\"value\":1"));
}

/* What a release showed in an earlier rollout is no evidence in a new one. */
static void test_evidence_starts_anew(void **state)
{
    struct fixture *f = *state;
    begin(f, 1);
    play(f, 1, 100, 0);
    begin(f, 3);
    play(f, 3, 200, 120);
    assert_int_equal(state_of(f), ROLLOUT_ROLLED_BACK);
    begin(f, 3); /* repaired outside of the model, say: a slow robot */
    play(f, 3, 100, 0);
    assert_int_equal(state_of(f), ROLLOUT_DONE);
    assert_int_equal(count_on(f, 3), ROBOTS);
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t id;
    begin(f, 1);
    struct rollout_spec second = spec_for(2), nobody = spec_for(2), unknown = spec_for(9);
    nobody.select_count = 1;
    nobody.select[0] = (struct api_label){"site", "south"};
    enter(f);
    assert_fails(engine_begin(f->fleet, &second, "tester", &id, &err), err, ERR_CONFLICT);
    assert_fails(engine_begin(f->fleet, &nobody, "tester", &id, &err), err, ERR_INVALID);
    assert_fails(engine_begin(f->fleet, &unknown, "tester", &id, &err), err, ERR_NOT_FOUND);
    assert_fails(engine_wish(f->fleet, f->rollout, ENGINE_RESUME, "tester", &err), err, ERR_CONFLICT);
    assert_fails(engine_wish(f->fleet, 999, ENGINE_PAUSE, "tester", &err), err, ERR_NOT_FOUND);
    leave(f);
}

static void test_pause_holds_and_abort_goes_back(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f, 1);
    play(f, 1, 100, 0);
    begin(f, 2);
    step(f);
    enter(f);
    assert_ok(engine_wish(f->fleet, f->rollout, ENGINE_PAUSE, "tester", &err), err);
    leave(f);
    for (int i = 0; i < 5; i++) {
        robots_obey(f, 100, 0);
        step(f);
    }
    assert_int_equal(count_on(f, 2), 2);
    enter(f);
    assert_ok(engine_wish(f->fleet, f->rollout, ENGINE_ABORT, "tester", &err), err);
    leave(f);
    play(f, 2, 100, 0);
    assert_int_equal(state_of(f), ROLLOUT_ROLLED_BACK);
    assert_int_equal(count_on(f, 1), ROBOTS);
}

static void give_plan(struct fixture *f, int robot_index, uint8_t plan)
{
    struct err err = {0};
    struct robot_row row = robot(f, robot_index);
    memset(row.target_plan.bytes, plan, sizeof row.target_plan.bytes);
    enter(f);
    assert_ok(f->fleet->store->ops->robot_save(f->fleet->store, &row, &err), err);
    leave(f);
}

/* A release whose terms ask for an approved plan is admitted under that plan only, also when a robot goes back to it. */
static void test_going_back_follows_the_plan_of_before(void **state)
{
    struct fixture *f = *state;
    struct digest plan;
    memset(plan.bytes, 9, sizeof plan.bytes);
    begin(f, 1);
    play(f, 1, 100, 0);
    for (int i = 0; i < ROBOTS; i++)
        give_plan(f, i, 9);
    begin(f, 3);
    step(f);
    struct robot_row canary = robot(f, 0);
    assert_true(digest_is_zero(&canary.target_plan));
    play(f, 3, 200, 120);
    assert_int_equal(state_of(f), ROLLOUT_ROLLED_BACK);
    for (int i = 0; i < ROBOTS; i++) {
        struct robot_row row = robot(f, i);
        assert_true(digest_equal(&row.target_plan, &plan));
    }
}

/* ---- drift ---- */

static void say(struct fixture *f, const char *robot, double log10_e, int alarm, uint64_t seq)
{
    struct err err = {0};
    const struct digest good = release_digest(1);
    cleanup_free struct otlp_points *points = mem_zalloc(1, sizeof *points);
    int64_t now_ms = clock_wall_ms();
    const struct {
        const char *name, *attribute, *word;
        double value;
    } said[] = {{"muster.drift.log_e", "muster.signal", "all", log10_e},
                {"muster.drift.alarm", "", "", alarm}};
    str_copy(points->robot, sizeof points->robot, robot);
    snprintf(points->stream, sizeof points->stream, "%032x", 7);
    points->seq = seq;
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct otlp_point *point = &points->points[points->count++];
        *point = (struct otlp_point){
            .kind = OTLP_GAUGE, .value = said[i].value, .start_ms = now_ms - 60000, .end_ms = now_ms};
        str_copy(point->name, sizeof point->name, said[i].name);
        str_copy(point->unit, sizeof point->unit, "1");
        str_copy(point->attribute, sizeof point->attribute, said[i].attribute);
        str_copy(point->word, sizeof point->word, said[i].word);
        str_copy(point->release, sizeof point->release, digest_format(&good).text);
    }
    assert_ok(numbers_apply(f->fleet, robot, points, 0, &err), err);
}

struct drifts {
    size_t count;
    struct drift_row rows[8];
};

static int see_drift(const struct drift_row *row, void *arg)
{
    struct drifts *drifts = arg;
    drifts->rows[drifts->count++] = *row;
    return drifts->count == ARRAY_LEN(drifts->rows);
}

static struct drifts drifts_of(struct fixture *f)
{
    struct drifts drifts = {0};
    struct err err = {0};
    assert_ok(engine_drift(f->fleet, clock_wall_ms(), &err), err);
    assert_ok(f->fleet->store->ops->drift_each(f->fleet->store, true, 8, see_drift, &drifts, &err), err);
    return drifts;
}

/* Forty robots: nothing; then one of them; then many: one row per cause that gathers them, and no second one for what is known. */
static void test_drift_of_robots_and_of_the_fleet(void **state)
{
    struct fixture *f = *state;
    char robot[16];
    for (int i = 0; i < 40; i++) {
        snprintf(robot, sizeof robot, "d%02d", i);
        say(f, robot, 0.4 + i % 3, 0, 1);
    }
    assert_int_equal(drifts_of(f).count, 0);
    say(f, "d07", 11, DRIFT_SENSOR, 2);
    struct drifts one = drifts_of(f);
    assert_int_equal(one.count, 1);
    assert_false(one.rows[0].common);
    assert_string_equal(one.rows[0].robots, "d07");
    assert_string_equal(one.rows[0].cause, "sensor");
    assert_int_equal(drifts_of(f).rows[0].updated_ms, one.rows[0].updated_ms);
    for (int i = 10; i < 25; i++) {
        snprintf(robot, sizeof robot, "d%02d", i);
        say(f, robot, 12, DRIFT_NOVELTY, 2);
    }
    struct drifts two = drifts_of(f);
    assert_int_equal(two.count, 2);
    assert_true(two.rows[0].common);
    assert_string_equal(two.rows[0].cause, "novelty");
    assert_int_equal(two.rows[0].robot_count, 16);
}

/* A robot that says the same of many words, and names releases that nobody knows, is still one robot, and keeps nobody from being heard. */
static void test_a_robot_has_one_voice(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    cleanup_free struct otlp_points *points = mem_zalloc(1, sizeof *points);
    int64_t now_ms = clock_wall_ms();
    char robot[16];
    str_copy(points->robot, sizeof points->robot, "a-hostile-one");
    snprintf(points->stream, sizeof points->stream, "%032x", 7);
    points->seq = 1;
    for (int i = 0; i < 200; i++) {
        struct digest release = i % 2 ? release_digest(1) : release_digest(100 + i % 100);
        struct otlp_point *point = &points->points[points->count++];
        *point = (struct otlp_point){
            .kind = OTLP_GAUGE, .value = 300, .start_ms = now_ms - 60000, .end_ms = now_ms};
        str_copy(point->name, sizeof point->name, "muster.drift.log_e");
        str_copy(point->unit, sizeof point->unit, "1");
        snprintf(point->attribute, sizeof point->attribute, i % 2 ? "voice.%d" : "muster.signal", i);
        str_copy(point->word, sizeof point->word, "all");
        str_copy(point->release, sizeof point->release, digest_format(&release).text);
    }
    assert_ok(numbers_apply(f->fleet, "a-hostile-one", points, 0, &err), err);
    for (int i = 0; i < 40; i++) {
        snprintf(robot, sizeof robot, "d%02d", i);
        say(f, robot, 0.4 + i % 3, 0, 1);
    }
    assert_int_equal(drifts_of(f).count, 0);
    say(f, "d07", 11, DRIFT_SENSOR, 2);
    struct drifts one = drifts_of(f);
    assert_int_equal(one.count, 1);
    assert_string_equal(one.rows[0].robots, "d07");
}

static void acknowledge_all(struct fixture *f, const struct drifts *drifts, int64_t now_ms)
{
    struct err err = {0};
    enter(f);
    for (size_t i = 0; i < drifts->count; i++) {
        struct drift_row row = drifts->rows[i];
        row.closed_ms = row.acknowledged_ms = now_ms;
        assert_ok(f->fleet->store->ops->drift_save(f->fleet->store, &row, &err), err);
    }
    leave(f);
}

/* A robot's alarm lasts: what people acknowledged is news again with another robot, or after it was gone for an hour. */
static void test_acknowledged_drift_is_no_news(void **state)
{
    struct fixture *f = *state;
    const int64_t now_ms = clock_wall_ms();
    say(f, "d01", 11, DRIFT_SENSOR, 1);
    struct drifts first = drifts_of(f);
    assert_int_equal(first.count, 1);
    acknowledge_all(f, &first, now_ms);
    assert_int_equal(drifts_of(f).count, 0);
    say(f, "d02", 11, DRIFT_SENSOR, 1);
    struct drifts second = drifts_of(f);
    assert_int_equal(second.count, 1);
    assert_string_equal(second.rows[0].robots, "d01 d02");
    second.rows[0].updated_ms = now_ms - 7200000;
    acknowledge_all(f, &second, now_ms - 7200000);
    assert_int_equal(drifts_of(f).count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_release_reaches_everybody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_release_stays_in_the_canary_and_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local_failure_counts_and_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evidence_starts_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_holds_and_abort_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_going_back_follows_the_plan_of_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drift_of_robots_and_of_the_fleet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_robot_has_one_voice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acknowledged_drift_is_no_news, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
