#include "base/mem.h"
#include "base/testing.h"
#include "sim/robot/audit.h"
#include "sim/robot/journal.h"
#include "sim/robot/play.h"

#include <math.h>
#include <unistd.h>

static const struct guard_frame frame = {
    .seq = 5, .stream = 9, .capture_ns = 1000, .deadline_ns = 5000, .width = 160, .height = 128};

static struct ring_verdict raw_verdict(void)
{
    return (struct ring_verdict){
        .seq = 5,
        .stream = 9,
        .generation = 2,
        .decided_ns = 3000,
        .status = RING_VERDICT_OK,
        .max_detections = 4,
        .label_count = 5,
        .count = 1,
        .detections = {{.x1 = 10, .y1 = 10, .score = 0.5f}},
    };
}

static struct muster_verdict as_given(const struct ring_verdict *raw)
{
    struct muster_verdict verdict = {
        .seq = raw->seq, .answer = MUSTER_OK, .generation = raw->generation, .count = raw->count};
    memcpy(verdict.detections, raw->detections, raw->count * sizeof raw->detections[0]);
    return verdict;
}

static bool audit_one(const struct muster_verdict *verdict, const struct ring_verdict *raw, bool sealed)
{
    struct audit audit = {0};
    audit_submitted(&audit, &frame);
    return audit_answer(&audit, verdict, raw, sealed, 4000);
}

/* The auditor must find each single thing that is wrong. */
static void an_auditor_finds_what_is_wrong(void **state)
{
    struct ring_verdict good = raw_verdict(), raw = good;
    struct muster_verdict verdict = as_given(&good);
    assert_true(audit_one(&verdict, &good, true));
    assert_false(audit_one(&verdict, &good, false)); /* the page is not sealed */

    raw.detections[0].x0 = NAN;
    verdict = as_given(&raw);
    assert_false(audit_one(&verdict, &raw, true));
    raw = good;
    raw.decided_ns = 4500; /* from the future */
    verdict = as_given(&raw);
    assert_false(audit_one(&verdict, &raw, true));
    raw = good;
    raw.decided_ns = 500; /* before the frame */
    assert_false(audit_one(&verdict, &raw, true));
    raw = good;
    raw.seq = 6; /* never submitted */
    verdict = as_given(&raw);
    assert_false(audit_one(&verdict, &raw, true));
    verdict = as_given(&good);
    verdict.detections[0].x1 = 11; /* not what the guard wrote */
    assert_false(audit_one(&verdict, &good, true));

    struct audit audit = {0};
    verdict = as_given(&good);
    audit_submitted(&audit, &frame);
    assert_true(audit_answer(&audit, &verdict, &good, true, 4000));
    assert_false(audit_answer(&audit, &verdict, &good, true, 4000)); /* twice */
    struct muster_verdict safe = {.seq = 77, .answer = MUSTER_SAFE};
    assert_true(audit_answer(&audit, &safe, &good, false, 4000));
}

static char path[64];

static size_t read_log(char *out, size_t size)
{
    cleanup_file FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = 0;
    return len;
}

static void new_log(void)
{
    memcpy(path, "/tmp/muster-robot-XXXXXX", 25);
    cleanup_close int fd = mkstemp(path);
    assert_true(fd >= 0);
}

static void totals_add_up(void **state)
{
    struct err err = {0};
    struct journal *journal = mem_zalloc(1, sizeof *journal);
    char text[8192];
    new_log();
    assert_ok(journal_open(path, journal, &err), err);
    struct muster_verdict safe = {.answer = MUSTER_SAFE, .reason = MUSTER_REASON_NO_GUARD};
    struct muster_verdict ok = {.answer = MUSTER_OK, .release = "sha256:aa", .count = 1};
    journal_count(journal, &safe, true, 100);
    journal_count(journal, &ok, true, 200);
    journal_count(journal, &ok, false, 300);
    safe.reason = MUSTER_REASON_RANGE;
    journal_count(journal, &safe, true, 400);
    safe.reason = MUSTER_REASON_DEADLINE;
    journal_count(journal, &safe, true, 500);
    const struct journal_totals *last = &journal->totals[1];
    assert_int_equal(journal->count, 2);
    assert_int_equal(journal->totals[0].lost, 1);
    assert_int_equal(last->frames, last->ok + last->fallback + last->safe);
    assert_int_equal(last->frames, 4);
    assert_int_equal(last->lost, 1);
    assert_int_equal(last->unchecked, 1);
    assert_int_equal(last->first_ms, 200);
    assert_int_equal(last->last_ms, 300);
    struct detection truth = {.x1 = 3, .y1 = 4, .label = 2};
    journal_frame(journal, &ok, &truth, 1, 600);
    journal_flush(journal, 700);
    journal_flush(journal, 800); /* nothing new: no line */
    read_log(text, sizeof text);
    int lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 3);
    assert_non_null(strstr(text, "\"truth\":[[2,0.00,0.00,3.00,4.00]],\"found\":[[0,0.0000,"));
    assert_non_null(strstr(text, "\"release\":\"sha256:aa\",\"frames\":4,\"ok\":2,"));
    journal_close(journal);
    free(journal);
    unlink(path);
}

static void a_robot_without_a_guard_plays_on_safely(void **state)
{
    struct err err = {0};
    volatile sig_atomic_t stop = 0;
    char text[65536];
    new_log();
    struct play_options options = {
        .run_dir = "/nonexistent", .log_path = path, .seed = 3, .fps = 1000, .deadline_ms = 50, .frames = 20};
    assert_ok(play_robot(&options, &stop, &err), err);
    read_log(text, sizeof text);
    assert_non_null(
        strstr(text, "\"release\":\"\",\"frames\":20,\"ok\":0,\"fallback\":0,\"safe\":20,\"lost\":20"));
    options.site = 99;
    assert_fails(play_robot(&options, &stop, &err), err, ERR_INVALID);
    unlink(path);
}

/* A folder with one picture that is none: black frames, no labels, and on it goes. */
static void another_camera_feeds_the_robot(void **state)
{
    struct err err = {0};
    volatile sig_atomic_t stop = 0;
    char dir[] = "/tmp/muster-robot-XXXXXX", picture[64], camera[64], text[65536];
    new_log();
    assert_non_null(mkdtemp(dir));
    snprintf(picture, sizeof picture, "%s/a.png", dir);
    snprintf(camera, sizeof camera, "images:%s", dir);
    struct play_options options = {.run_dir = "/nonexistent",
                                   .log_path = path,
                                   .camera = camera,
                                   .fps = 1000,
                                   .deadline_ms = 50,
                                   .frames = 5};
    assert_fails(play_robot(&options, &stop, &err), err, ERR_NOT_FOUND);
    cleanup_file FILE *file = fopen(picture, "we");
    assert_non_null(file);
    assert_ok(play_robot(&options, &stop, &err), err);
    options.camera = "world:site=1,seed=7";
    options.frames = 20;
    assert_ok(play_robot(&options, &stop, &err), err);
    read_log(text, sizeof text);
    assert_non_null(strstr(text, "\"frames\":5,\"ok\":0,"));
    assert_non_null(strstr(text, "\"frames\":20,\"ok\":0,"));
    unlink(picture);
    rmdir(dir);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_auditor_finds_what_is_wrong),
        cmocka_unit_test(totals_add_up),
        cmocka_unit_test(a_robot_without_a_guard_plays_on_safely),
        cmocka_unit_test(another_camera_feeds_the_robot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
