/* The conformance suite: every implementation of store.h must pass it. Run on SQLite in a file and in memory.
 */
#include "base/str.h"
#include "base/testing.h"
#include "fleet/store/store.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct store *store;
    char dir[64]; /* "" for memory */
    char path[96];
};

static int open_file(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    str_copy(f->dir, sizeof f->dir, "/tmp/muster-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/muster.db", f->dir);
    assert_ok(store_open_sqlite(f->path, &f->store, &err), err);
    *state = f;
    return 0;
}

static int open_memory(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    assert_ok(store_open_sqlite(":memory:", &f->store, &err), err);
    *state = f;
    return 0;
}

static int close_any(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    if (f->dir[0]) {
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
            char path[128];
            snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
            unlink(path);
        }
        assert_int_equal(rmdir(f->dir), 0);
    }
    free(f);
    return 0;
}

#define OPS(f) ((f)->store->ops)

static void begin(struct fixture *f)
{
    struct err err = {0};
    assert_ok(OPS(f)->begin(f->store, &err), err);
}

static void commit(struct fixture *f)
{
    struct err err = {0};
    assert_ok(OPS(f)->commit(f->store, &err), err);
}

static struct digest digest_of(uint8_t byte)
{
    struct digest digest;
    memset(digest.bytes, byte, sizeof digest.bytes);
    return digest;
}

static struct robot_row robot_named(const char *id)
{
    struct robot_row row = {.serial = "0A1B", .enrolled_ms = 11, .seen_ms = 12, .label_count = 2};
    str_copy(row.id, sizeof row.id, id);
    row.labels[0] = (struct api_label){"site", "north = cold"};
    row.labels[1] = (struct api_label){"row", "2"};
    return row;
}

static void add_robot(struct fixture *f, const char *id)
{
    struct err err = {0};
    struct robot_row row = robot_named(id);
    assert_ok(OPS(f)->robot_save(f->store, &row, &err), err);
}

static void add_release(struct fixture *f, uint8_t byte, const char *version)
{
    struct err err = {0};
    struct release_row row = {.digest = digest_of(byte),
                              .name = "detector",
                              .latency_p99_ms = 40,
                              .deadline_ms = 60.5,
                              .memory_mib = 128,
                              .size_bytes = 1000,
                              .manifest_bytes = 99,
                              .created_ms = byte,
                              .signer_count = 2,
                              .signed_by = {"aa", "bb"}};
    str_copy(row.version, sizeof row.version, version);
    assert_ok(OPS(f)->release_add(f->store, &row, &err), err);
}

static void test_robot_round_trip(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct robot_row in = robot_named("r1"), out;
    in.counter = 7;
    in.target = digest_of(1);
    in.target_rollback = true;
    in.target_ms = 5;
    in.running = digest_of(2);
    in.phase = PHASE_PROBATION;
    in.phase_release = digest_of(1);
    str_copy(in.phase_text, sizeof in.phase_text, "p99 71 ms over 40 ms");
    in.phase_ms = 6;
    in.guard = API_GUARD_SAFE_STOP;
    str_copy(in.guard_who, sizeof in.guard_who, "alice");
    str_copy(in.guard_text, sizeof in.guard_text, "auto -> safe_stop: smoke");
    in.guard_ms = 8;
    in.issued_ms = 9;
    str_copy(in.next_serial, sizeof in.next_serial, "0C");
    in.quarantined_ms = 10;
    str_copy(in.quarantine_text, sizeof in.quarantine_text, "two of them");
    in.target_plan = digest_of(3);
    in.revoked = true;
    begin(f);
    assert_ok(OPS(f)->robot_save(f->store, &in, &err), err);
    commit(f);
    assert_ok(OPS(f)->robot_get(f->store, "r1", &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    in.committed = digest_of(2);
    in.label_count = 0;
    memset(in.labels, 0, sizeof in.labels);
    begin(f);
    assert_ok(OPS(f)->robot_save(f->store, &in, &err), err);
    assert_ok(OPS(f)->robot_seen(f->store, "r1", 99, &err), err);
    assert_ok(OPS(f)->robot_seen(f->store, "r1", 50, &err), err); /* never back */
    commit(f);
    in.seen_ms = 99;
    assert_ok(OPS(f)->robot_get(f->store, "r1", &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    assert_fails(OPS(f)->robot_get(f->store, "r2", &out, &err), err, ERR_NOT_FOUND);
}

static bool is_replaced(struct fixture *f, const char *robot, const char *serial)
{
    struct err err = {0};
    bool replaced = false;
    assert_ok(OPS(f)->certificate_replaced(f->store, robot, serial, &replaced, &err), err);
    return replaced;
}

static void test_devices_and_their_certificates(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct device_row in = {.robot = "r1", .key = digest_of(1)}, out;
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    assert_fails(OPS(f)->device_get(f->store, "r1", &out, &err), err, ERR_NOT_FOUND);
    assert_ok(OPS(f)->device_begin(f->store, &in, &err), err);
    assert_ok(OPS(f)->device_get(f->store, "r1", &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    in.request = digest_of(2);
    str_copy(in.certificate, sizeof in.certificate, "PEM");
    assert_ok(OPS(f)->device_save(f->store, &in, &err), err);
    assert_ok(OPS(f)->device_get(f->store, "r1", &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    assert_ok(OPS(f)->certificate_replace(f->store, "r1", "0A", 100, &err), err);
    assert_ok(OPS(f)->certificate_replace(f->store, "r1", "0A", 200, &err), err); /* again: later counts */
    assert_ok(OPS(f)->certificate_replace(f->store, "r1", "0B", 100, &err), err);
    assert_true(is_replaced(f, "r1", "0A"));
    assert_false(is_replaced(f, "r2", "0A"));
    assert_ok(OPS(f)->certificate_prune(f->store, 150, &err), err);
    assert_true(is_replaced(f, "r1", "0A"));
    assert_false(is_replaced(f, "r1", "0B"));
    assert_ok(OPS(f)->device_begin(f->store, &in, &err), err);
    assert_false(is_replaced(f, "r1", "0A"));
    commit(f);
}

static int collect_ids(const struct robot_row *row, void *arg)
{
    char *ids = arg;
    size_t used = strlen(ids);
    snprintf(ids + used, 64 - used, "%s ", row->id);
    return 0;
}

static void test_robots_come_in_order(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    static const char *const names[] = {"r3", "r1", "r10", "r2"};
    begin(f);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add_robot(f, names[i]);
    commit(f);
    char ids[64] = "";
    assert_ok(OPS(f)->robot_each(f->store, "", -1, collect_ids, ids, &err), err);
    assert_string_equal(ids, "r1 r10 r2 r3 ");
    ids[0] = 0;
    assert_ok(OPS(f)->robot_each(f->store, "r1", 2, collect_ids, ids, &err), err);
    assert_string_equal(ids, "r10 r2 ");
}

static void test_write_wants_a_transaction(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct robot_row row = robot_named("r1");
    assert_fails(OPS(f)->robot_save(f->store, &row, &err), err, ERR_INTERNAL);
    assert_fails(OPS(f)->commit(f->store, &err), err, ERR_INTERNAL);
    assert_fails(OPS(f)->mark(f->store, &err), err, ERR_INTERNAL);
    assert_false(OPS(f)->active(f->store));
}

static void test_undo_takes_back_one_request_only(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct robot_row out;
    begin(f);
    assert_ok(OPS(f)->mark(f->store, &err), err);
    add_robot(f, "kept");
    assert_ok(OPS(f)->keep(f->store, &err), err);
    assert_ok(OPS(f)->mark(f->store, &err), err);
    add_robot(f, "undone");
    OPS(f)->undo(f->store);
    commit(f);
    assert_ok(OPS(f)->robot_get(f->store, "kept", &out, &err), err);
    assert_fails(OPS(f)->robot_get(f->store, "undone", &out, &err), err, ERR_NOT_FOUND);
    begin(f);
    add_robot(f, "rolled");
    OPS(f)->rollback(f->store);
    assert_false(OPS(f)->active(f->store));
    assert_fails(OPS(f)->robot_get(f->store, "rolled", &out, &err), err, ERR_NOT_FOUND);
}

static void test_enroll_token_is_good_for_one_key(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct enroll_token_row in = {
        .hash = digest_of(9), .robot = "r1", .created_ms = 1, .expires_ms = 2, .label_count = 1};
    in.labels[0] = (struct api_label){"site", "north"};
    struct enroll_token_row out;
    struct digest other = digest_of(8);
    begin(f);
    assert_ok(OPS(f)->enroll_add(f->store, &in, &err), err);
    assert_ok(OPS(f)->enroll_get(f->store, &in.hash, &out, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    struct digest own = digest_of(20), stranger = digest_of(21);
    assert_ok(OPS(f)->enroll_use(f->store, &in.hash, "r1", &own, 77, &err), err);
    assert_fails(OPS(f)->enroll_use(f->store, &in.hash, "r1", &stranger, 78, &err), err, ERR_CONFLICT);
    assert_ok(OPS(f)->enroll_use(f->store, &in.hash, "r1", &own, 79, &err), err);
    assert_fails(OPS(f)->enroll_get(f->store, &other, &out, &err), err, ERR_NOT_FOUND);
    in.hash = other;
    assert_ok(OPS(f)->enroll_add(f->store, &in, &err), err);
    assert_ok(OPS(f)->enroll_void(f->store, "r1", &err), err);
    assert_fails(OPS(f)->enroll_get(f->store, &other, &out, &err), err, ERR_NOT_FOUND);
    commit(f);
}

static void test_operators_and_numbers(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest other = digest_of(6);
    struct operator_row ann = {.hash = digest_of(5),
                               .name = "ann",
                               .rights = "operator:site=north",
                               .created_ms = 1,
                               .expires_ms = 9},
                        row;
    int64_t number = -1;
    assert_ok(OPS(f)->number_get(f->store, "alive_ms", &number, &err), err);
    assert_int_equal(number, 0);
    begin(f);
    assert_ok(OPS(f)->operator_add(f->store, &ann, &err), err);
    assert_fails(OPS(f)->operator_add(f->store, &ann, &err), err, ERR_EXISTS);
    assert_ok(OPS(f)->number_set(f->store, "alive_ms", 5, &err), err);
    assert_ok(OPS(f)->number_set(f->store, "alive_ms", 6, &err), err);
    commit(f);
    assert_ok(OPS(f)->number_get(f->store, "alive_ms", &number, &err), err);
    assert_int_equal(number, 6);
    assert_ok(OPS(f)->operator_find(f->store, &ann.hash, &row, &err), err);
    assert_string_equal(row.name, "ann");
    assert_string_equal(row.rights, ann.rights);
    assert_int_equal(row.expires_ms, 9);
    assert_int_equal(row.revoked_ms, 0);
    begin(f);
    assert_ok(OPS(f)->operator_revoke(f->store, "ann", 7, &number, &err), err);
    assert_int_equal(number, 1);
    assert_ok(OPS(f)->operator_revoke(f->store, "ann", 8, &number, &err), err);
    assert_int_equal(number, 0);
    commit(f);
    assert_ok(OPS(f)->operator_find(f->store, &ann.hash, &row, &err), err);
    assert_int_equal(row.revoked_ms, 7);
    assert_fails(OPS(f)->operator_find(f->store, &other, &row, &err), err, ERR_NOT_FOUND);
    assert_ok(OPS(f)->operator_count(f->store, &number, &err), err);
    assert_int_equal(number, 1);
}

static void test_streams_are_apart_and_bounded(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t seq = 0;
    char name[16];
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    assert_ok(OPS(f)->stream_set(f->store, "r2", STREAM_REPORTS, "s1", 42, 1, &err), err);
    for (int i = 1; i <= 3 * STORE_STREAMS_PER_ROBOT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_ok(OPS(f)->stream_set(f->store, "r1", STREAM_REPORTS, name, (uint64_t)i, i, &err), err);
    }
    assert_ok(OPS(f)->stream_get(f->store, "r1", STREAM_REPORTS, name, &seq, &err), err);
    assert_int_equal(seq, 3 * STORE_STREAMS_PER_ROBOT);
    snprintf(name, sizeof name, "s%d", 2 * STORE_STREAMS_PER_ROBOT + 1);
    assert_ok(OPS(f)->stream_get(f->store, "r1", STREAM_REPORTS, name, &seq, &err), err);
    assert_int_equal(seq, 2 * STORE_STREAMS_PER_ROBOT + 1);
    assert_ok(OPS(f)->stream_get(f->store, "r1", STREAM_REPORTS, "s1", &seq, &err), err);
    assert_int_equal(seq, 0); /* forgotten */
    assert_ok(OPS(f)->stream_get(f->store, "r1", STREAM_TELEMETRY, name, &seq, &err), err);
    assert_int_equal(seq, 0);
    assert_ok(OPS(f)->stream_get(f->store, "r2", STREAM_REPORTS, "s1", &seq, &err), err);
    assert_int_equal(seq, 42);
    commit(f);
}

static int count_reports(const struct report_row *row, void *arg)
{
    uint64_t *last = arg;
    assert_true(*last == 0 || row->report.seq + 1 == *last); /* newest first, no hole */
    *last = row->report.seq;
    return 0;
}

static void test_reports_are_unique(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct report_row row = {.robot = "r1",
                             .stream = "s",
                             .received_ms = 3,
                             .report = {.time_ms = 2,
                                        .kind = REPORT_FAILED,
                                        .release = digest_of(3),
                                        .version = "1.0.0",
                                        .bytes = 12,
                                        .text = "no"}};
    begin(f);
    add_robot(f, "r1");
    for (row.report.seq = 1; row.report.seq <= 9; row.report.seq++)
        assert_ok(OPS(f)->report_add(f->store, &row, &err), err);
    row.report.seq = 4;
    assert_fails(OPS(f)->report_add(f->store, &row, &err), err, ERR_EXISTS);
    commit(f);
    uint64_t last = 0;
    assert_ok(OPS(f)->report_last(f->store, "r1", 5, count_reports, &last, &err), err);
    assert_int_equal(last, 5);
    begin(f);
    assert_ok(OPS(f)->report_prune(f->store, "r1", 3, &err), err);
    commit(f);
    last = 0;
    assert_ok(OPS(f)->report_last(f->store, "r1", 50, count_reports, &last, &err), err);
    assert_int_equal(last, 7);
}

static void test_releases(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest found, want = digest_of(2);
    begin(f);
    add_release(f, 1, "1.0.0");
    add_release(f, 2, "2.0.0");
    struct release_row twin = {.digest = digest_of(3), .name = "detector", .version = "2.0.0"};
    assert_fails(OPS(f)->release_add(f->store, &twin, &err), err, ERR_EXISTS);
    commit(f);
    assert_ok(OPS(f)->release_find(f->store, "detector", "2.0.0", &found, &err), err);
    assert_true(digest_equal(&found, &want));
    assert_fails(OPS(f)->release_find(f->store, "detector", "3.0.0", &found, &err), err, ERR_NOT_FOUND);
    struct release_row row = {0};
    assert_ok(OPS(f)->release_get(f->store, &want, &row, &err), err);
    assert_int_equal(row.signer_count, 2);
    assert_string_equal(row.signed_by[1], "bb");
    assert_true(row.deadline_ms == 60.5);
}

static struct telemetry_row telemetry_sample(const char *robot)
{
    struct telemetry_row row = {.release = digest_of(1),
                                .robots = 1,
                                .first_ms = 1,
                                .last_ms = 2,
                                .frames = 100,
                                .results = 98,
                                .lost = 2,
                                .interventions = {1, 2, 3, 4, 5, 6, 7, 8},
                                .score_frames = 5,
                                .score_tp = 4,
                                .score_fp = 3,
                                .score_fn = 2,
                                .detections = 55,
                                .confidence_sum = 44.5};
    str_copy(row.robot, sizeof row.robot, robot);
    exphist_init(&row.latency_ms);
    exphist_init(&row.frame_ms);
    for (int i = 1; i < 100; i++)
        exphist_add(&row.latency_ms, i * 0.7, 1);
    return row;
}

static int count_telemetry(const struct telemetry_row *row, void *arg)
{
    (*(int *)arg)++;
    return 0;
}

static void test_telemetry_round_trip(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct telemetry_row in = telemetry_sample("r1"), out;
    int count = 0;
    begin(f);
    add_release(f, 1, "1.0.0");
    assert_fails(OPS(f)->telemetry_get(f->store, &in.release, "r1", &out, &err), err, ERR_NOT_FOUND);
    assert_ok(OPS(f)->telemetry_save(f->store, &in, &err), err);
    in.frames++;
    assert_ok(OPS(f)->telemetry_save(f->store, &in, &err), err); /* replaces */
    commit(f);
    assert_ok(OPS(f)->telemetry_get(f->store, &in.release, "r1", &out, &err), err);
    assert_int_equal(out.frames, 101);
    assert_memory_equal(in.interventions, out.interventions, sizeof in.interventions);
    assert_int_equal(out.latency_ms.count, in.latency_ms.count);
    assert_true(exphist_quantile(&out.latency_ms, 0.9) == exphist_quantile(&in.latency_ms, 0.9));
    assert_true(out.confidence_sum == in.confidence_sum && out.detections == in.detections);
    assert_ok(OPS(f)->telemetry_of_robot(f->store, "r1", count_telemetry, &count, &err), err);
    assert_int_equal(count, 1);
    in.release = digest_of(0x77); /* a release nobody pushed */
    begin(f);
    assert_fails(OPS(f)->telemetry_save(f->store, &in, &err), err, ERR_EXISTS);
    OPS(f)->rollback(f->store);
}

static struct rollout_row rollout_sample(void)
{
    return (struct rollout_row){.rollout = {.release = digest_of(1),
                                            .state = ROLLOUT_RUNNING,
                                            .wave = 1,
                                            .wave_started_ms = 3,
                                            .reason = "because",
                                            .spec = {.name = "r",
                                                     .release = "detector:1.0.0",
                                                     .wave_count = 2,
                                                     .waves = {{.name = "canary", .count = 1, .bake_s = 1},
                                                               {.name = "all", .percent = 100}},
                                                     .gates = {.max_failures = 0,
                                                               .max_over_budget_share = 0.05,
                                                               .max_intervention_share = -1,
                                                               .min_accuracy = -1,
                                                               .min_recall = -1,
                                                               .min_precision = -1,
                                                               .max_false_alarms_per_hour = -1,
                                                               .max_false_alarm_ratio = -1,
                                                               .max_drift = -1,
                                                               .min_frames = 50,
                                                               .alpha = 0.01},
                                                     .wave_timeout_s = 900}},
                                .started_ms = 2};
}

static int count_rollouts(const struct rollout_row *row, void *arg)
{
    (*(int *)arg)++;
    return 0;
}

static int take_member(const struct rollout_robot_row *row, void *arg)
{
    *(struct rollout_robot_row *)arg = *row;
    return 0;
}

static void test_rollout_round_trip(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct rollout_row in = rollout_sample();
    begin(f);
    add_release(f, 1, "1.0.0");
    add_robot(f, "r1");
    assert_ok(OPS(f)->rollout_add(f->store, &in, &in.rollout.id, &err), err);
    struct rollout_robot_row member = {.rollout = in.rollout.id,
                                       .robot = "r1",
                                       .wave = 1,
                                       .failed = true,
                                       .before = digest_of(4),
                                       .before_plan = digest_of(5),
                                       .baseline = {1, 2, 3, 4, 5, 6, 7}};
    assert_ok(OPS(f)->rollout_robot_save(f->store, &member, &err), err);
    commit(f);
    cleanup_rollout_row struct rollout_row out = {0};
    assert_ok(OPS(f)->rollout_get(f->store, in.rollout.id, &out, &err), err);
    assert_int_equal(out.rollout.wave, 1);
    assert_string_equal(out.rollout.reason, "because");
    assert_true(out.rollout.spec.gates.max_over_budget_share == 0.05);
    assert_null(out.gates);
    struct rollout_robot_row read = {0};
    assert_ok(OPS(f)->rollout_robot_each(f->store, in.rollout.id, take_member, &read, &err), err);
    assert_string_equal(read.robot, "r1");
    assert_true(read.wave == 1 && read.failed && digest_equal(&read.before, &member.before));
    assert_memory_equal(&read.baseline, &member.baseline, sizeof read.baseline);
    assert_true(digest_equal(&read.before_plan, &member.before_plan));
    in.rollout.state = ROLLOUT_DONE;
    in.ended_ms = 9;
    in.gates = (char *)(uintptr_t) "[]";
    begin(f);
    assert_ok(OPS(f)->rollout_save(f->store, &in, &err), err);
    commit(f);
    int all = 0, open = 0;
    assert_ok(OPS(f)->rollout_each(f->store, false, count_rollouts, &all, &err), err);
    assert_ok(OPS(f)->rollout_each(f->store, true, count_rollouts, &open, &err), err);
    assert_int_equal(all, 1);
    assert_int_equal(open, 0);
    rollout_row_fini(&out);
    assert_ok(OPS(f)->rollout_get(f->store, in.rollout.id, &out, &err), err);
    assert_int_equal(out.rollout.state, ROLLOUT_DONE);
    assert_string_equal(out.gates, "[]");
}

struct planned {
    size_t count;
    int waves[4];
};

static int take_planned(const char *robot, int wave, void *arg)
{
    struct planned *planned = arg;
    assert_int_equal(robot[1] - '1', planned->count);
    planned->waves[planned->count++] = wave;
    return 0;
}

static void test_plans_of_rollouts(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct rollout_row in = {.rollout = {.release = digest_of(1),
                                         .plan = digest_of(7),
                                         .state = ROLLOUT_WAITING,
                                         .spec = {.name = "second",
                                                  .release = "detector:1.0.0",
                                                  .wave_count = 1,
                                                  .waves = {{.name = "all", .percent = 100}},
                                                  .gates = {-1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 0.01},
                                                  .wave_timeout_s = 9}}};
    struct planned planned = {0};
    begin(f);
    add_release(f, 1, "1.0.0");
    assert_ok(OPS(f)->rollout_add(f->store, &in, &in.rollout.id, &err), err);
    assert_ok(OPS(f)->rollout_plan_add(f->store, in.rollout.id, "r2", 0, &err), err);
    assert_ok(OPS(f)->rollout_plan_add(f->store, in.rollout.id, "r1", 1, &err), err);
    assert_fails(OPS(f)->rollout_plan_add(f->store, in.rollout.id, "r1", 0, &err), err, ERR_EXISTS);
    commit(f);
    cleanup_rollout_row struct rollout_row out = {0};
    assert_ok(OPS(f)->rollout_get(f->store, in.rollout.id, &out, &err), err);
    assert_true(digest_equal(&out.rollout.plan, &in.rollout.plan));
    assert_int_equal(out.rollout.state, ROLLOUT_WAITING);
    assert_ok(OPS(f)->rollout_plan_each(f->store, in.rollout.id, take_planned, &planned, &err), err);
    assert_true(planned.count == 2 && planned.waves[0] == 1 && planned.waves[1] == 0);
    planned.count = 0;
    assert_ok(OPS(f)->rollout_plan_each(f->store, in.rollout.id + 1, take_planned, &planned, &err), err);
    assert_int_equal(planned.count, 0);
}

struct approvals {
    size_t count;
    char operators[8][48];
    int64_t expires_ms[8];
};

static int take_approval(const struct approval_row *row, void *arg)
{
    struct approvals *seen = arg;
    assert_string_equal(row->envelope, "{}");
    assert_string_equal(row->sent_by, "ann");
    str_copy(seen->operators[seen->count], sizeof seen->operators[0], row->operator_name);
    seen->expires_ms[seen->count++] = row->expires_ms;
    return 0;
}

static struct approval_row approval_of(const char *operator_name, uint8_t release, uint8_t plan,
                                       int64_t issued_ms)
{
    struct approval_row row = {.release = digest_of(release),
                               .plan = digest_of(plan),
                               .reason = "reviewed",
                               .issued_ms = issued_ms,
                               .expires_ms = issued_ms + 100,
                               .created_ms = 3,
                               .sent_by = "ann",
                               .envelope = (char *)(uintptr_t) "{}"};
    str_copy(row.operator_name, sizeof row.operator_name, operator_name);
    return row;
}

static void test_approvals(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest release = digest_of(1);
    const struct approval_row rows[] = {approval_of("alice", 1, 0, 10), approval_of("bob", 1, 2, 20),
                                        approval_of("alice", 1, 2, 30), approval_of("alice", 3, 0, 40),
                                        approval_of("alice", 1, 0, 50)}; /* again: replaces the first */
    const struct approval_row older = approval_of("alice", 1, 0, 49);
    struct approvals seen = {0};
    begin(f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_ok(OPS(f)->approval_save(f->store, &rows[i], &err), err);
    assert_fails(OPS(f)->approval_save(f->store, &older, &err), err, ERR_CONFLICT);
    commit(f);
    assert_ok(OPS(f)->approval_each(f->store, &release, take_approval, &seen, &err), err);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.expires_ms[0], 150);
    assert_int_equal(seen.expires_ms[2], 120);
    assert_string_equal(seen.operators[2], "bob");
    seen.count = 0;
    assert_ok(OPS(f)->approval_each(f->store, NULL, take_approval, &seen, &err), err);
    assert_int_equal(seen.count, 4);
}

static int check_event(const struct event_row *row, void *arg)
{
    int64_t *last = arg;
    assert_true(row->id > *last);
    *last = row->id;
    return 0;
}

static void test_events_grow(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct event_row row = {.time_ms = 1, .kind = "release", .text = "detector 1.0.0"};
    int64_t last = 0, first = 0;
    begin(f);
    for (int i = 0; i < 20; i++) {
        assert_ok(OPS(f)->event_add(f->store, &row, &row.id, &err), err);
        first = first ? first : row.id;
    }
    assert_ok(OPS(f)->event_prune(f->store, 5, &err), err);
    commit(f);
    assert_ok(OPS(f)->event_last_id(f->store, &last, &err), err);
    assert_int_equal(last, first + 19);
    int64_t seen = first + 14;
    assert_ok(OPS(f)->event_after(f->store, 0, 100, check_event, &seen, &err), err);
    assert_int_equal(seen, last);
}

/* Files only from here on. */

static void test_reopen_finds_everything_and_refuses_strangers(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct robot_row out;
    begin(f);
    add_robot(f, "r1");
    commit(f);
    begin(f);
    add_robot(f, "lost"); /* never committed */
    store_free(f->store);
    f->store = NULL;
    assert_ok(store_open_sqlite(f->path, &f->store, &err), err);
    assert_ok(OPS(f)->robot_get(f->store, "r1", &out, &err), err);
    assert_fails(OPS(f)->robot_get(f->store, "lost", &out, &err), err, ERR_NOT_FOUND);

    char path[128];
    snprintf(path, sizeof path, "%s/stranger", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char text[] =
        "this is no database, it is a long enough line of text to be looked at as a header of one ....";
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    close(fd);
    struct store *other = NULL;
    assert_fails(store_open_sqlite(path, &other, &err), err, ERR_CORRUPT);
    unlink(path);
}

/* kill -9 at any moment: what a commit acknowledged is there. */
static void test_acknowledged_survives_kill(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    store_free(f->store);
    f->store = NULL;
    int acks[2];
    assert_int_equal(pipe2(acks, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (store_open_sqlite(f->path, &f->store, &err) < 0)
            _exit(1);
        for (uint32_t i = 1;; i++) {
            struct robot_row row = robot_named("r");
            snprintf(row.id, sizeof row.id, "r%u", i);
            if (f->store->ops->begin(f->store, &err) < 0 ||
                f->store->ops->robot_save(f->store, &row, &err) < 0 ||
                f->store->ops->commit(f->store, &err) < 0 || write(acks[1], &i, sizeof i) != sizeof i)
                _exit(1);
        }
    }
    close(acks[1]);
    uint32_t last = 0, got;
    while (last < 200 && read(acks[0], &got, sizeof got) == sizeof got)
        last = got;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(acks[0], &got, sizeof got) == sizeof got)
        last = got;
    close(acks[0]);
    assert_true(last >= 200);
    assert_ok(store_open_sqlite(f->path, &f->store, &err), err);
    for (uint32_t i = 1; i <= last; i++) {
        char id[32];
        struct robot_row out;
        snprintf(id, sizeof id, "r%u", i);
        assert_ok(OPS(f)->robot_get(f->store, id, &out, &err), err);
    }
}

/* A full disk, played by a file size limit: NO_SPACE, nothing half done, and it goes on when there is space
 * again. */
static void test_full_disk_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct rlimit old, tight;
    begin(f);
    add_robot(f, "before");
    commit(f);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 400 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    struct err full = {0};
    int written = 0;
    while (written < 5000) {
        char id[32];
        snprintf(id, sizeof id, "r%05d", written);
        struct robot_row row = robot_named(id);
        if (OPS(f)->begin(f->store, &full) < 0 || OPS(f)->robot_save(f->store, &row, &full) < 0 ||
            OPS(f)->commit(f->store, &full) < 0)
            break;
        written++;
    }
    OPS(f)->rollback(f->store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    if (full.code != ERR_NO_SPACE)
        fail_msg("%s: %s (errno %d)", err_code_name(full.code), full.text, full.os_errno);
    struct robot_row out;
    char last[32];
    snprintf(last, sizeof last, "r%05d", written);
    assert_ok(OPS(f)->robot_get(f->store, "before", &out, &err), err);
    assert_fails(OPS(f)->robot_get(f->store, last, &out, &err), err, ERR_NOT_FOUND);
    begin(f);
    add_robot(f, last);
    commit(f);
    assert_ok(OPS(f)->robot_get(f->store, last, &out, &err), err);
}

static struct incident_row incident_of(const char *robot, const char *name, int severity, uint8_t byte)
{
    struct incident_row row = {.digest = digest_of(byte),
                               .bytes = 1000u + byte,
                               .cause = "hold",
                               .text = "aisle",
                               .who = "ann",
                               .reason = "blocked",
                               .severity = severity,
                               .time_ms = 5,
                               .from_ms = -1,
                               .until_ms = 9,
                               .received_ms = 10,
                               .release = digest_of(99),
                               .frames = 3,
                               .verdicts = 4};
    str_copy(row.robot, sizeof row.robot, robot);
    str_copy(row.name, sizeof row.name, name);
    return row;
}

static uint64_t add_incident(struct fixture *f, const char *robot, const char *name, int severity,
                             uint8_t byte)
{
    struct err err = {0};
    struct incident_row row = incident_of(robot, name, severity, byte);
    uint64_t id = 0;
    assert_ok(OPS(f)->incident_add(f->store, &row, &id, &err), err);
    return id;
}

struct incidents_seen {
    size_t count;
    uint64_t ids[8];
};

static int see_incident(const struct incident_row *row, void *arg)
{
    struct incidents_seen *seen = arg;
    seen->ids[seen->count++] = row->id;
    return seen->count == 8;
}

static void test_incidents(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct incident_row out, again = incident_of("r1", "one", 2, 7);
    struct incidents_seen all = {0}, older = {0}, other = {0};
    uint64_t count = 0, bytes = 0, id = 0;
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    uint64_t one = add_incident(f, "r1", "one", 2, 1), two = add_incident(f, "r1", "two", 1, 2),
             three = add_incident(f, "r1", "three", 1, 3), four = add_incident(f, "r2", "one", 0, 4);
    assert_fails(OPS(f)->incident_add(f->store, &again, &id, &err), err, ERR_EXISTS);
    commit(f);
    assert_ok(OPS(f)->incident_get(f->store, one, &out, &err), err);
    struct incident_row want = incident_of("r1", "one", 2, 1);
    assert_true(out.id == one && out.bytes == want.bytes && out.severity == want.severity);
    assert_true(out.time_ms == want.time_ms && out.from_ms == want.from_ms && out.until_ms == want.until_ms);
    assert_true(out.received_ms == want.received_ms && out.frames == want.frames &&
                out.verdicts == want.verdicts);
    assert_true(digest_equal(&out.digest, &want.digest) && digest_equal(&out.release, &want.release));
    assert_true(str_eq(out.cause, want.cause) && str_eq(out.text, want.text) && str_eq(out.who, want.who) &&
                str_eq(out.reason, want.reason) && str_eq(out.name, want.name) &&
                str_eq(out.robot, want.robot));
    assert_ok(OPS(f)->incident_find(f->store, "r2", "one", &out, &err), err);
    assert_int_equal(out.id, four);
    struct digest third = digest_of(3), none = digest_of(50);
    assert_ok(OPS(f)->incident_by_digest(f->store, &third, &out, &err), err);
    assert_int_equal(out.id, three);
    assert_fails(OPS(f)->incident_by_digest(f->store, &none, &out, &err), err, ERR_NOT_FOUND);
    err = (struct err){0};
    assert_ok(OPS(f)->incident_each(f->store, "", 0, 8, see_incident, &all, &err), err);
    assert_int_equal(all.count, 4);
    assert_int_equal(all.ids[0], four);
    assert_ok(OPS(f)->incident_each(f->store, "r1", three, 8, see_incident, &older, &err), err);
    assert_int_equal(older.count, 2);
    assert_int_equal(older.ids[0], two);
    assert_ok(OPS(f)->incident_each(f->store, "r3", 0, 8, see_incident, &other, &err), err);
    assert_int_equal(other.count, 0);
    assert_ok(OPS(f)->incident_sum(f->store, "r1", &count, &bytes, &err), err);
    assert_int_equal(count, 3);
    assert_int_equal(bytes, 3006);
    assert_ok(OPS(f)->incident_victim(f->store, "r1", &out, &err), err);
    assert_int_equal(out.id, two); /* the least grave, of these the oldest */
    begin(f);
    assert_ok(OPS(f)->incident_drop(f->store, two, &err), err);
    commit(f);
    assert_fails(OPS(f)->incident_get(f->store, two, &out, &err), err, ERR_NOT_FOUND);
    assert_fails(OPS(f)->incident_victim(f->store, "r3", &out, &err), err, ERR_NOT_FOUND);
}

static void test_one_upload_per_robot(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest first = digest_of(1), second = digest_of(2), none = {0}, out;
    begin(f);
    add_robot(f, "r1");
    assert_ok(OPS(f)->incident_upload_get(f->store, "r1", &out, &err), err);
    assert_true(digest_is_zero(&out));
    assert_ok(OPS(f)->incident_upload_set(f->store, "r1", &first, &err), err);
    assert_ok(OPS(f)->incident_upload_set(f->store, "r1", &second, &err), err);
    commit(f);
    assert_ok(OPS(f)->incident_upload_get(f->store, "r1", &out, &err), err);
    assert_true(digest_equal(&out, &second));
    begin(f);
    assert_ok(OPS(f)->incident_upload_set(f->store, "r1", &none, &err), err);
    commit(f);
    assert_ok(OPS(f)->incident_upload_get(f->store, "r1", &out, &err), err);
    assert_true(digest_is_zero(&out));
}

/* ---- commands and the audit log ---- */

static uint64_t add_command(struct fixture *f, const char *nonce, enum command_verb verb, int64_t created_ms)
{
    struct err err = {0};
    uint64_t id = 0;
    char envelope[] = "{\"command\":\"e30=\"}";
    struct command_row row = {.envelope = envelope,
                              .verb = verb,
                              .operator_name = "alice",
                              .reason = "blocked aisle",
                              .sent_by = "ops",
                              .issued_ms = 10,
                              .expires_ms = 1000,
                              .created_ms = created_ms,
                              .lease = 7,
                              .ttl_ms = 5000};
    str_copy(row.nonce, sizeof row.nonce, nonce);
    assert_ok(OPS(f)->command_add(f->store, &row, &id, &err), err);
    return id;
}

static void set_state(struct fixture *f, uint64_t command, const char *robot, enum command_state state)
{
    struct err err = {0};
    struct command_robot_row row = {.command = command,
                                    .state = state,
                                    .state_ms = 5,
                                    .expires_ms = 1000,
                                    .lease = 9,
                                    .generation = 4,
                                    .release = digest_of(3),
                                    .text = "why"};
    str_copy(row.robot, sizeof row.robot, robot);
    assert_ok(OPS(f)->command_robot_save(f->store, &row, &err), err);
}

struct seen_ids {
    size_t count;
    uint64_t ids[16];
    bool envelopes;
};

static int see_command(const struct command_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    seen->ids[seen->count++] = row->id;
    seen->envelopes = row->envelope != NULL;
    return 0;
}

static int see_robot(const struct command_robot_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    seen->ids[seen->count++] = row->command;
    return 0;
}

static struct seen_ids due(struct fixture *f, const char *robot, uint64_t after, int64_t now_ms)
{
    struct err err = {0};
    struct seen_ids seen = {0};
    assert_ok(OPS(f)->command_due(f->store, robot, after, now_ms, 16, see_command, &seen, &err), err);
    return seen;
}

static void test_command_round_trip(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f);
    add_robot(f, "r1");
    uint64_t id = add_command(f, "a", COMMAND_OVERRIDE, 20);
    set_state(f, id, "r1", COMMAND_ACCEPTED);
    commit(f);
    cleanup_command_row struct command_row row = {0};
    struct command_robot_row robot;
    assert_ok(OPS(f)->command_get(f->store, id, &row, &err), err);
    assert_string_equal(row.envelope, "{\"command\":\"e30=\"}");
    assert_true(row.verb == COMMAND_OVERRIDE && row.issued_ms == 10 && row.expires_ms == 1000 &&
                row.created_ms == 20 && row.lease == 7 && row.ttl_ms == 5000);
    assert_string_equal(row.operator_name, "alice");
    assert_string_equal(row.reason, "blocked aisle");
    assert_string_equal(row.nonce, "a");
    assert_string_equal(row.sent_by, "ops");
    assert_ok(OPS(f)->command_robot_get(f->store, id, "r1", &robot, &err), err);
    struct digest release = digest_of(3);
    assert_true(robot.state == COMMAND_ACCEPTED && robot.lease == 9 && robot.generation == 4 &&
                digest_equal(&robot.release, &release));
    assert_int_equal(OPS(f)->command_robot_get(f->store, id, "r2", &robot, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    cleanup_command_row struct command_row none = {0};
    assert_int_equal(OPS(f)->command_get(f->store, id + 1, &none, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_a_nonce_is_used_once(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char envelope[] = "{}";
    struct command_row again = {.envelope = envelope, .nonce = "a", .operator_name = "bob"};
    uint64_t id = 0;
    begin(f);
    add_command(f, "a", COMMAND_STOP, 20);
    assert_int_equal(OPS(f)->command_add(f->store, &again, &id, &err), -1);
    assert_int_equal(err.code, ERR_EXISTS);
    commit(f);
}

/* Due: queued, or handed over and asked for anew; not answered, not expired, for this robot. */
static void test_what_is_due(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    uint64_t one = add_command(f, "a", COMMAND_HOLD, 20), two = add_command(f, "b", COMMAND_STOP, 20);
    set_state(f, one, "r1", COMMAND_QUEUED);
    set_state(f, two, "r1", COMMAND_QUEUED);
    set_state(f, two, "r2", COMMAND_ACCEPTED);
    struct seen_ids seen = due(f, "r1", 0, 500);
    assert_true(seen.count == 2 && seen.ids[0] == one && seen.ids[1] == two && seen.envelopes);
    assert_int_equal(due(f, "r2", 0, 500).count, 0);
    assert_int_equal(due(f, "r1", 0, 1000).count, 0);
    assert_ok(OPS(f)->command_delivered(f->store, "r1", one, 30, &err), err);
    assert_int_equal(due(f, "r1", 0, 500).count, 2);
    seen = due(f, "r1", two, 500); /* what was never handed over is due whatever he has */
    assert_true(seen.count == 1 && seen.ids[0] == two);
    set_state(f, two, "r1", COMMAND_REFUSED);
    seen = due(f, "r1", 0, 500);
    assert_true(seen.count == 1 && seen.ids[0] == one);
    struct seen_ids late = {0};
    assert_ok(OPS(f)->command_overdue(f->store, 1000, 16, see_robot, &late, &err), err);
    assert_int_equal(late.count, 0);
    assert_ok(OPS(f)->command_overdue(f->store, 1001, 16, see_robot, &late, &err), err);
    assert_true(late.count == 1 && late.ids[0] == one);
    commit(f);
}

static void test_commands_are_listed_and_forgotten(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    begin(f);
    add_robot(f, "r1");
    uint64_t last = 0, hold = add_command(f, "a", COMMAND_HOLD, 100),
             renew = add_command(f, "b", COMMAND_RENEW, 100);
    set_state(f, hold, "r1", COMMAND_QUEUED);
    set_state(f, renew, "r1", COMMAND_ACCEPTED);
    static const struct {
        struct command_filter filter;
        size_t count;
    } table[] = {{{.robot = "", .limit = 9}, 2},   {{.robot = "r1", .limit = 9}, 2},
                 {{.robot = "r2", .limit = 9}, 0}, {{.robot = "", .open = true, .limit = 9}, 1},
                 {{.robot = "", .limit = 1}, 1},   {{.robot = "", .before = 1, .limit = 9}, 0}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct seen_ids seen = {0};
        assert_ok(OPS(f)->command_each(f->store, &table[i].filter, see_command, &seen, &err), err);
        assert_int_equal(seen.count, table[i].count);
        assert_true(seen.count < 2 || seen.ids[0] > seen.ids[1]);
    }
    assert_ok(OPS(f)->command_prune(f->store, 101, 100, &err), err); /* the renewal goes first */
    cleanup_command_row struct command_row gone = {0}, kept = {0};
    assert_int_equal(OPS(f)->command_get(f->store, renew, &gone, &err), -1);
    assert_ok(OPS(f)->command_get(f->store, hold, &kept, &err), err);
    assert_ok(OPS(f)->command_prune(f->store, 101, 101, &err), err);
    assert_int_equal(OPS(f)->command_get(f->store, hold, &gone, &err), -1);
    assert_ok(OPS(f)->command_last_id(f->store, &last, &err), err);
    assert_int_equal(last, renew); /* numbers never come again */
    assert_true(add_command(f, "c", COMMAND_HOLD, 100) > renew);
    commit(f);
}

static int see_entry(const struct audit_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    seen->ids[seen->count++] = row->seq;
    assert_string_equal(row->entry, "{}");
    return 0;
}

static void test_the_audit_log_only_grows(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest hashes[3], wanted = digest_of(9);
    uint64_t seq = 1;
    char entry[] = "{}";
    assert_ok(OPS(f)->audit_last(f->store, &seq, &err), err);
    assert_int_equal(seq, 0);
    begin(f);
    for (seq = 1; seq <= 3; seq++) {
        const struct audit_row row = {.seq = seq, .entry = entry, .hash = digest_of(9)};
        assert_ok(OPS(f)->audit_add(f->store, &row, &err), err);
    }
    const struct audit_row again = {.seq = 2, .entry = entry, .hash = digest_of(8)};
    assert_int_equal(OPS(f)->audit_add(f->store, &again, &err), -1);
    assert_int_equal(err.code, ERR_EXISTS);
    commit(f);
    assert_ok(OPS(f)->audit_last(f->store, &seq, &err), err);
    assert_int_equal(seq, 3);
    assert_ok(OPS(f)->audit_hashes(f->store, 0, 1, 2, hashes, &err), err);
    assert_true(digest_equal(&hashes[0], &wanted) && digest_equal(&hashes[1], &wanted));
    assert_fails(OPS(f)->audit_hashes(f->store, 0, 1, 3, hashes, &err), err, ERR_CORRUPT);
    struct seen_ids seen = {0};
    assert_ok(OPS(f)->audit_after(f->store, 1, 16, see_entry, &seen, &err), err);
    assert_true(seen.count == 2 && seen.ids[0] == 2 && seen.ids[1] == 3);
}

static int see_checkpoint(const struct audit_checkpoint_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    seen->ids[seen->count++] = row->size;
    return 0;
}

static void test_hashes_and_checkpoints_of_the_audit_log_stay(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest first = digest_of(1), other = digest_of(2), got[2];
    uint64_t count = 7;
    char text[] = "note\n";
    cleanup_audit_checkpoint_row struct audit_checkpoint_row last = {0};
    assert_ok(OPS(f)->audit_hash_count(f->store, 1, &count, &err), err);
    assert_int_equal(count, 0);
    assert_ok(OPS(f)->audit_checkpoint_last(f->store, &last, &err), err);
    assert_int_equal(last.size, 0);
    begin(f);
    assert_ok(OPS(f)->audit_hash_add(f->store, 1, 0, &first, &err), err);
    assert_ok(OPS(f)->audit_hash_add(f->store, 1, 1, &other, &err), err);
    assert_ok(OPS(f)->audit_hash_add(f->store, 2, 0, &other, &err), err);
    assert_ok(OPS(f)->audit_hash_add(f->store, 1, 0, &other, &err), err); /* stays what it was */
    for (uint64_t size = 2; size <= 4; size += 2) {
        const struct audit_checkpoint_row row = {.size = size, .time_ms = 5, .text = text};
        assert_ok(OPS(f)->audit_checkpoint_add(f->store, &row, &err), err);
    }
    commit(f);
    assert_ok(OPS(f)->audit_hash_count(f->store, 1, &count, &err), err);
    assert_int_equal(count, 2);
    assert_ok(OPS(f)->audit_hashes(f->store, 1, 0, 2, got, &err), err);
    assert_true(digest_equal(&got[0], &first) && digest_equal(&got[1], &other));
    assert_fails(OPS(f)->audit_hashes(f->store, 2, 0, 2, got, &err), err, ERR_CORRUPT);
    assert_ok(OPS(f)->audit_checkpoint_last(f->store, &last, &err), err);
    assert_int_equal(last.size, 4);
    assert_string_equal(last.text, text);
    struct seen_ids seen = {0};
    assert_ok(OPS(f)->audit_checkpoint_after(f->store, 2, 9, see_checkpoint, &seen, &err), err);
    assert_true(seen.count == 1 && seen.ids[0] == 4);
}

static uint64_t add_review(struct fixture *f, const char *robot, uint8_t release, enum sample_reason reason)
{
    struct err err = {0};
    uint64_t id = 0;
    struct review_row row = {.release = digest_of(release),
                             .sample = digest_of((uint8_t)(100 + reason)),
                             .site = "north",
                             .bytes = 100,
                             .time_ms = 5,
                             .received_ms = 6,
                             .from_ms = 3,
                             .until_ms = 4,
                             .reason = reason,
                             .probability = 0.125,
                             .score = 0.5,
                             .count = 2};
    str_copy(row.robot, sizeof row.robot, robot);
    assert_ok(OPS(f)->review_add(f->store, &row, &id, &err), err);
    return id;
}

static void say(struct fixture *f, uint64_t id, enum review_verdict verdict)
{
    struct err err = {0};
    struct review_row row;
    assert_ok(OPS(f)->review_get(f->store, id, &row, &err), err);
    row.verdict = verdict;
    row.missed = 1;
    row.seen_ms = 7;
    row.decided_ms = 8;
    str_copy(row.decided_by, sizeof row.decided_by, "ann");
    assert_ok(OPS(f)->review_save(f->store, &row, &err), err);
}

static int see_review(const struct review_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    assert_true(seen->count < ARRAY_LEN(seen->ids));
    seen->ids[seen->count++] = row->id;
    return 0;
}

static void assert_reviews(struct fixture *f, const struct review_filter *filter, const uint64_t *ids,
                           size_t count)
{
    struct err err = {0};
    struct seen_ids seen = {0};
    assert_ok(OPS(f)->review_each(f->store, filter, see_review, &seen, &err), err);
    assert_int_equal(seen.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(seen.ids[i], ids[i]);
}

static void test_reviews_are_listed_as_they_should_be_looked_at(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct review_row row;
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    uint64_t alarm = add_review(f, "r1", 1, SAMPLE_ALARM), audit = add_review(f, "r1", 1, SAMPLE_AUDIT),
             novel = add_review(f, "r2", 2, SAMPLE_NOVEL), done = add_review(f, "r1", 1, SAMPLE_ALARM);
    say(f, done, REVIEW_FALSE);
    commit(f);
    struct review_filter any = {.robot = "", .open = -1, .reason = -1, .limit = -1}, open = any, one = any,
                         alarms = any, of_release = any, older = any;
    open.open = 1;
    one.robot = "r2";
    alarms.reason = SAMPLE_ALARM;
    of_release.release = digest_of(2);
    older.before = novel;
    older.limit = 1;
    assert_reviews(f, &any, (uint64_t[]){done, novel, audit, alarm}, 4);
    assert_reviews(f, &open, (uint64_t[]){alarm, novel, audit}, 3);
    assert_reviews(f, &one, (uint64_t[]){novel}, 1);
    assert_reviews(f, &alarms, (uint64_t[]){done, alarm}, 2);
    assert_reviews(f, &of_release, (uint64_t[]){novel}, 1);
    assert_reviews(f, &older, (uint64_t[]){audit}, 1);
    assert_ok(OPS(f)->review_get(f->store, done, &row, &err), err);
    assert_true(row.verdict == REVIEW_FALSE && row.missed == 1 && row.seen_ms == 7 && row.decided_ms == 8);
    assert_true(row.probability == 0.125 && row.score == 0.5 && row.count == 2 && row.from_ms == 3);
    assert_true(str_eq(row.decided_by, "ann") && str_eq(row.site, "north"));
    assert_fails(OPS(f)->review_get(f->store, 99, &row, &err), err, ERR_NOT_FOUND);
}

static void test_an_alarm_that_nobody_judged_goes_last(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct review_row victim;
    uint64_t count, bytes;
    begin(f);
    add_robot(f, "r1");
    uint64_t alarm = add_review(f, "r1", 1, SAMPLE_ALARM), audit = add_review(f, "r1", 1, SAMPLE_AUDIT),
             done = add_review(f, "r1", 1, SAMPLE_ALARM);
    say(f, done, REVIEW_TRUE);
    const uint64_t order[] = {done, audit, alarm};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_ok(OPS(f)->review_sum(f->store, "r1", &count, &bytes, &err), err);
        assert_true(count == 3 - i && bytes == 100 * (3 - i));
        assert_ok(OPS(f)->review_victim(f->store, "r1", &victim, &err), err);
        assert_int_equal(victim.id, order[i]);
        bool last = i == 0;
        assert_ok(OPS(f)->review_forget(f->store, victim.id, &last, &err), err);
        assert_int_equal(last, i > 0); /* both alarms have the same picture */
    }
    assert_fails(OPS(f)->review_victim(f->store, "r1", &victim, &err), err, ERR_NOT_FOUND);
    commit(f);
    assert_ok(OPS(f)->review_get(f->store, done, &victim, &err),
              err); /* the verdict stays, the picture does not */
    assert_true(victim.verdict == REVIEW_TRUE && digest_is_zero(&victim.sample) && victim.bytes == 0);
    assert_fails(OPS(f)->review_get(f->store, audit, &victim, &err), err, ERR_NOT_FOUND);
}

static int count_decision(const struct decision_row *row, void *arg)
{
    (void)row;
    ++*(size_t *)arg;
    return 0;
}

static size_t decisions_of(struct fixture *f, const char *robot)
{
    struct err err = {0};
    size_t count = 0;
    const struct decision_filter filter = {.robot = robot, .limit = -1};
    assert_ok(OPS(f)->decision_each(f->store, &filter, count_decision, &count, &err), err);
    return count;
}

static void test_decisions_of_one_robot_push_out_nobody_elses(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char detail[] = "{}";
    static const char *const robots[] = {"", "r1", "loud", "loud", "loud", "loud", "loud", "loud"};
    begin(f);
    for (size_t i = 0; i < ARRAY_LEN(robots); i++) {
        struct decision_row row = {.who = "guard", .rule = "deadline", .detail = detail};
        uint64_t id;
        str_copy(row.robot, sizeof row.robot, robots[i]);
        assert_ok(OPS(f)->decision_add(f->store, &row, &id, &err), err);
    }
    assert_ok(OPS(f)->decision_prune(f->store, "r1", 2, &err), err); /* it has fewer */
    assert_ok(OPS(f)->decision_prune(f->store, "loud", 2, &err), err);
    commit(f);
    assert_int_equal(decisions_of(f, "loud"), 2);
    assert_int_equal(decisions_of(f, "r1"), 1);
    assert_int_equal(decisions_of(f, ""), 4); /* any: the fleet's is there too */
}

static int see_missed(const struct missed_row *row, void *arg)
{
    struct seen_ids *seen = arg;
    assert_true(str_eq(row->label, "fall") && str_eq(row->who, "ann") && row->until_ms == 9);
    seen->ids[seen->count++] = row->id;
    return 0;
}

static void test_what_was_missed_and_judged_is_counted_by_robot_and_release(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct rollout_alarms counts;
    struct seen_ids seen = {0};
    const enum review_verdict verdicts[] = {REVIEW_TRUE, REVIEW_TRUE, REVIEW_FALSE, REVIEW_UNSURE,
                                            REVIEW_OPEN};
    struct missed_row missed = {
        .robot = "r1", .release = digest_of(1), .from_ms = 8, .until_ms = 9, .label = "fall", .who = "ann"};
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
        say(f, add_review(f, "r1", 1, SAMPLE_ALARM), verdicts[i]);
    say(f, add_review(f, "r1", 1, SAMPLE_AUDIT), REVIEW_FALSE); /* no alarm */
    say(f, add_review(f, "r2", 1, SAMPLE_ALARM), REVIEW_FALSE);
    say(f, add_review(f, "r1", 2, SAMPLE_ALARM), REVIEW_FALSE);
    assert_ok(OPS(f)->missed_add(f->store, &missed, &missed.id, &err), err);
    missed.release = digest_of(2);
    assert_ok(OPS(f)->missed_add(f->store, &missed, &missed.id, &err), err);
    commit(f);
    const struct digest one = digest_of(1), any = {0};
    assert_ok(OPS(f)->alarm_counts(f->store, &one, "r1", &counts, &err), err);
    assert_true(counts.judged_true == 2 && counts.judged_false == 1 && counts.missed == 1);
    assert_ok(OPS(f)->missed_each(f->store, &one, see_missed, &seen, &err), err);
    assert_int_equal(seen.count, 1);
    assert_ok(OPS(f)->missed_each(f->store, &any, see_missed, &seen, &err), err);
    assert_int_equal(seen.count, 3);
}

struct seen_alarms {
    size_t count;
    struct seen_alarm alarms[STORE_ALARMS_PER_ROBOT + 1];
};

static int see_alarm(const struct seen_alarm *alarm, void *arg)
{
    struct seen_alarms *seen = arg;
    seen->alarms[seen->count++] = *alarm;
    return 0;
}

static uint64_t add_finding(struct fixture *f, uint8_t release, uint64_t acknowledgement)
{
    struct err err = {0};
    struct drift_row row = {.release = digest_of(release), .cause = "sensor", .opened_ms = 1};
    assert_ok(OPS(f)->drift_add(f->store, &row, &row.id, &err), err);
    row.acknowledgement = acknowledgement;
    row.closed_ms = acknowledgement ? 2 : 0;
    assert_ok(OPS(f)->drift_save(f->store, &row, &err), err);
    return row.id;
}

static void add_alarm(struct fixture *f, uint64_t finding, const char *robot, int64_t time_ms)
{
    struct err err = {0};
    assert_ok(OPS(f)->drift_alarm_save(f->store, finding, robot, time_ms, &err), err);
}

static struct seen_alarms seen_of(struct fixture *f, const char *robot, uint64_t after)
{
    struct seen_alarms seen = {0};
    struct err err = {0};
    assert_ok(OPS(f)->drift_seen_each(f->store, robot, after, STORE_ALARMS_PER_ROBOT, see_alarm, &seen, &err),
              err);
    return seen;
}

static void test_acknowledged_alarms_are_found_by_robot_and_number(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t last = 9;
    assert_ok(OPS(f)->drift_seen_last(f->store, &last, &err), err);
    assert_int_equal(last, 0);
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    uint64_t late = add_finding(f, 1, 700), early = add_finding(f, 2, 500), open = add_finding(f, 3, 0);
    add_alarm(f, late, "r1", 10);
    add_alarm(f, late, "r1", 11); /* the newest counts */
    add_alarm(f, early, "r1", 20);
    add_alarm(f, open, "r1", 30);
    add_alarm(f, late, "r2", 40);
    commit(f);
    assert_ok(OPS(f)->drift_seen_last(f->store, &last, &err), err);
    assert_int_equal(last, 700);
    struct seen_alarms all = seen_of(f, "r1", 0);
    assert_int_equal(all.count, 2); /* by number, not by finding */
    const struct digest one = digest_of(1);
    assert_true(all.alarms[0].number == 500 && all.alarms[0].time_ms == 20);
    assert_true(all.alarms[1].number == 700 && all.alarms[1].time_ms == 11);
    assert_true(digest_equal(&all.alarms[1].release, &one));
    assert_int_equal(seen_of(f, "r1", 500).count, 1);
    assert_int_equal(seen_of(f, "r1", 700).count, 0);
    assert_int_equal(seen_of(f, "r2", 0).count, 1);
    assert_int_equal(seen_of(f, "r3", 0).count, 0);
}

static void test_alarms_of_a_robot_are_bounded(void **state)
{
    struct fixture *f = *state;
    begin(f);
    add_robot(f, "r1");
    add_robot(f, "r2");
    uint64_t first = add_finding(f, 1, 1);
    add_alarm(f, first, "r1", 1);
    add_alarm(f, first, "r2", 1);
    for (uint64_t i = 2; i <= STORE_ALARMS_PER_ROBOT + 1; i++)
        add_alarm(f, add_finding(f, 1, i), "r1", (int64_t)i);
    commit(f);
    struct seen_alarms left = seen_of(f, "r1", 0);
    assert_int_equal(left.count, STORE_ALARMS_PER_ROBOT);
    assert_int_equal(left.alarms[0].number, 2);
    assert_int_equal(seen_of(f, "r2", 0).count, 1);
}

#define BOTH(test)                                                                                           \
    {#test " (file)", test, open_file, close_any, NULL},                                                     \
    {                                                                                                        \
#test " (memory)", test, open_memory, close_any, NULL                                                \
    }
#define FILE_ONLY(test)                                                                                      \
    {                                                                                                        \
#test, test, open_file, close_any, NULL                                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_robot_round_trip),
        BOTH(test_devices_and_their_certificates),
        BOTH(test_robots_come_in_order),
        BOTH(test_write_wants_a_transaction),
        BOTH(test_undo_takes_back_one_request_only),
        BOTH(test_enroll_token_is_good_for_one_key),
        BOTH(test_operators_and_numbers),
        BOTH(test_streams_are_apart_and_bounded),
        BOTH(test_reports_are_unique),
        BOTH(test_releases),
        BOTH(test_telemetry_round_trip),
        BOTH(test_rollout_round_trip),
        BOTH(test_plans_of_rollouts),
        BOTH(test_approvals),
        BOTH(test_events_grow),
        BOTH(test_command_round_trip),
        BOTH(test_a_nonce_is_used_once),
        BOTH(test_what_is_due),
        BOTH(test_commands_are_listed_and_forgotten),
        BOTH(test_the_audit_log_only_grows),
        BOTH(test_hashes_and_checkpoints_of_the_audit_log_stay),
        BOTH(test_incidents),
        BOTH(test_one_upload_per_robot),
        BOTH(test_reviews_are_listed_as_they_should_be_looked_at),
        BOTH(test_an_alarm_that_nobody_judged_goes_last),
        BOTH(test_decisions_of_one_robot_push_out_nobody_elses),
        BOTH(test_what_was_missed_and_judged_is_counted_by_robot_and_release),
        BOTH(test_acknowledged_alarms_are_found_by_robot_and_number),
        BOTH(test_alarms_of_a_robot_are_bounded),
        FILE_ONLY(test_reopen_finds_everything_and_refuses_strangers),
        FILE_ONLY(test_acknowledged_survives_kill),
        FILE_ONLY(test_full_disk_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
