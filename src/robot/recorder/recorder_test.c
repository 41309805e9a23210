/* The real recorder beside a real guard: an event of each kind becomes a file that stock tools read. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/guard/harness.h"
#include "robot/recorder/recorder.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/ca.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { BEFORE_MS = 600, AFTER_MS = 300, FRAME_MS = 10 };

struct scene {
    struct harness h;
    pid_t runner, recorder;
    char state[64], incidents[96];
};

static void start_recorder(struct scene *s)
{
    struct err err = {0};
    char before[16], after[16];
    snprintf(before, sizeof before, "%d", BEFORE_MS);
    snprintf(after, sizeof after, "%d", AFTER_MS);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-recorder",
                                "--run-dir",
                                s->h.dir,
                                "--state-dir",
                                s->state,
                                "--before-ms",
                                before,
                                "--after-ms",
                                after,
                                "--longest-ms",
                                "2000",
                                "--memory",
                                "8",
                                "--cpu-percent",
                                "100",
                                "--frame-rate",
                                "50",
                                NULL};
    struct proc_options options = {.argv = argv, .die_with_parent = true, .keep_fd = -1};
    char sock[96];
    snprintf(sock, sizeof sock, "%s/recorder.sock", s->h.dir);
    unlink(sock); /* of one that was killed */
    assert_ok(proc_spawn(&options, &s->recorder, &err), err);
    /* It has the lowest priority: on a busy machine it takes its time until it listens. */
    for (int64_t until_ms = clock_mono_ms() + PATIENCE_MS; !file_exists(sock) && clock_mono_ms() < until_ms;)
        poll(NULL, 0, 10);
    assert_true(file_exists(sock));
}

static void give_identity(struct scene *s)
{
    struct err err = {0};
    char key[96], cert[96], serial[CERT_SERIAL_SIZE];
    cleanup_free char *csr = NULL, *pem = NULL;
    snprintf(key, sizeof key, "%s/device.key", s->state);
    snprintf(cert, sizeof cert, "%s/device.pem", s->state);
    assert_ok(ca_init(s->state, "localhost", clock_wall_ms() / 1000, &err), err);
    assert_ok(csr_make(key, "r1", &csr, &err), err);
    assert_ok(ca_sign_csr(s->state, csr, strlen(csr), "r1", 3600, clock_wall_ms() / 1000, &pem, serial, &err),
              err);
    assert_ok(file_replace(cert, pem, strlen(pem), 0600, &err), err);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct guard_options options = {0};
    snprintf(s->state, sizeof s->state, "/tmp/muster-recorder-XXXXXX");
    assert_non_null(mkdtemp(s->state));
    snprintf(s->incidents, sizeof s->incidents, "%s/incidents", s->state);
    give_identity(s);
    harness_open(&s->h, &options, NULL);
    harness_admit(&s->h, 1);
    s->runner = actor_start(&s->h, 1, ACT_WELL);
    harness_until(&s->h, status, status.runners[0].connected);
    harness_activate(&s->h, 1, 0);
    harness_robot(&s->h);
    start_recorder(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    kill(s->recorder, SIGKILL);
    waitpid(s->recorder, NULL, 0);
    if (s->runner > 0) {
        kill(s->runner, SIGKILL);
        waitpid(s->runner, NULL, 0);
    }
    harness_close(&s->h);
    assert_ok(file_remove_tree(s->h.dir, &err), err);
    assert_ok(file_remove_tree(s->state, &err), err);
    free(s);
    return 0;
}

static void play(struct scene *s, int64_t for_ms)
{
    struct muster_verdict verdict;
    for (int64_t until_ms = clock_mono_ms() + for_ms; clock_mono_ms() < until_ms;) {
        frame_wait(&s->h, frame_send(&s->h, 200), &verdict);
        poll(NULL, 0, FRAME_MS);
    }
}

static void command(struct scene *s, enum ctl_verb verb)
{
    struct err err = {0};
    struct ctl_message message;
    ctl_message_init(&message, CTL_COMMAND);
    message.command = (struct ctl_command){.verb = verb, .who = "ann", .reason = "blocked aisle"};
    assert_ok(ctl_call(s->h.agent, &message, 2000, &err), err);
}

/* Waits, with frames, until so many events are sealed; the newest one's id. */
static struct shelf_item await_events(struct scene *s, size_t count)
{
    struct err err = {0};
    cleanup_free struct shelf_list *list = calloc(1, sizeof *list);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (list->count < count && clock_mono_ms() < until_ms) {
        play(s, 50);
        assert_ok(shelf_read(s->incidents, list, &err), err);
    }
    assert_int_equal(list->count, count);
    return list->items[count - 1];
}

static struct incident_verdict verify(struct scene *s, const char *id)
{
    struct err err = {0};
    struct incident_verdict verdict;
    char path[512], ca[96];
    cleanup_file_map struct file_map map = {0};
    snprintf(ca, sizeof ca, "%s/ca.pem", s->state);
    assert_ok(shelf_path(s->incidents, id, ".mcap", path, sizeof path, &err), err);
    assert_ok(file_map(path, &map, &err), err);
    assert_ok(incident_verify(map.data, map.size, ca, &verdict, &err), err);
    assert_int_equal(verdict.signature, INCIDENT_TRUSTED);
    assert_string_equal(verdict.signer, "r1");
    return verdict;
}

/* The stock reader of npm, where it is installed. */
static void read_with_stock_tools(struct scene *s, const char *id)
{
    struct err err = {0};
    char path[512];
    int status = -1;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    assert_ok(shelf_path(s->incidents, id, ".mcap", path, sizeof path, &err), err);
    if (!file_exists(MUSTER_SOURCE_DIR "/node_modules/@mcap/core"))
        return;
    const char *const argv[] = {"node", MUSTER_SOURCE_DIR "/tests/mcap_stock.mjs", path, NULL};
    assert_ok(proc_run(argv, 60000, &out, &status, &err), err);
    assert_int_equal(status, 0);
    assert_non_null(strstr(buf_text(&out), "\"/frames\""));
    assert_non_null(strstr(buf_text(&out), "\"/annotations\""));
    assert_non_null(strstr(buf_text(&out), "\"/verdicts\""));
    assert_non_null(strstr(buf_text(&out), "\"who\":\"ann\""));
}

static void test_a_human_holds_the_robot(void **state)
{
    struct scene *s = *state;
    play(s, BEFORE_MS + 300);
    command(s, CTL_VERB_HOLD);
    struct shelf_item item = await_events(s, 1);
    struct incident_verdict verdict = verify(s, item.id);
    const struct incident_facts *facts = &verdict.facts;
    assert_string_equal(facts->cause, "hold");
    assert_string_equal(facts->who, "ann");
    assert_string_equal(facts->reason, "blocked aisle");
    assert_true(facts->time_ms - facts->from_ms >= BEFORE_MS * 9 / 10);
    assert_true(facts->until_ms - facts->time_ms >= AFTER_MS * 9 / 10);
    assert_true(facts->frames >= 5);
    assert_true(facts->verdicts >= 20);
    assert_false(digest_is_zero(&facts->release));
    read_with_stock_tools(s, item.id);
}

static void test_a_time_series_has_no_holes(void **state)
{
    enum { SENT = 100, FLOATS = 6, EVERY_MS = 8 };
    struct scene *s = *state;
    struct err err = {0};
    char why[MUSTER_TEXT_SIZE];
    muster_close(s->h.robot);
    struct muster_options options = {.run_dir = s->h.dir, .floats = FLOATS};
    assert_int_equal(muster_open(&options, &s->h.robot, why), 0);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (unsigned sent = 0; sent < SENT || recorder_trigger(s->h.dir, "series", &err) < 0; sent++) {
        struct muster_verdict verdict;
        float *values = muster_values_begin(s->h.robot);
        for (int i = 0; i < FLOATS; i++)
            values[i] = (float)sent + (float)i / 10;
        frame_wait(&s->h, muster_frame_submit(s->h.robot, 0, 4000), &verdict);
        poll(NULL, 0, EVERY_MS);
        assert_true(clock_mono_ms() < until_ms);
    }
    struct shelf_list *list = calloc(1, sizeof *list);
    while (list->count == 0 && clock_mono_ms() < until_ms) {
        poll(NULL, 0, 20);
        assert_ok(shelf_read(s->incidents, list, &err), err);
    }
    assert_int_equal(list->count, 1);
    struct incident_verdict verdict = verify(s, list->items[0].id);
    free(list);
    /* All of them, but for the first ones, before the pace is known; and those that a busy machine made it miss are told. */
    assert_true(verdict.facts.frames + verdict.facts.lost_frames + 15 >= verdict.facts.verdicts);
    assert_true(verdict.facts.verdicts >= 20);
}

static void test_triggers_that_overlap_are_one_event(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    play(s, 300);
    assert_ok(recorder_trigger(s->h.dir, "one\ntwo", &err), err);
    play(s, AFTER_MS / 2);
    command(s, CTL_VERB_STOP);
    struct shelf_item item = await_events(s, 1);
    struct incident_verdict verdict = verify(s, item.id);
    assert_string_equal(verdict.facts.cause, "safe_stop");
    assert_int_equal(item.severity, 3);
    play(s, AFTER_MS * 2);
    await_events(s, 1);
    kill(s->recorder, SIGUSR1);
    item = await_events(s, 2);
    verdict = verify(s, item.id);
    assert_string_equal(verdict.facts.cause, "operator");
}

static void test_the_guard_dies(void **state)
{
    struct scene *s = *state;
    play(s, 300);
    kill(s->h.guard, SIGKILL);
    waitpid(s->h.guard, NULL, 0);
    s->h.guard = 0;
    struct shelf_item item = await_events(s, 1);
    assert_string_equal(verify(s, item.id).facts.cause, "guard_lost");
}

static void test_the_recorder_dies(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    play(s, 200);
    kill(s->recorder, SIGKILL);
    waitpid(s->recorder, NULL, 0);
    play(s, 100); /* nobody misses it */
    assert_fails(recorder_trigger(s->h.dir, "x", &err), err, ERR_UNREACHABLE);
    start_recorder(s);
    play(s, 200);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (recorder_trigger(s->h.dir, "again", &err) < 0 && clock_mono_ms() < until_ms)
        play(s, 20);
    struct shelf_item item = await_events(s, 1);
    assert_string_equal(verify(s, item.id).facts.text, "again");
}

static void test_an_open_event_is_sealed_at_the_end(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    int status = -1;
    play(s, 300);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (recorder_trigger(s->h.dir, "last words", &err) < 0 && clock_mono_ms() < until_ms)
        play(s, 20);
    kill(s->recorder, SIGTERM);
    assert_int_equal(waitpid(s->recorder, &status, 0), s->recorder);
    assert_int_equal(status, 0);
    struct shelf_item item = await_events(s, 1);
    assert_string_equal(verify(s, item.id).facts.text, "last words");
}

static void test_one_per_robot(void **state)
{
    struct scene *s = *state;
    struct err err = {0};
    int status = 0;
    play(s, 200);
    const char *const argv[] = {
        MUSTER_BUILD_BIN "/muster-recorder", "--run-dir", s->h.dir, "--state-dir", s->state, NULL};
    assert_ok(proc_run(argv, 10000, NULL, &status, &err), err);
    assert_int_equal(status, err_exit_status(ERR_BUSY));
}

#define scene(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene(test_a_human_holds_the_robot),
        scene(test_a_time_series_has_no_holes),
        scene(test_triggers_that_overlap_are_one_event),
        scene(test_the_guard_dies),
        scene(test_the_recorder_dies),
        scene(test_an_open_event_is_sealed_at_the_end),
        scene(test_one_per_robot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
