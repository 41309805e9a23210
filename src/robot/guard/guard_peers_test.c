/* Who comes and who goes: to the last place at the table and to the nanosecond. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct desk d;

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
        assert_true(desk_runner_try(&d, &d.one, 1, 0));
        desk_runner_close(&d, &d.one);
        assert_false(desk_robot_try(&d, &d.robot, RING_SLOTS));
        desk_robot_close(&d, &d.robot);
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
                assert_true(desk_robot_try(&d, &d.robot, RING_SLOTS) == rows[i].client);
                desk_robot_close(&d, &d.robot);
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
                desk_robot_open(&d, &d.robot);
                fd = d.robot.fd;
            } else if (role == CTL_ROLE_RUNNER) {
                assert_true(desk_runner_try(&d, &d.one, 9, 0));
                fd = d.one.fd;
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
                desk_robot_close(&d, &d.robot);
            } else if (role == CTL_ROLE_RUNNER) {
                desk_runner_close(&d, &d.one);
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
        assert_true(desk_runner_try(&d, &d.one, 3, 0));
        if (admitted)
            assert_int_equal(desk_admit(&d, 3, &desk_limits), 0);
        send_hello(&next, 3, 3);
        close(d.one.fd); /* after the other's HELLO */
        d.one.fd = -1;
        desk_settle(&d);
        assert_int_equal(heard(&next), 0);
        assert_true(guard_runner_live(desk_slot(&d, 3)) == admitted);
        assert_int_equal(desk_slot(&d, 3)->restarts, admitted);
        desk_runner_close(&d, &d.one);
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
    desk_robot_open(&d, &d.robot);
    assert_false(desk_robot_try(&d, &next, RING_SLOTS)); /* while the first is there */
    desk_robot_close(&d, &next);
    int fd = desk_knock(&d);
    assert_ok(ring_create(&next.frames, RING_FRAMES, RING_SLOTS, DESK_PIXELS, &err), err);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_CLIENT;
    assert_ok(ctl_send(fd, &hello, &(struct ctl_fds){{next.frames.fd, -1}}, &err), err);
    close(d.robot.fd);
    d.robot.fd = -1;
    desk_settle(&d);
    assert_true(desk_hear(fd, &packet, NULL));
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    ring_fini(&next.frames);
    close(fd);
    desk_robot_close(&d, &d.robot);
}

static void a_generation_is_one_runners(void **state)
{
    struct desk_runner other;
    desk_runner_open(&d, &d.one, 1);
    send_hello(&other, 1, 1);
    desk_settle(&d);
    assert_int_equal(heard(&other), ERR_EXISTS);
    desk_runner_close(&d, &other);
    send_hello(&other, 0, 1);
    desk_settle(&d);
    assert_int_equal(heard(&other), ERR_REFUSED);
    desk_runner_close(&d, &other);
    desk_runner_close(&d, &d.one);
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
    desk_robot_open(&d, &d.robot);
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    send_hello(&d.one, 1, 1);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(ring_put(&d.one.results, i, &old, sizeof old));
    desk_settle(&d);
    assert_int_equal(heard(&d.one), 0);
    desk_pass(&d, 200 * DESK_MS);
    assert_int_equal(desk_slot(&d, 1)->next_result, 4);
    assert_int_equal(desk_slot(&d, 1)->counters.interventions[INTERVENED_SEQUENCE], 0);
    (void)err;
    desk_runner_close(&d, &d.one);
    desk_robot_close(&d, &d.robot);
}

/* ---- hung, doomed ---- */

/* So many frames and so long without a word: exactly then it is killed. */
static void a_runner_is_hung_to_the_nanosecond(void **state)
{
    desk_pair_up(&d);
    for (int i = 0; i < GUARD_HANG_FRAMES - 1; i++)
        desk_frame(&d, &d.robot, DESK_MS);
    d.guard->next_tick_ns = testbed_clock() + 5000 * DESK_MS;
    desk_pass(&d, 3000 * DESK_MS);
    guard_peers_tick(d.guard, testbed_clock());
    assert_true(guard_runner_live(desk_slot(&d, 1))); /* long, but too few */
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, seq); /* a word */
    assert_int_equal(desk_slot(&d, 1)->silent_frames, 0);
    int64_t since_ns = testbed_clock();
    for (int i = 0; i < GUARD_HANG_FRAMES; i++)
        desk_frame(&d, &d.robot, DESK_FAR);
    guard_peers_tick(d.guard, since_ns + GUARD_HANG_MS * DESK_MS - 1);
    assert_true(guard_runner_live(desk_slot(&d, 1)));
    assert_int_equal(testbed_kills(), 0);
    testbed_clock_set(since_ns + GUARD_HANG_MS * DESK_MS);
    guard_peers_tick(d.guard, testbed_clock());
    assert_false(guard_runner_live(desk_slot(&d, 1)));
    assert_true(desk_slot(&d, 1)->hung);
    assert_int_equal(testbed_kills(), 1);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    assert_true(desk_hung_up(d.one.fd));
    desk_runner_close(&d, &d.one);
    assert_true(desk_runner_try(&d, &d.one, 1, 0));
    assert_false(desk_slot(&d, 1)->hung); /* a new one, a new start */
    desk_part(&d);
}

static void own_limits_of_patience(void **state)
{
    desk_reopen(&d, &(struct guard_options){.hang_frames = 2, .hang_ms = 7});
    desk_pair_up(&d);
    desk_frame(&d, &d.robot, DESK_FAR);
    desk_frame(&d, &d.robot, DESK_FAR);
    guard_peers_tick(d.guard, testbed_clock() + 7 * DESK_MS - 1);
    assert_int_equal(testbed_kills(), 0);
    guard_peers_tick(d.guard, testbed_clock() + 7 * DESK_MS);
    assert_int_equal(testbed_kills(), 1);
    desk_part(&d);
}

/* News of a death for whoever sits there now: he lives. */
static void news_of_a_death_is_looked_into(void **state)
{
    desk_pair_up(&d);
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
    desk_part(&d);
}

/* No descriptor of the guard's goes to a program that somebody starts, and none of its sockets can make it wait. */
static void nothing_of_it_is_inherited(void **state)
{
    desk_pair_up(&d);
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        if (d.guard->peers[i].used) {
            assert_true(fcntl(d.guard->peers[i].fd, F_GETFD) & FD_CLOEXEC);
            assert_true(fcntl(d.guard->peers[i].pid_fd, F_GETFD) & FD_CLOEXEC);
            assert_true(fcntl(d.guard->peers[i].fd, F_GETFL) & O_NONBLOCK);
        }
    const struct guard_runner *slot = desk_slot(&d, 1);
    const int fds[] = {
        d.guard->lock_fd,  d.guard->listen_fd,    d.guard->epoll_fd,         d.guard->signal_fd,
        d.guard->spare_fd, d.guard->latch.dir_fd, d.guard->latch.file_fd,    slot->bell_fd,
        slot->results.fd,  slot->control.fd,      d.guard->stream.frames.fd, d.guard->stream.verdicts.fd,
        d.one.bell};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(d.guard->listen_fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(slot->bell_fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(d.guard->signal_fd, F_GETFL) & O_NONBLOCK);
    struct stat st;
    assert_int_equal(fstat(d.guard->latch.file_fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(d.state, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    desk_part(&d);
}

/* What a welcome carries: a number, and descriptors only where something is handed over. */
static void a_welcome_hands_over_no_more_than_it_has_to(void **state)
{
    struct ctl_message hello;
    union ctl_packet packet;
    struct ctl_fds fds;
    int fd = desk_knock(&d);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_OPERATOR;
    desk_send(&d, fd, &hello);
    assert_true(desk_hear(fd, &packet, &fds));
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    assert_int_equal(packet.message.generation, d.guard->epoch);
    assert_true(fds.fd[0] == -1 && fds.fd[1] == -1);
    desk_leave(&d, &fd);
    desk_robot_open(&d, &d.robot);
    assert_int_equal(d.robot.stream, d.guard->epoch + 1);
    assert_int_equal(d.robot.verdicts.slot_count, RING_SLOTS);
    desk_robot_close(&d, &d.robot);
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
    desk_pair_up(&d);
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    guard_close(d.guard);
    d.guard = NULL;
    assert_true(desk_hung_up(d.one.fd) && desk_hung_up(d.robot.fd) && desk_hung_up(observer) &&
                desk_hung_up(d.agent));
    ring_fini(&d.one.results);
    ring_fini(&d.one.control);
    ring_fini(&d.two.results);
    ring_fini(&d.two.control);
    ring_fini(&d.robot.frames);
    ring_fini(&d.robot.verdicts);
    const int mine[] = {d.one.fd, d.one.bell, d.two.fd, d.two.bell, d.robot.fd, observer};
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
        DESK(news_of_a_death_is_looked_into),
        DESK(nothing_of_it_is_inherited),
        DESK(a_welcome_hands_over_no_more_than_it_has_to),
        DESK(a_signal_ends_it),
        DESK(an_end_with_everybody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
