/* libmuster against guards that hang, die, lie or come back. The order of events is what is tested, not the
 * clock: where something must happen "before the deadline", the deadline is a minute away. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/testing.h"
#include "muster/muster.h"
#include "robot/ctl/ctl.h"
#include "robot/link/link.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WIDTH = 32, HEIGHT = 16, MINUTE_US = 60000000, STREAM = 77 };

static struct {
    char dir[64], path[96];
    int listener, peer;
    struct ring verdicts, frames;
    struct ring *offer; /* what WELCOME hands over */
    uint64_t number;    /* and the stream number in it */
    bool silent;        /* no WELCOME */
} fake;

static struct muster *robot;

static void fake_listen(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, fake.path, sizeof fake.path);
    unlink(fake.path);
    fake.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fake.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fake.listener, 4), 0);
}

static void *fake_welcome(void *unused)
{
    union ctl_packet packet;
    struct ctl_fds got, fds = {.fd = {fake.offer ? fake.offer->fd : -1, -1}};
    struct err err = {0};
    fake.peer = accept4(fake.listener, NULL, NULL, SOCK_CLOEXEC);
    if (ctl_await(fake.peer, &packet, &got, 20000, &err) != 1 || packet.message.kind != CTL_HELLO)
        return (void *)1;
    ring_fini(&fake.frames);
    if (ring_attach(&fake.frames, got.fd[0], RING_FRAMES, &err) < 0)
        return (void *)2;
    struct ctl_message welcome;
    ctl_message_init(&welcome, CTL_WELCOME);
    welcome.generation = fake.number;
    return fake.silent || ctl_send(fake.peer, &welcome, &fds, &err) == 0 ? NULL : (void *)3;
}

static void open_robot(void)
{
    struct muster_options options = {.run_dir = fake.dir, .width = WIDTH, .height = HEIGHT};
    char why[MUSTER_TEXT_SIZE];
    pthread_t thread;
    void *failed;
    assert_int_equal(pthread_create(&thread, NULL, fake_welcome, NULL), 0);
    assert_int_equal(muster_open(&options, &robot, why), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static int setup(void **state)
{
    struct err err = {0};
    memset(&fake, 0, sizeof fake);
    memcpy(fake.dir, "/tmp/muster-link-XXXXXX", 24);
    assert_non_null(mkdtemp(fake.dir));
    snprintf(fake.path, sizeof fake.path, "%s/guard.sock", fake.dir);
    fake.peer = fake.frames.fd = -1;
    fake_listen();
    assert_ok(ring_create(&fake.verdicts, RING_VERDICTS, RING_SLOTS, 0, &err), err);
    fake.offer = &fake.verdicts;
    fake.number = STREAM;
    return 0;
}

static int teardown(void **state)
{
    muster_close(TAKE_PTR(robot));
    ring_fini(&fake.verdicts);
    ring_fini(&fake.frames);
    mem_cleanup_close(&fake.listener);
    mem_cleanup_close(&fake.peer);
    unlink(fake.path);
    rmdir(fake.dir);
    return 0;
}

static struct ring_verdict sound(uint64_t seq)
{
    return (struct ring_verdict){
        .seq = seq,
        .stream = STREAM,
        .generation = 3,
        .decided_ns = clock_mono_ns(),
        .status = RING_VERDICT_OK,
        .reason = INTERVENTION_COUNT,
        .min_score = 0.25f,
        .max_detections = 4,
        .label_count = 3,
        .count = 1,
        .detections = {{.x1 = 10, .y1 = 10, .score = 0.5f, .label = 1}},
    };
}

static uint64_t submit(uint32_t deadline_us)
{
    memset(muster_frame_begin(robot), 9, WIDTH * HEIGHT * 3);
    return muster_frame_submit(robot, 0, deadline_us);
}

static void say(const struct ring_verdict *verdict, uint64_t seq)
{
    assert_true(ring_put(&fake.verdicts, seq, verdict, sizeof *verdict));
    ring_wake(&fake.verdicts);
}

static void frames_arrive_as_they_were_written(void **state)
{
    open_robot();
    for (uint64_t n = 1; n <= 20; n++) {
        uint8_t *rgb = muster_frame_begin(robot);
        assert_ptr_equal(rgb, muster_frame_begin(robot));
        assert_null(ring_peek(&fake.frames, n)); /* not before it is submitted */
        memset(rgb, (int)n, WIDTH * HEIGHT * 3);
        assert_int_equal(muster_frame_submit(robot, 1000 * (int64_t)n, 500), n);
        const struct ring_frame *head = ring_peek(&fake.frames, n);
        assert_non_null(head);
        assert_int_equal(head->capture_ns, 1000 * n);
        assert_int_equal(head->deadline_ns, 1000 * n + 500000);
        assert_int_equal(head->width, WIDTH);
        assert_int_equal(head->height, HEIGHT);
        const uint8_t *pixels = (const uint8_t *)(head + 1);
        for (size_t i = 0; i < WIDTH * HEIGHT * 3; i++)
            assert_int_equal(pixels[i], n);
    }
}

static void a_sound_verdict_is_given_out(void **state)
{
    struct muster_verdict out;
    open_robot();
    assert_true(link_page_is_sealed(robot));
    assert_true(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, robot->verdicts.fd, 0) == MAP_FAILED);
    for (int i = 0; i < 30; i++) {
        uint64_t seq = submit(MINUTE_US);
        struct ring_verdict verdict = sound(seq);
        verdict.status = i % 2 ? RING_VERDICT_FALLBACK : RING_VERDICT_OK;
        verdict.reason = i % 2 ? INTERVENED_RUNNER_LOST : INTERVENTION_COUNT;
        say(&verdict, seq);
        assert_int_equal(muster_verdict_wait(robot, seq, &out), i % 2 ? MUSTER_FALLBACK : MUSTER_OK);
        assert_int_equal(out.seq, seq);
        assert_int_equal(out.generation, 3);
        assert_int_equal(out.count, 1);
        assert_memory_equal(out.detections, verdict.detections, sizeof out.detections[0]);
    }
}

static void spoil_seq(struct ring_verdict *v)
{
    v->seq++;
}
static void spoil_stream(struct ring_verdict *v)
{
    v->stream++;
}
static void spoil_count(struct ring_verdict *v)
{
    v->count = RING_MAX_DETECTIONS + 1;
}
static void spoil_count_wildly(struct ring_verdict *v)
{
    v->count = UINT32_MAX;
}
static void spoil_many(struct ring_verdict *v)
{
    v->max_detections = 0;
}
static void spoil_status(struct ring_verdict *v)
{
    v->status = 0;
}
static void spoil_status_high(struct ring_verdict *v)
{
    v->status = 4;
}
static void spoil_reason(struct ring_verdict *v)
{
    v->reason = INTERVENTION_COUNT + 1;
}
static void spoil_generation(struct ring_verdict *v)
{
    v->generation = 0;
}
static void spoil_time(struct ring_verdict *v)
{
    v->decided_ns += 61 * 1000000000ll;
}
static void spoil_nan(struct ring_verdict *v)
{
    v->detections[0].y1 = NAN;
}
static void spoil_label(struct ring_verdict *v)
{
    v->detections[0].label = 3;
}
static void spoil_kind(struct ring_verdict *v)
{
    v->kind = RING_VALUES + 1;
}
static void spoil_state(struct ring_verdict *v)
{
    v->state = GUARD_STATE_COUNT;
}
static void make_values(struct ring_verdict *v, uint32_t count)
{
    v->kind = RING_VALUES;
    v->count = v->max_detections = count;
    memset(v->values, 0, sizeof v->values);
}
static void spoil_values_nan(struct ring_verdict *v)
{
    make_values(v, 3);
    v->values[2] = NAN;
}
static void spoil_values_few(struct ring_verdict *v)
{
    make_values(v, 3);
    v->max_detections = 4;
}
static void spoil_values_many(struct ring_verdict *v)
{
    make_values(v, RING_MAX_VALUES + 1);
}
static void spoil_safe(struct ring_verdict *v)
{
    v->status = RING_VERDICT_SAFE;
}

static void a_senseless_verdict_is_the_safe_state(void **state)
{
    static void (*const spoil[])(struct ring_verdict *) = {
        spoil_seq,        spoil_stream,      spoil_count,  spoil_count_wildly, spoil_many,
        spoil_status,     spoil_status_high, spoil_reason, spoil_generation,   spoil_time,
        spoil_nan,        spoil_label,       spoil_kind,   spoil_state,        spoil_values_nan,
        spoil_values_few, spoil_values_many, spoil_safe};
    struct muster_verdict out;
    open_robot();
    for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
        uint64_t seq = submit(MINUTE_US);
        struct ring_verdict verdict = sound(seq);
        spoil[i](&verdict);
        say(&verdict, seq);
        assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
        assert_int_equal(out.reason, MUSTER_REASON_INVALID);
        assert_int_equal(out.count, 0);
    }
}

static void values_and_states_are_given_out(void **state)
{
    struct muster_verdict out;
    open_robot();
    for (uint32_t count = 1; count <= RING_MAX_VALUES; count = count * 3 + 1) {
        uint64_t seq = submit(MINUTE_US);
        struct ring_verdict verdict = sound(seq);
        make_values(&verdict, count);
        for (uint32_t i = 0; i < count; i++)
            verdict.values[i] = (float)(i + count);
        verdict.state = GUARD_DEGRADED;
        say(&verdict, seq);
        assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_OK);
        assert_int_equal(out.value_count, count);
        assert_int_equal(out.count, 0);
        assert_int_equal(out.state, MUSTER_STATE_DEGRADED);
        assert_memory_equal(out.values, verdict.values, count * sizeof(float));
    }
}

/* From the moment it is said until the guard's own word shows that it heard: nothing but SAFE, whatever the page holds. */
static void an_emergency_stop_is_the_programs_word(void **state)
{
    struct muster_verdict out;
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_fds fds;
    open_robot();
    uint64_t seq = submit(MINUTE_US);
    struct ring_verdict verdict = sound(seq);
    say(&verdict, seq);
    assert_int_equal(muster_estop(robot, 1), 0);
    assert_int_equal(ctl_await(fake.peer, &packet, &fds, 20000, &err), 1);
    assert_int_equal(packet.message.kind, CTL_ESTOP);
    assert_int_equal(packet.message.count, 1);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    assert_int_equal(out.reason, MUSTER_REASON_OVERSIGHT);
    assert_int_equal(muster_estop(robot, 0), 0);
    assert_int_equal(muster_verdict_wait(robot, seq, &out),
                     MUSTER_SAFE); /* it may not have heard of it yet */
    seq = submit(MINUTE_US);
    verdict = sound(seq);
    verdict.status = RING_VERDICT_SAFE;
    verdict.reason = INTERVENED_OVERSIGHT;
    verdict.state = GUARD_SAFE_STOP;
    verdict.count = 0;
    say(&verdict, seq);
    memset(&out, 0xff, sizeof out);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    assert_int_equal(out.state, MUSTER_STATE_SAFE_STOP);
    for (size_t k = 0; k < MUSTER_MAX_VALUES; k++) /* nothing of an older answer is left to act upon */
        assert_true(out.values[k] == 0);
    seq = submit(MINUTE_US);
    verdict = sound(seq);
    say(&verdict, seq);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_OK);
}

static void a_hung_guard_costs_no_more_than_the_deadline(void **state)
{
    struct muster_verdict out;
    open_robot();
    for (int i = 0; i < 5; i++) {
        uint64_t seq = submit(20000);
        assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
        assert_int_equal(out.reason, MUSTER_REASON_DEADLINE);
        assert_true(clock_mono_ns() >= robot->sent[seq % RING_MAX_SLOTS].deadline_ns);
        struct ring_verdict verdict = sound(seq); /* too late: it is never given out */
        say(&verdict, seq);
        assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    }
}

/* FRAME packets that wait for the guard; they are taken. */
static int calls(void)
{
    union ctl_packet packet;
    struct err err = {0};
    for (int count = 0;; count++) {
        cleanup_ctl_fds struct ctl_fds fds;
        if (ctl_recv(fake.peer, &packet, &fds, &err) != 1)
            return count;
        assert_int_equal(packet.message.kind, CTL_FRAME);
    }
}

static void the_guard_is_told_of_frames_that_it_would_not_see(void **state)
{
    struct muster_verdict verdict;
    open_robot();
    struct ring_verdict first = sound(submit(MINUTE_US));
    assert_int_equal(calls(), 0); /* a result will tell it */
    ring_ask(&fake.verdicts, 0);
    (void)submit(MINUTE_US);
    (void)submit(MINUTE_US);
    assert_int_equal(calls(), 1); /* it had not read the first one yet */
    (void)submit(MINUTE_US);
    assert_int_equal(calls(), 1);
    ring_ask(&fake.verdicts, RING_ASKED_NEVER);
    say(&first, 1);
    assert_int_equal(muster_verdict_wait(robot, 1, &verdict), MUSTER_OK);
    assert_int_equal(calls(), 0);
    assert_int_equal(muster_verdict_wait(robot, submit(1), &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_DEADLINE);
    assert_int_equal(calls(), 1); /* nobody answered it */
}

static struct ring_verdict waiting;

static void *answer_when_called(void *unused)
{
    union ctl_packet packet;
    struct err err = {0};
    struct ctl_fds fds;
    if (ctl_await(fake.peer, &packet, &fds, 20000, &err) == 1 && packet.message.kind == CTL_FRAME)
        say(&waiting, waiting.seq);
    return NULL;
}

/* Long before the program itself would give up: the release's deadline may be shorter. */
static void the_guard_is_told_of_a_frame_that_waits(void **state)
{
    struct muster_verdict verdict;
    pthread_t thread;
    open_robot();
    ring_ask(&fake.verdicts, 2000);
    waiting = sound(submit(MINUTE_US));
    assert_int_equal(calls(), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_when_called, NULL), 0);
    assert_int_equal(muster_verdict_wait(robot, waiting.seq, &verdict), MUSTER_OK);
    pthread_join(thread, NULL);
}

static void *die_soon(void *unused)
{
    poll(NULL, 0, 20);
    close(fake.peer);
    fake.peer = -1;
    return NULL;
}

static void a_guard_that_dies_is_noticed_long_before_the_deadline(void **state)
{
    struct muster_verdict out;
    pthread_t thread;
    open_robot();
    uint64_t seq = submit(MINUTE_US);
    assert_int_equal(pthread_create(&thread, NULL, die_soon, NULL), 0);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    assert_int_equal(out.reason, MUSTER_REASON_NO_GUARD);
    assert_true(clock_mono_ns() < robot->sent[seq % RING_MAX_SLOTS].deadline_ns);
    pthread_join(thread, NULL);
    seq = submit(MINUTE_US);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
}

/* The verdict of a guard's former life, for a frame of this one, is nobody's. */
static void a_new_guard_is_found_and_the_old_ones_word_is_void(void **state)
{
    struct muster_verdict out;
    pthread_t thread;
    struct err err = {0};
    open_robot();
    uint64_t seq = submit(MINUTE_US);
    mem_cleanup_close(&fake.peer);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    ring_fini(&fake.verdicts);
    assert_ok(ring_create(&fake.verdicts, RING_VERDICTS, RING_SLOTS, 0, &err), err);
    fake.number = STREAM + 1;
    assert_int_equal(pthread_create(&thread, NULL, fake_welcome, NULL), 0);
    int64_t until_ms = clock_mono_ms() + 20000;
    while (!muster_connected(robot) && clock_mono_ms() < until_ms)
        muster_frame_begin(robot);
    assert_true(muster_connected(robot));
    pthread_join(thread, NULL);
    seq = submit(MINUTE_US);
    struct ring_verdict verdict = sound(seq);
    say(&verdict, seq);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_SAFE);
    assert_int_equal(out.reason, MUSTER_REASON_INVALID);
    seq = submit(MINUTE_US);
    verdict = sound(seq);
    verdict.stream = STREAM + 1;
    say(&verdict, seq);
    assert_int_equal(muster_verdict_wait(robot, seq, &out), MUSTER_OK);
}

static void senseless_welcomes_are_no_connection(void **state)
{
    struct ring results;
    struct err err = {0};
    assert_ok(ring_create(&results, RING_RESULTS, RING_SLOTS, 0, &err), err);
    fake.offer = &results; /* not a verdicts page */
    open_robot();
    assert_false(muster_connected(robot));
    muster_close(TAKE_PTR(robot));
    mem_cleanup_close(&fake.peer);
    fake.offer = NULL; /* no page at all */
    open_robot();
    assert_false(muster_connected(robot));
    muster_close(TAKE_PTR(robot));
    mem_cleanup_close(&fake.peer);
    fake.offer = &fake.verdicts;
    fake.number = 0;
    open_robot();
    assert_false(muster_connected(robot));
    muster_close(TAKE_PTR(robot));
    mem_cleanup_close(&fake.peer);
    fake.silent = true; /* says nothing: opening does not wait for ever */
    open_robot();
    assert_false(muster_connected(robot));
    ring_fini(&results);
}

int main(void)
{
#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        LINK_TEST(frames_arrive_as_they_were_written),
        LINK_TEST(a_sound_verdict_is_given_out),
        LINK_TEST(a_senseless_verdict_is_the_safe_state),
        LINK_TEST(values_and_states_are_given_out),
        LINK_TEST(an_emergency_stop_is_the_programs_word),
        LINK_TEST(a_hung_guard_costs_no_more_than_the_deadline),
        LINK_TEST(the_guard_is_told_of_frames_that_it_would_not_see),
        LINK_TEST(the_guard_is_told_of_a_frame_that_waits),
        LINK_TEST(a_guard_that_dies_is_noticed_long_before_the_deadline),
        LINK_TEST(a_new_guard_is_found_and_the_old_ones_word_is_void),
        LINK_TEST(senseless_welcomes_are_no_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
