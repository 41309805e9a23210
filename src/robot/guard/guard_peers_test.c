/* Who comes, who goes, who may say what, and what he hears: to the last place at the table and to the nanosecond. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct desk d;
static struct desk_runner one, two;
static struct desk_robot robot;

static int setup(void **state)
{
    desk_open(&d,
              &(struct guard_options){.state_dir = "", .runner_users = {1234, 5678}, .runner_user_count = 2});
    return 0;
}

static int teardown(void **state)
{
    testbed_peer(-1);
    desk_close(&d);
    return 0;
}

static void pair_up(void)
{
    desk_runner_open(&d, &one, 1);
    desk_runner_open(&d, &two, 2);
    desk_robot_open(&d, &robot);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
}

static void part(void)
{
    desk_runner_close(&d, &one);
    desk_runner_close(&d, &two);
    desk_robot_close(&d, &robot);
}

static void answer(struct desk_runner *r, uint64_t seq)
{
    struct ring_result result = desk_result(&d, r, seq);
    desk_say(&d, r, &result);
}

static int places_taken(void)
{
    int count = 0;
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        count += d.guard->peers[i].used;
    return count;
}

/* ---- at the door ---- */

static void there_are_sixteen_places(void **state)
{
    int fds[GUARD_MAX_PEERS];
    for (int i = 1; i < GUARD_MAX_PEERS; i++) {
        fds[i] = desk_knock(&d);
        assert_false(desk_hung_up(fds[i]));
    }
    fds[0] = desk_knock(&d);
    assert_true(desk_hung_up(fds[0]));
    close(fds[0]);
    desk_leave(&d, &fds[7]);
    fds[7] = desk_knock(&d);
    assert_false(desk_hung_up(fds[7]));
    for (int i = 1; i < GUARD_MAX_PEERS; i++)
        close(fds[i]);
    desk_settle(&d);
    assert_int_equal(places_taken(), 1);
}

static void only_users_that_were_named_come_in(void **state)
{
    static const struct {
        int64_t uid;
        bool in;
    } rows[] = {{1234, true}, {5678, true}, {1235, false}, {0x7ffffffe, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        testbed_peer(rows[i].uid);
        int fd = desk_knock(&d);
        assert_true(desk_hung_up(fd) == !rows[i].in);
        close(fd);
        desk_settle(&d);
        if (!rows[i].in)
            continue;
        assert_true(desk_runner_try(&d, &one, 1, 0));
        desk_runner_close(&d, &one);
        assert_false(desk_robot_try(&d, &robot, RING_SLOTS));
        desk_robot_close(&d, &robot);
        for (uint32_t role = CTL_ROLE_AGENT; role < CTL_ROLE_END; role++) {
            struct ctl_message hello;
            union ctl_packet packet;
            ctl_message_init(&hello, CTL_HELLO);
            hello.role = role;
            fd = desk_knock(&d);
            desk_send(&d, fd, &hello);
            assert_true(desk_hear(fd, &packet, NULL));
            assert_int_equal(packet.message.kind, CTL_REPLY);
            assert_int_equal(packet.message.result, ERR_DENIED);
            assert_true(desk_hung_up(fd));
            close(fd);
        }
        desk_settle(&d);
        assert_int_equal(d.guard->state, GUARD_STANDBY); /* a mirror that never was in did not go away */
    }
}

/* What /proc says about whoever wants to give orders: its program, our PID namespace, its own. */
static void who_hides_or_is_a_runner_gives_no_orders(void **state)
{
    static const struct {
        unsigned nth;     /* look */
        const char *says; /* NULL: it fails */
        bool agent, client;
    } rows[] = {
        {0, "", true, true},
        {1, "/usr/bin/muster-runner", false, false},
        {1, "/muster-runner-2 (deleted)", false, false},
        {1, "muster-runner", false, false},
        {1, "/usr/bin/muster-agent", true, true},
        {1, "/muster-runner/agent", true, true},
        {1, NULL, false, true}, /* a robot program may hide its memory */
        {1, "", false, true},
        {2, NULL, false, true},
        {2, "pid:[1]", false, true},
        {3, NULL, false, true},
        {3, "pid:[1]", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int client = 0; client < 2; client++) {
            struct ctl_message hello;
            union ctl_packet packet;
            int fd = desk_knock(&d);
            unsigned nth = rows[i].nth && client
                               ? rows[i].nth + 3
                               : rows[i].nth; /* a new caller is looked at at the door too */
            if (rows[i].says)
                testbed_link(nth, rows[i].says);
            else
                testbed_fail_call("readlink", nth, 1, EACCES);
            if (client) {
                assert_true(desk_robot_try(&d, &robot, RING_SLOTS) == rows[i].client);
                desk_robot_close(&d, &robot);
            } else {
                ctl_message_init(&hello, CTL_HELLO);
                hello.role = CTL_ROLE_AGENT;
                desk_send(&d, fd, &hello);
                assert_true(desk_hear(fd, &packet, NULL));
                assert_true((packet.message.kind == CTL_WELCOME) == rows[i].agent);
            }
            testbed_stop();
            testbed_link(0, NULL);
            desk_leave(&d, &fd);
        }
}

/* Two seconds to introduce himself, to the nanosecond. */
static void who_says_nothing_is_shown_the_door(void **state)
{
    int fd = desk_knock(&d);
    desk_pass(&d, 2000 * DESK_MS);
    assert_false(desk_hung_up(fd));
    d.guard->next_tick_ns = testbed_clock() + 1;
    desk_pass(&d, 1);
    assert_true(desk_hung_up(fd));
    close(fd);
    assert_int_equal(places_taken(), 1); /* the agent has done so, and may be silent */
    desk_pass(&d, 60000 * DESK_MS);
    assert_int_equal(places_taken(), 1);
}

static void one_hello_is_enough(void **state)
{
    struct ctl_message hello;
    union ctl_packet packet;
    int fd = desk_join(&d, CTL_ROLE_OBSERVER);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_AGENT;
    hello.generation = 7;
    hello.fallback = 8;
    desk_send(&d, fd, &hello);
    assert_true(desk_hear(fd, &packet, NULL));
    assert_int_equal(packet.message.kind, CTL_REPLY);
    assert_int_equal(packet.message.count, CTL_HELLO);
    assert_int_equal(packet.message.result, ERR_CONFLICT);
    assert_int_equal(packet.message.generation, 7);
    assert_int_equal(packet.message.fallback, 8);
    assert_true(packet.message.text[0]);
    assert_true(desk_hung_up(fd));
    close(fd);
    desk_settle(&d);
}

/* Every kind of packet from every role: what is not for it ends the connection, and changes nothing. */
static void each_role_has_its_words(void **state)
{
    static const unsigned may[CTL_KIND_END] = {
        [CTL_ADMIT] = 1 << CTL_ROLE_AGENT,
        [CTL_ACTIVATE] = 1 << CTL_ROLE_AGENT,
        [CTL_RETIRE] = 1 << CTL_ROLE_AGENT,
        [CTL_SHADOW] = 1 << CTL_ROLE_AGENT,
        [CTL_STATUS_REQUEST] = 1 << CTL_ROLE_AGENT | 1 << CTL_ROLE_OPERATOR | 1 << CTL_ROLE_OBSERVER,
        [CTL_COMMAND] = 1 << CTL_ROLE_AGENT | 1 << CTL_ROLE_OPERATOR,
        [CTL_SCORE] = 1 << CTL_ROLE_CLIENT,
        [CTL_ESTOP] = 1 << CTL_ROLE_CLIENT | 1 << CTL_ROLE_ESTOP,
    };
    for (uint32_t role = CTL_ROLE_CLIENT; role < CTL_ROLE_END; role++)
        for (uint32_t kind = CTL_HELLO; kind <= CTL_NOTICE; kind++) {
            struct ctl_status_packet packet = {0};
            struct err err = {0};
            int fd;
            ctl_message_init(&packet.header, (enum ctl_kind)kind);
            packet.header.role = CTL_ROLE_OBSERVER;
            packet.header.command.verb = CTL_VERB_RELEASE;
            if (role == CTL_ROLE_CLIENT) {
                desk_robot_open(&d, &robot);
                fd = robot.fd;
            } else if (role == CTL_ROLE_RUNNER) {
                assert_true(desk_runner_try(&d, &one, 9, 0));
                fd = one.fd;
            } else {
                fd = desk_join(&d, (enum ctl_role)role);
            }
            assert_ok(ctl_send(fd, &packet.header, NULL, &err), err);
            desk_settle(&d);
            assert_true(desk_hung_up(fd) == !(may[kind] & 1u << role));
            if (role == CTL_ROLE_ESTOP) { /* one that goes away counts as pressed */
                close(fd);
                desk_settle(&d);
                d.guard->mirror_lost = false;
                guard_event(d.guard, GUARD_EV_ESTOP_RELEASED, testbed_clock());
                assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RESET, 0, 0), 0);
                assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RESTART, 0, 0), 0);
            } else if (role == CTL_ROLE_CLIENT) {
                desk_robot_close(&d, &robot);
            } else if (role == CTL_ROLE_RUNNER) {
                desk_runner_close(&d, &one);
            } else {
                desk_leave(&d, &fd);
            }
            assert_int_equal(d.guard->state, GUARD_STANDBY);
        }
}

/* He sends as fast as he can: the others have their turn in between, and everything is done in the end. */
static void nobody_keeps_the_loop_for_himself(void **state)
{
    struct ctl_message ask;
    union ctl_packet packet;
    struct err err = {0};
    int fd = desk_join(&d, CTL_ROLE_OBSERVER);
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    for (int i = 0; i < 9; i++)
        assert_ok(ctl_send(fd, &ask, NULL, &err), err);
    desk_turn(&d);
    int heard = 0;
    while (desk_hear(fd, &packet, NULL))
        heard++;
    assert_int_equal(heard, 8);
    desk_turn(&d);
    assert_true(desk_hear(fd, &packet, NULL));
    desk_leave(&d, &fd);
}

/* ---- places of runners ---- */

static void send_hello(struct desk_runner *r, uint64_t generation, uint64_t release)
{
    struct err err = {0};
    struct ctl_message hello;
    *r = (struct desk_runner){
        .generation = generation, .bell = -1, .frames = {.fd = -1}, .control = {.fd = -1}};
    assert_ok(ring_create(&r->results, RING_RESULTS, RING_SLOTS, 0, &err), err);
    r->fd = desk_knock(&d);
    struct ctl_fds fds = {.fd = {r->results.fd, -1}};
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = generation;
    hello.release = desk_release(release);
    assert_ok(ctl_send(r->fd, &hello, &fds, &err), err);
}

static int32_t heard(const struct desk_runner *r)
{
    union ctl_packet packet;
    if (!desk_hear(r->fd, &packet, NULL))
        return -1;
    return packet.message.kind == CTL_WELCOME ? 0 : packet.message.result;
}

/* The one who was there hung up, and that is noticed at this very moment: the next one gets the place. Admitted or not. */
static void a_successor_need_not_wait(void **state)
{
    for (int admitted = 0; admitted < 2; admitted++) {
        struct desk_runner next;
        assert_true(desk_runner_try(&d, &one, 3, 0));
        if (admitted)
            assert_int_equal(desk_admit(&d, 3, &desk_limits), 0);
        send_hello(&next, 3, 3);
        close(one.fd); /* after the other's HELLO */
        one.fd = -1;
        desk_settle(&d);
        assert_int_equal(heard(&next), 0);
        assert_true(guard_runner_live(desk_slot(&d, 3)) == admitted);
        assert_int_equal(desk_slot(&d, 3)->restarts, admitted);
        desk_runner_close(&d, &one);
        desk_runner_close(&d, &next);
        assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0);
    }
}

static void a_program_need_not_wait_either(void **state)
{
    struct desk_robot next = {.verdicts = {.fd = -1}};
    struct err err = {0};
    struct ctl_message hello;
    union ctl_packet packet;
    desk_robot_open(&d, &robot);
    assert_false(desk_robot_try(&d, &next, RING_SLOTS)); /* while the first is there */
    desk_robot_close(&d, &next);
    int fd = desk_knock(&d);
    assert_ok(ring_create(&next.frames, RING_FRAMES, RING_SLOTS, DESK_PIXELS, &err), err);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_CLIENT;
    assert_ok(ctl_send(fd, &hello, &(struct ctl_fds){{next.frames.fd, -1}}, &err), err);
    close(robot.fd);
    robot.fd = -1;
    desk_settle(&d);
    assert_true(desk_hear(fd, &packet, NULL));
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    ring_fini(&next.frames);
    close(fd);
    desk_robot_close(&d, &robot);
}

static void a_generation_is_one_runners(void **state)
{
    struct desk_runner other;
    desk_runner_open(&d, &one, 1);
    send_hello(&other, 1, 1);
    desk_settle(&d);
    assert_int_equal(heard(&other), ERR_EXISTS);
    desk_runner_close(&d, &other);
    send_hello(&other, 0, 1);
    desk_settle(&d);
    assert_int_equal(heard(&other), ERR_REFUSED);
    desk_runner_close(&d, &other);
    desk_runner_close(&d, &one);
    send_hello(&other, 1, 2); /* of another release than the one that was admitted */
    desk_settle(&d);
    assert_int_equal(heard(&other), ERR_REFUSED);
    desk_runner_close(&d, &other);
    assert_true(desk_slot(&d, 1)->admitted);
    struct ctl_message order;
    ctl_message_init(&order, CTL_ADMIT);
    order.generation = 1;
    order.limits = desk_limits;
    order.release = desk_release(2);
    assert_int_equal(desk_ask(&d, d.agent, &order, NULL), ERR_CONFLICT);
}

/* Strangers take places only until somebody is admitted. */
static void strangers_make_room(void **state)
{
    struct desk_runner strangers[CTL_MAX_RUNNERS + 1];
    for (uint64_t i = 0; i < CTL_MAX_RUNNERS; i++)
        assert_true(desk_runner_try(&d, &strangers[i], 10 + i, 0));
    assert_false(desk_runner_try(&d, &strangers[CTL_MAX_RUNNERS], 99, 0));
    desk_runner_close(&d, &strangers[CTL_MAX_RUNNERS]);
    assert_int_equal(desk_admit(&d, 10, &desk_limits), 0); /* this one is none any more */
    for (uint64_t i = 1; i < CTL_MAX_RUNNERS; i++) {
        assert_int_equal(desk_admit(&d, 20 + i, &desk_limits), 0);
        assert_true(desk_hung_up(strangers[i].fd));
    }
    assert_false(desk_hung_up(strangers[0].fd));
    assert_int_equal(desk_admit(&d, 30, &desk_limits), ERR_TOO_BIG);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        desk_runner_close(&d, &strangers[i]);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 21, 0, 0), 0);
    assert_int_equal(desk_admit(&d, 30, &desk_limits), 0);
}

/* A runner's new life begins at its newest result, whatever it wrote before. */
static void what_was_written_before_hello_is_no_result(void **state)
{
    struct err err = {0};
    struct ring_result old = {.seq = 1, .generation = 1};
    desk_robot_open(&d, &robot);
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    send_hello(&one, 1, 1);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(ring_put(&one.results, i, &old, sizeof old));
    desk_settle(&d);
    assert_int_equal(heard(&one), 0);
    desk_pass(&d, 200 * DESK_MS);
    assert_int_equal(desk_slot(&d, 1)->next_result, 4);
    assert_int_equal(desk_slot(&d, 1)->counters.interventions[INTERVENED_SEQUENCE], 0);
    (void)err;
    desk_runner_close(&d, &one);
    desk_robot_close(&d, &robot);
}

/* ---- hung, doomed ---- */

/* So many frames and so long without a word: exactly then it is killed. */
static void a_runner_is_hung_to_the_nanosecond(void **state)
{
    pair_up();
    for (int i = 0; i < GUARD_HANG_FRAMES - 1; i++)
        desk_frame(&d, &robot, DESK_MS);
    d.guard->next_tick_ns = testbed_clock() + 5000 * DESK_MS;
    desk_pass(&d, 3000 * DESK_MS);
    guard_peers_tick(d.guard, testbed_clock());
    assert_true(guard_runner_live(desk_slot(&d, 1))); /* long, but too few */
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, seq); /* a word */
    assert_int_equal(desk_slot(&d, 1)->silent_frames, 0);
    int64_t since_ns = testbed_clock();
    for (int i = 0; i < GUARD_HANG_FRAMES; i++)
        desk_frame(&d, &robot, DESK_FAR);
    guard_peers_tick(d.guard, since_ns + GUARD_HANG_MS * DESK_MS - 1);
    assert_true(guard_runner_live(desk_slot(&d, 1)));
    assert_int_equal(testbed_kills(), 0);
    testbed_clock_set(since_ns + GUARD_HANG_MS * DESK_MS);
    guard_peers_tick(d.guard, testbed_clock());
    assert_false(guard_runner_live(desk_slot(&d, 1)));
    assert_true(desk_slot(&d, 1)->hung);
    assert_int_equal(testbed_kills(), 1);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    assert_true(desk_hung_up(one.fd));
    desk_runner_close(&d, &one);
    assert_true(desk_runner_try(&d, &one, 1, 0));
    assert_false(desk_slot(&d, 1)->hung); /* a new one, a new start */
    part();
}

static void own_limits_of_patience(void **state)
{
    desk_reopen(&d, &(struct guard_options){.hang_frames = 2, .hang_ms = 7});
    pair_up();
    desk_frame(&d, &robot, DESK_FAR);
    desk_frame(&d, &robot, DESK_FAR);
    guard_peers_tick(d.guard, testbed_clock() + 7 * DESK_MS - 1);
    assert_int_equal(testbed_kills(), 0);
    guard_peers_tick(d.guard, testbed_clock() + 7 * DESK_MS);
    assert_int_equal(testbed_kills(), 1);
    part();
}

/* Told to exit, given two seconds. One that cannot be told is killed at once. */
static void who_is_retired_goes(void **state)
{
    for (int deaf = 0; deaf < 2; deaf++) {
        union ctl_packet packet;
        testbed_clock_set(0);
        testbed_clock_set(DESK_START_NS);
        pair_up();
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        while (desk_hear(one.fd, &packet, NULL))
            ;
        int64_t now_ns = testbed_clock();
        if (deaf)
            testbed_fail_call("sendmsg", 1, 1, EAGAIN);
        assert_int_equal(desk_order(&d, CTL_RETIRE, 1, 0, 0), 0);
        testbed_stop();
        assert_null(desk_slot(&d, 1));
        assert_int_equal(d.guard->active, 0);
        assert_int_equal(d.guard->fallback, 0);
        assert_int_equal(d.guard->state, GUARD_STANDBY);
        assert_int_equal(desk_verdict(&robot, seq)->reason, INTERVENED_RUNNER_LOST);
        assert_int_equal(testbed_kills(), deaf);
        assert_true(desk_hear(one.fd, &packet, NULL) == !deaf);
        assert_true(deaf || packet.message.kind == CTL_EXIT);
        guard_peers_tick(d.guard, now_ns + 2000 * DESK_MS);
        assert_false(desk_hung_up(one.fd));
        guard_peers_tick(d.guard, now_ns + 2000 * DESK_MS + 1);
        assert_true(desk_hung_up(one.fd));
        assert_int_equal(testbed_kills(), deaf + 1);
        assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
        part();
    }
}

static void a_retired_fallback_is_none_any_more(void **state)
{
    pair_up();
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
    assert_int_equal(d.guard->fallback, 0);
    assert_int_equal(d.guard->active, 1);
    answer(&one, seq);
    assert_int_equal(desk_verdict(&robot, seq)->status, RING_VERDICT_OK);
    /* In use as the fallback: its frames are answered by nobody. */
    desk_runner_close(&d, &two);
    desk_runner_open(&d, &two, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 3, 0), 0);
    desk_runner_close(&d, &one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    seq = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&robot, seq)->reason, INTERVENED_RUNNER_LOST);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0); /* gone is gone */
    part();
}

/* ACTIVATE 0: nobody answers, and frames in hand are the safe state's. */
static void nobody_is_to_answer(void **state)
{
    pair_up();
    uint64_t first = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&robot, first)->reason, INTERVENED_RUNNER_LOST);
    assert_int_equal(desk_page(&one).mode, RING_MODE_IDLE);
    uint64_t second = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_verdict(&robot, second)->generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    desk_runner_close(&d, &one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    uint64_t third = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&robot, third)->reason, INTERVENED_RUNNER_LOST);
    part();
}

/* ---- waiting for the end of a sequence ---- */

static void it_waits_a_minute_and_no_longer(void **state)
{
    pair_up();
    int64_t now_ns = testbed_clock();
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    assert_int_equal(d.guard->next.generation, 2);
    desk_pass(&d, 30000 * DESK_MS);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1),
                     0); /* said again: it waits since the first time */
    guard_activate_due(d.guard, false, now_ns + 60000 * DESK_MS - 1);
    assert_int_equal(d.guard->active, 1);
    guard_activate_due(d.guard, false, now_ns + 60000 * DESK_MS);
    assert_int_equal(d.guard->active, 2);
    assert_int_equal(d.guard->fallback, 1);
    assert_int_equal(d.guard->next.generation, 0);
    part();
}

static void only_the_last_frame_ends_a_sequence(void **state)
{
    pair_up();
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    int64_t now_ns = testbed_clock();
    desk_submit(&robot, now_ns, now_ns + DESK_FAR, RING_FRAME_SEQUENCE_END, 1); /* one is behind it already */
    desk_submit(&robot, now_ns, now_ns + DESK_FAR, 0, 2);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 1);
    desk_submit(&robot, now_ns, now_ns + DESK_FAR, 2, 3); /* another flag */
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 1);
    desk_submit(&robot, now_ns, now_ns + DESK_FAR, RING_FRAME_SEQUENCE_END, 4);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 2);
    part();
}

/* Who is to come next dies, or is retired, or is called off, before it is his turn. */
static void a_wait_may_end_in_nothing(void **state)
{
    pair_up();
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    desk_runner_close(&d, &two);
    guard_activate_due(d.guard, true, testbed_clock());
    assert_int_equal(d.guard->active, 1);
    assert_int_equal(d.guard->next.generation, 0);
    desk_runner_open(&d, &two, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 3, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0); /* another one */
    assert_int_equal(d.guard->next.generation, 3);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0);
    assert_int_equal(d.guard->next.generation, 0);
    desk_runner_close(&d, &two);
    desk_runner_open(&d, &two, 4);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 4, 0), 0); /* the old one, at once */
    assert_int_equal(d.guard->next.generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->next.generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0); /* nobody answers: nothing to wait for */
    assert_int_equal(d.guard->active, 4);
    part();
}

/* ---- humans and the hardware ---- */

static void press(int fd, uint32_t pressed)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    desk_send(&d, fd, &message);
}

/* As long as one of them is pressed, or a mirror is missing, it is pressed. */
static void all_have_to_let_go(void **state)
{
    int first = desk_join(&d, CTL_ROLE_ESTOP), second = desk_join(&d, CTL_ROLE_ESTOP);
    desk_robot_open(&d, &robot);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    press(first, 1);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    assert_string_equal(d.guard->who, "e-stop mirror");
    press(robot.fd, 1);
    assert_string_equal(d.guard->who, "e-stop mirror"); /* who was first */
    press(second, 0);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(robot.fd, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    press(robot.fd, 1);
    assert_string_equal(d.guard->who, "robot program");
    press(robot.fd, 0);
    desk_leave(&d, &second);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    assert_string_equal(d.guard->who, "guard");
    press(robot.fd, 0); /* cannot speak for the mirror */
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    press(robot.fd, 1);
    desk_robot_close(&d, &robot); /* a program that goes takes its word with it */
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    close(first);
    desk_settle(&d);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
}

static struct ctl_message last_notice(int fd, enum ctl_notice want)
{
    union ctl_packet packet;
    struct ctl_message found = {0};
    while (desk_hear(fd, &packet, NULL))
        if (packet.message.kind == CTL_NOTICE && packet.message.notice == want)
            found = packet.message;
    return found;
}

/* Word for word, with what came of it, and where it was said; a renewed lease is no news. */
static void commands_are_told(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER), operator= desk_join(&d, CTL_ROLE_OPERATOR);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_HOLD, 0, 0), 0);
    struct ctl_message notice = last_notice(observer, CTL_NOTICE_COMMAND);
    assert_int_equal(notice.result, 0);
    assert_int_equal(notice.count, 1);
    assert_int_equal(notice.state, GUARD_HOLD);
    assert_int_equal(notice.command.verb, CTL_VERB_HOLD);
    assert_string_equal(notice.command.who, "ann");
    assert_string_equal(notice.command.reason, "a test");
    assert_string_equal(notice.text, "hold by ann: hold");
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), ERR_DENIED);
    notice = last_notice(observer, CTL_NOTICE_COMMAND);
    assert_int_equal(notice.result, ERR_DENIED);
    assert_int_equal(notice.count, 0);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_OVERRIDE, 0, 500), 0);
    struct ctl_message ask, reply;
    ctl_message_init(&ask, CTL_COMMAND);
    ask.command = (struct ctl_command){.verb = CTL_VERB_OVERRIDE, .lease = 1, .ttl_ms = 500, .who = "ann"};
    ask.fallback = 4711;
    ask.generation = 5;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), 0);
    assert_int_equal(reply.generation, 2); /* the lease */
    assert_int_equal(reply.fallback, 4711);
    while (last_notice(observer, CTL_NOTICE_COMMAND).notice)
        ;
    ask.command.verb = CTL_VERB_RENEW;
    ask.command.lease = 2;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), 0);
    assert_int_equal(reply.generation, 5); /* no lease */
    assert_int_equal(last_notice(observer, CTL_NOTICE_COMMAND).notice, 0);
    ask.command.lease = 1;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), ERR_CONFLICT);
    assert_int_equal(reply.generation, 5);
    assert_int_equal(last_notice(observer, CTL_NOTICE_COMMAND).result, ERR_CONFLICT);
    desk_leave(&d, &operator);
    desk_leave(&d, &observer);
}

/* A lease goes over a restart as a number and as a stop; what its holder said does not. */
static void a_restart_ends_a_lease(void **state)
{
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_OVERRIDE, 0, 60000), 0);
    desk_reopen(&d, &(struct guard_options){.state_dir = ""});
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_int_equal(d.guard->oversight.lease, 1);
    assert_false(d.guard->oversight.held || d.guard->oversight.local_word);
    assert_string_equal(d.guard->who, "ann");
    assert_string_equal(d.guard->reason, "held the lease when the guard ended");
    int operator= desk_join(&d, CTL_ROLE_OPERATOR);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_STOP, 0, 0), 0);
    desk_reopen(&d, &(struct guard_options){.state_dir = ""});
    assert_true(d.guard->oversight.local_word);
    assert_string_equal(d.guard->reason, "a test");
    close(operator);
    desk_settle(&d);
}

/* ---- news ---- */

/* Once a second of each reason, with how many there were. */
static void interventions_are_told_once_a_second(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    pair_up();
    (void)last_notice(observer, CTL_NOTICE_STATE);
    static const struct {
        int64_t after_ns;
        uint32_t told;
    } rows[] = {{0, 1}, {10 * DESK_MS, 0}, {980 * DESK_MS, 0}, {10 * DESK_MS, 3}, {2000 * DESK_MS, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        testbed_clock_set(testbed_clock() + rows[i].after_ns);
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &one, seq);
        result.count = 100;
        desk_say(&d, &one, &result);
        struct ctl_message notice = last_notice(observer, CTL_NOTICE_INTERVENTION);
        assert_int_equal(notice.count, rows[i].told);
        if (!rows[i].told)
            continue;
        char want[32];
        snprintf(want, sizeof want, "frame %llu", (unsigned long long)seq);
        assert_string_equal(notice.text, want);
        assert_int_equal(notice.result, INTERVENED_TOO_MANY);
        assert_int_equal(notice.generation, 1);
    }
    desk_frame(&d, &robot, 0); /* another reason has a second of its own */
    desk_pass(&d, 1);
    assert_int_equal(last_notice(observer, CTL_NOTICE_INTERVENTION).result, INTERVENED_DEADLINE);
    part();
    desk_leave(&d, &observer);
}

static void states_and_losses_are_told(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER), mirror = desk_join(&d, CTL_ROLE_ESTOP);
    pair_up();
    struct ctl_message notice = last_notice(observer, CTL_NOTICE_STATE);
    assert_string_equal(notice.text, "standby -> auto");
    assert_int_equal(notice.state, GUARD_AUTO);
    assert_int_equal(notice.generation, 1);
    assert_string_equal(notice.command.who, "");
    desk_runner_close(&d, &one);
    notice = last_notice(observer, CTL_NOTICE_LOST);
    assert_string_equal(notice.text, "runner lost");
    assert_int_equal(notice.generation, 1);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
    assert_string_equal(last_notice(observer, CTL_NOTICE_STATE).command.who, "ann");
    union ctl_packet packet;
    assert_false(desk_hear(mirror, &packet, NULL)); /* only agents and observers hear */
    desk_runner_close(&d, &two);
    desk_robot_close(&d, &robot);
    desk_leave(&d, &observer);
    close(mirror);
    desk_settle(&d);
}

/* Frames for runners, frames and verdicts for observers; to those who are there and to those who come. */
static void who_is_shown_what(void **state)
{
    union ctl_packet packet;
    struct ctl_fds fds;
    struct ring frames, verdicts;
    struct err err = {0};
    int early = desk_join(&d, CTL_ROLE_OBSERVER), late, agent;
    desk_runner_open(&d, &one, 1);
    assert_false(desk_hear(one.fd, &packet, NULL)); /* there is nothing yet */
    desk_robot_open(&d, &robot);
    desk_runner_open(&d, &two, 2);
    late = desk_join(&d, CTL_ROLE_OBSERVER);
    agent = desk_join(&d, CTL_ROLE_AGENT);
    const int peers[] = {early, late, one.fd, two.fd};
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_true(desk_hear(peers[i], &packet, &fds));
        assert_int_equal(packet.message.kind, CTL_STREAM);
        assert_int_equal(packet.message.generation, robot.stream);
        assert_ok(ring_attach(&frames, fds.fd[0], RING_FRAMES, &err), err);
        ring_fini(&frames);
        if (i < 2) {
            assert_ok(ring_attach(&verdicts, fds.fd[1], RING_VERDICTS, &err), err);
            assert_int_equal(verdicts.slot_count, RING_SLOTS);
            ring_fini(&verdicts);
        } else {
            assert_int_equal(fds.fd[1], -1);
        }
    }
    assert_false(desk_hear(agent, &packet, NULL));
    part();
    desk_leave(&d, &early);
    desk_leave(&d, &late);
    desk_leave(&d, &agent);
}

/* A new stream begins with what comes after it: numbers of its own, no history of the old one. */
static void a_new_program_begins_anew(void **state)
{
    pair_up();
    uint64_t stream = robot.stream;
    desk_frame(&d, &robot, DESK_FAR);
    desk_robot_close(&d, &robot);
    assert_int_equal(guard_next_deadline_ns(d.guard), INT64_MAX);
    assert_int_equal(desk_page(&one).mode, RING_MODE_IDLE);
    struct desk_robot next;
    desk_robot_open(&d, &next);
    assert_int_equal(next.stream, stream + 1);
    assert_int_equal(desk_page(&one).mode, RING_MODE_ACTIVE);
    assert_int_equal(desk_page(&one).stream, next.stream);
    assert_int_equal(desk_page(&one).from_seq, 1);
    assert_null(desk_verdict(&next, 1));
    uint64_t seq = desk_frame(&d, &next, DESK_FAR);
    answer(&one, seq);
    assert_int_equal(desk_verdict(&next, seq)->status, RING_VERDICT_OK);
    desk_robot_close(&d, &next);
    desk_runner_close(&d, &one);
    desk_runner_close(&d, &two);
}

/* ---- shadows ---- */

static void shadow(uint64_t seq, uint32_t count, uint32_t status)
{
    struct ring_result result = desk_result(&d, &two, seq);
    result.shadow = 1;
    result.count = count;
    result.status = status;
    desk_say(&d, &two, &result);
}

static void shadows_are_counted_exactly(void **state)
{
    pair_up();
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 1, 0, 3), ERR_CONFLICT);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 7, 0, 3), ERR_CONFLICT);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    assert_int_equal(desk_page(&two).mode, RING_MODE_SHADOW);
    uint64_t first = desk_frame(&d, &robot, DESK_FAR);
    shadow(first, 2, RING_RESULT_OK); /* before the verdict */
    assert_int_equal(slot->shadow_frames, 0);
    answer(&one, first);
    assert_int_equal(slot->shadow_frames, 1);
    assert_int_equal(slot->shadow_agreed, 1);
    assert_int_equal(slot->shadow_left, 3);
    shadow(first, 2, RING_RESULT_OK); /* again: once is enough */
    assert_int_equal(slot->shadow_frames, 1);
    uint64_t second = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, second);
    shadow(second, 1, RING_RESULT_OK); /* after it, and something else */
    assert_int_equal(slot->shadow_frames, 2);
    assert_int_equal(slot->shadow_agreed, 1);
    uint64_t third = desk_frame(&d, &robot, DESK_FAR);
    shadow(third, 2, RING_RESULT_STALE);
    assert_int_equal(slot->shadow_left, 2);
    uint64_t fourth = desk_frame(&d, &robot, DESK_FAR);
    shadow(fourth, 100, RING_RESULT_OK);
    assert_int_equal(slot->shadow_failed, 1);
    assert_int_equal(slot->shadow_left, 1);
    uint64_t fifth = desk_frame(&d, &robot, 0);
    desk_pass(&d, 1);
    assert_int_equal(desk_verdict(&robot, fifth)->status, RING_VERDICT_SAFE);
    shadow(fifth, 2, RING_RESULT_OK); /* nothing to compare with */
    assert_int_equal(slot->shadow_left, 1);
    uint64_t sixth = desk_frame(&d, &robot, DESK_FAR);
    shadow(sixth, 2, RING_RESULT_OK);
    answer(&one, sixth);
    assert_int_equal(slot->shadow_frames, 3);
    assert_int_equal(slot->shadow_left, 0);
    assert_int_equal(desk_page(&two).mode, RING_MODE_IDLE);
    uint64_t seventh = desk_frame(&d, &robot, DESK_FAR);
    shadow(seventh, 2, RING_RESULT_OK); /* it had not looked at its page yet */
    answer(&one, seventh);
    assert_int_equal(slot->shadow_frames, 3);
    for (int i = 0; i < INTERVENTION_COUNT; i++)
        assert_int_equal(slot->counters.interventions[i], 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 1), 0); /* counted anew */
    assert_int_equal(slot->shadow_frames + slot->shadow_agreed + slot->shadow_failed, 0);
    part();
}

/* The end of a shadow, or of its runner, in between: what waits to be compared is forgotten. */
static void what_waits_to_be_compared_may_be_forgotten(void **state)
{
    pair_up();
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 0), 0);
    answer(&one, seq);
    assert_int_equal(slot->shadow_frames, 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    seq = desk_frame(&d, &robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    desk_runner_close(&d, &two); /* lost: it is not shadowed any more */
    answer(&one, seq);
    assert_int_equal(slot->shadow_frames, 0);
    assert_true(desk_runner_try(&d, &two, 2, 0));
    assert_int_equal(desk_page(&two).mode, 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    seq = desk_frame(&d, &robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
    answer(&one, seq);
    assert_int_equal(desk_verdict(&robot, seq)->status, RING_VERDICT_OK);
    part();
}

/* In another's name, for a frame that never was: nothing, and nothing is held against it. */
static void a_shadow_that_says_nonsense(void **state)
{
    pair_up();
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &two, seq);
    result.generation = 1;
    desk_say(&d, &two, &result);
    result = desk_result(&d, &two, seq + 1);
    desk_say(&d, &two, &result);
    assert_int_equal(slot->shadow_left, 4);
    assert_null(desk_verdict(&robot, seq));
    assert_int_equal(slot->counters.interventions[INTERVENED_SEQUENCE], 0);
    /* One whose verdict was written over while it thought: the newer one stands, and there is nothing to compare. */
    answer(&one, seq);
    assert_non_null(ring_begin(&d.guard->stream.verdicts, seq + RING_SLOTS));
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(slot->shadow_left, 4);
    part();
}

/* Scores count from the program that is connected, within bounds, for a generation that is known. */
static void scores_are_added_up(void **state)
{
    static const struct {
        uint64_t generation;
        uint32_t tp, fp, fn;
        bool counts;
    } rows[] = {{1, 256, 0, 0, true}, {1, 257, 0, 0, false}, {1, 0, 256, 3, true}, {1, 0, 257, 0, false},
                {1, 4, 0, 256, true}, {1, 0, 0, 257, false}, {9, 1, 1, 1, false},  {2, 1, 2, 3, true}};
    pair_up();
    uint64_t tp = 0, fp = 0, fn = 0, frames = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctl_message message;
        ctl_message_init(&message, CTL_SCORE);
        message.generation = rows[i].generation;
        message.score.tp = rows[i].tp;
        message.score.fp = rows[i].fp;
        message.score.fn = rows[i].fn;
        desk_send(&d, robot.fd, &message);
        if (rows[i].counts && rows[i].generation == 1) {
            tp += rows[i].tp;
            fp += rows[i].fp;
            fn += rows[i].fn;
            frames++;
        }
        const struct ctl_counters *counters = &desk_slot(&d, 1)->counters;
        assert_true(counters->score_tp == tp && counters->score_fp == fp && counters->score_fn == fn &&
                    counters->score_frames == frames);
    }
    assert_int_equal(desk_slot(&d, 2)->counters.score_tp, 1);
    assert_int_equal(desk_slot(&d, 2)->counters.score_fn, 3);
    part();
}

/* News of a death for whoever sits there now: he lives. */
static void news_of_a_death_is_looked_into(void **state)
{
    pair_up();
    struct guard_peer *peer = desk_slot(&d, 1)->peer;
    guard_peer_died(d.guard, peer, testbed_clock());
    assert_ptr_equal(desk_slot(&d, 1)->peer, peer);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    close(peer->pid_fd);
    peer->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0); /* as if he had been that one */
    assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    guard_peer_died(d.guard, peer, testbed_clock());
    assert_null(desk_slot(&d, 1)->peer);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    waitpid(pid, NULL, 0);
    part();
}

/* ---- the end ---- */

static void a_signal_ends_it(void **state)
{
    struct err err = {0};
    assert_int_equal(raise(SIGTERM), 0); /* blocked: it is read in the loop */
    testbed_pause(false);
    assert_ok(guard_run(d.guard, &err), err);
    assert_true(d.guard->stop);
    sigset_t pending;
    sigemptyset(&pending);
    sigaddset(&pending, SIGTERM);
    assert_int_equal(sigtimedwait(&pending, NULL, &(struct timespec){0}), SIGTERM);
}

/* Whoever is there when it ends is hung up on, and nothing stays open. */
static void an_end_with_everybody_there(void **state)
{
    int fds = testbed_fds(), mappings = testbed_mappings();
    pair_up();
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    guard_close(d.guard);
    d.guard = NULL;
    assert_true(desk_hung_up(one.fd) && desk_hung_up(robot.fd) && desk_hung_up(observer) &&
                desk_hung_up(d.agent));
    ring_fini(&one.results);
    ring_fini(&one.control);
    ring_fini(&two.results);
    ring_fini(&two.control);
    ring_fini(&robot.frames);
    ring_fini(&robot.verdicts);
    const int mine[] = {one.fd, one.bell, two.fd, two.bell, robot.fd, observer};
    for (size_t i = 0; i < ARRAY_LEN(mine); i++)
        close(mine[i]);
    assert_int_equal(testbed_fds(),
                     fds - 9); /* lock, listener, epoll, signals, spare; the agent's two; the latch's two */
    assert_int_equal(testbed_mappings(), mappings);
}

int main(void)
{
#define DESK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        DESK(there_are_sixteen_places),
        DESK(only_users_that_were_named_come_in),
        DESK(who_hides_or_is_a_runner_gives_no_orders),
        DESK(who_says_nothing_is_shown_the_door),
        DESK(one_hello_is_enough),
        DESK(each_role_has_its_words),
        DESK(nobody_keeps_the_loop_for_himself),
        DESK(a_successor_need_not_wait),
        DESK(a_program_need_not_wait_either),
        DESK(a_generation_is_one_runners),
        DESK(strangers_make_room),
        DESK(what_was_written_before_hello_is_no_result),
        DESK(a_runner_is_hung_to_the_nanosecond),
        DESK(own_limits_of_patience),
        DESK(who_is_retired_goes),
        DESK(a_retired_fallback_is_none_any_more),
        DESK(nobody_is_to_answer),
        DESK(it_waits_a_minute_and_no_longer),
        DESK(only_the_last_frame_ends_a_sequence),
        DESK(a_wait_may_end_in_nothing),
        DESK(all_have_to_let_go),
        DESK(commands_are_told),
        DESK(a_restart_ends_a_lease),
        DESK(interventions_are_told_once_a_second),
        DESK(states_and_losses_are_told),
        DESK(who_is_shown_what),
        DESK(a_new_program_begins_anew),
        DESK(shadows_are_counted_exactly),
        DESK(what_waits_to_be_compared_may_be_forgotten),
        DESK(a_shadow_that_says_nonsense),
        DESK(scores_are_added_up),
        DESK(news_of_a_death_is_looked_into),
        DESK(a_signal_ends_it),
        DESK(an_end_with_everybody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
