/* From an arena to a file: what went in comes out, and a kill at any instant leaves no file or a whole one. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "picture/picture.h"
#include "robot/ctl/ctl.h"
#include "robot/recorder/entry.h"
#include "robot/recorder/seal.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"
#include "wire/mcap/reader.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define S 1000000000ll
enum { MEMORY = 8 << 20, SIDE = 64, FRAMES = 40 };

static char dir[64];
static uint64_t *memory;
static struct arena arena;

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-seal-XXXXXX");
    memory = malloc(MEMORY);
    arena_init(&arena, memory, MEMORY);
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    free(memory);
    return file_remove_tree(dir, &err);
}

static void put_frame(uint64_t seq, int64_t at_ns)
{
    static uint8_t rgb[SIDE * SIDE * 3], jpeg[1 << 16];
    struct err err = {0};
    size_t len = 0;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * seq >> 3);
    struct picture_jpeg picture = {rgb, SIDE, SIDE, 1, 80};
    assert_ok(picture_encode_jpeg(&picture, jpeg, sizeof jpeg, &len, &err), err);
    struct entry_frame *entry = arena_put(&arena, ENTRY_FRAME, at_ns, sizeof *entry + len);
    *entry = (struct entry_frame){.seq = seq,
                                  .stream = 7,
                                  .capture_ns = at_ns - 1000,
                                  .width = SIDE,
                                  .height = SIDE,
                                  .shrink = 1,
                                  .len = (uint32_t)len};
    memcpy(entry->jpeg, jpeg, len);
}

static void put_verdict(uint64_t seq, int64_t at_ns)
{
    struct ring_verdict verdict = {.seq = seq,
                                   .stream = 7,
                                   .generation = 3,
                                   .decided_ns = at_ns,
                                   .status = RING_VERDICT_OK,
                                   .reason = INTERVENTION_COUNT,
                                   .state = GUARD_AUTO,
                                   .count = 2};
    memset(verdict.release.bytes, 9, sizeof verdict.release.bytes);
    verdict.detections[0] =
        (struct detection){.x0 = 1, .y0 = 2, .x1 = 30, .y1 = 40, .score = 0.5f, .label = 1};
    verdict.detections[1] = verdict.detections[0];
    size_t len = entry_verdict_bytes(&verdict);
    memcpy(arena_put(&arena, ENTRY_VERDICT, at_ns, len), &verdict, len);
}

/* A second each: a frame and its verdict at 1 s, 2 s, … */
static void fill(void)
{
    for (uint64_t i = 1; i <= FRAMES; i++) {
        put_frame(i, (int64_t)i * S);
        put_verdict(i, (int64_t)i * S + 1000);
    }
    struct entry_notice *notice = arena_put(&arena, ENTRY_NOTICE, FRAMES * S, sizeof *notice);
    *notice = (struct entry_notice){
        .notice = CTL_NOTICE_COMMAND, .state = GUARD_HOLD, .who = "ann", .reason = "\xff\x01\""};
    struct entry_lost *lost = arena_put(&arena, ENTRY_LOST, FRAMES * S, sizeof *lost);
    *lost = (struct entry_lost){.frames = 2, .verdicts = 5};
    memcpy(arena_put(&arena, ENTRY_LOG, FRAMES * S, 5), "hello", 5);
}

static struct seal plan(const char *id)
{
    struct seal seal = {.dir = dir,
                        .arena = &arena,
                        .from_ns = 11 * S,
                        .at_ns = 20 * S + 5000,
                        .until_ns = FRAMES * S,
                        .wall_offset_ns = 1000000 * S,
                        .facts = {.cause = "hold", .severity = 1}};
    str_copy(seal.facts.id, sizeof seal.facts.id, id);
    return seal;
}

static void verify(const char *id, struct incident_verdict *out)
{
    char path[512];
    struct err err = {0};
    cleanup_file_map struct file_map map = {0};
    assert_ok(shelf_path(dir, id, ".mcap", path, sizeof path, &err), err);
    assert_ok(file_map(path, &map, &err), err);
    assert_ok(incident_verify(map.data, map.size, NULL, out, &err), err);
}

static void test_what_goes_in_comes_out(void **state)
{
    struct err err = {0};
    struct incident_verdict verdict;
    static const char id[] = "000001-20260102T030405Z-1-hold";
    fill();
    struct seal seal = plan(id);
    assert_ok(seal_write(&seal, &err), err);
    verify(id, &verdict);
    assert_int_equal(verdict.facts.frames, FRAMES - 10);
    assert_int_equal(verdict.facts.verdicts, FRAMES - 11); /* the last one is 1 us too late */
    assert_int_equal(verdict.facts.notices, 1);
    assert_int_equal(verdict.facts.lost_verdicts, 5);
    assert_int_equal(verdict.facts.from_ms, 1000011000);
    assert_int_equal(verdict.facts.time_ms, 1000020000);
    assert_int_equal(verdict.facts.release.bytes[0], 9);
    assert_true(verdict.facts.frame_rate > 0.99 && verdict.facts.frame_rate < 1.01);
    assert_int_equal(verdict.signature, INCIDENT_UNSIGNED);
}

static int nothing_left(const char *name, void *arg)
{
    fail_msg("left behind: %s", name);
    return 0;
}

/* What does not fit into its share of the disk leaves nothing there. */
static void test_no_longer_than_allowed(void **state)
{
    struct err err = {0};
    static const char id[] = "000001-20260102T030405Z-1-hold";
    char path[512];
    uint64_t bytes = 0;
    fill();
    struct seal seal = plan(id);
    seal.max_bytes = 1;
    assert_fails(seal_write(&seal, &err), err, ERR_NO_SPACE);
    assert_ok(file_list(dir, nothing_left, NULL, &err), err);
    seal = plan(id);
    assert_ok(seal_write(&seal, &err), err);
    assert_ok(shelf_path(dir, id, ".mcap", path, sizeof path, &err), err);
    assert_ok(file_size(path, &bytes, &err), err);
    for (int less = 1; less >= 0; less--) {
        seal = plan(id);
        seal.max_bytes = bytes - (uint64_t)less;
        assert_int_equal(seal_write(&seal, &err), -less);
    }
}

struct counted {
    unsigned frames, annotations, verdicts, states, logs;
};

static int count(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                 struct err *err)
{
    struct counted *counted = arg;
    counted->frames += mcap_slice_is(channel->topic, "/frames");
    counted->annotations += mcap_slice_is(channel->topic, "/annotations");
    counted->verdicts += mcap_slice_is(channel->topic, "/verdicts");
    counted->states += mcap_slice_is(channel->topic, "/state");
    counted->logs += mcap_slice_is(channel->topic, "/log");
    return 0;
}

static void test_topics(void **state)
{
    struct err err = {0};
    struct counted counted = {0};
    static const char id[] = "000001-20260102T030405Z-1-hold";
    char path[512];
    cleanup_file_map struct file_map map = {0};
    fill();
    struct seal seal = plan(id);
    assert_ok(seal_write(&seal, &err), err);
    assert_ok(shelf_path(dir, id, ".mcap", path, sizeof path, &err), err);
    assert_ok(file_map(path, &map, &err), err);
    const struct mcap_visitor visitor = {.message = count, .arg = &counted};
    assert_ok(mcap_read(map.data, map.size, &visitor, &err), err);
    assert_int_equal(counted.frames, FRAMES - 10);
    assert_int_equal(counted.annotations, FRAMES - 11); /* where the verdict is in it, too */
    assert_int_equal(counted.verdicts, FRAMES - 11);
    assert_int_equal(counted.states, 1);
    assert_int_equal(counted.logs, 2);
}

static void test_a_kill_leaves_nothing_or_all(void **state)
{
    enum { ROUNDS = 60 };
    struct err err = {0};
    unsigned whole = 0;
    int64_t longest_us = 1000;
    fill();
    for (unsigned i = 1; i <= ROUNDS; i++) {
        char id[INCIDENT_ID_SIZE], path[512];
        shelf_id(i, 1767323045678, 1, "hold", id);
        int64_t start_ns = clock_mono_ns();
        pid_t child = fork();
        if (child == 0) {
            struct seal seal = plan(id);
            _exit(seal_write(&seal, &err) < 0);
        }
        if (i > 3) { /* the first ones show how long it takes */
            usleep((useconds_t)(longest_us * (i * 7 % ROUNDS) / ROUNDS));
            kill(child, SIGKILL);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (i <= 3)
            longest_us = MAX(longest_us, (clock_mono_ns() - start_ns) / 1000);
        assert_ok(shelf_path(dir, id, ".mcap", path, sizeof path, &err), err);
        if (!file_exists(path))
            continue;
        struct incident_verdict verdict;
        verify(id, &verdict);
        whole++;
    }
    assert_true(whole >= 3);
    assert_ok(shelf_sweep(dir, &err), err);
    cleanup_free struct shelf_list *list = malloc(sizeof *list);
    assert_ok(shelf_read(dir, list, &err), err);
    assert_int_equal(list->count, whole);
}

static void test_no_directory(void **state)
{
    struct err err = {0};
    struct seal seal = plan("000001-20260102T030405Z-1-hold");
    seal.dir = "/nonexistent";
    assert_fails(seal_write(&seal, &err), err, ERR_NOT_FOUND);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh(test_what_goes_in_comes_out),       fresh(test_no_longer_than_allowed), fresh(test_topics),
        fresh(test_a_kill_leaves_nothing_or_all), fresh(test_no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
