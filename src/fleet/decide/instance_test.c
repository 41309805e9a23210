/* Clones, by simulated networks: an event queue with random delays, connections that keep their order, lives that end at any instant with words
 * on their way. What the server knows is exactly what it knows in fleet/api/devices.c. */
#include "base/testing.h"

#include "fleet/decide/instance.h"

#include <string.h>

enum { SCHEDULES = 100000, MAX_EVENTS = 256, MAX_CONNS = 48, COPIES = 2, MAX_STEPS = 90 };

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

enum what { SYN, HELLO, REQUEST, ANSWER }; /* to the server, to the robot, … */

struct event {
    int64_t at, begun_at; /* a request begins with its connection, or after the answer before */
    enum what what;
    int conn;
};

struct conn {
    uint64_t number; /* whose it is */
    int copy;
    bool accepted, cut;
    bool marked; /* the server knows the number */
    int64_t opened_at, told, busy_to_server, busy_to_robot;
};

struct copy {
    uint64_t number; /* 0: dead */
    int64_t heard_at;
    int after_both; /* requests that it began after both were heard, and that came */
};

struct world {
    int64_t now, both_at;
    uint64_t numbers;
    struct instance_watch watch;
    size_t event_count;
    struct event events[MAX_EVENTS];
    int conn_count;
    struct conn conns[MAX_CONNS];
    struct copy copies[COPIES];
    int copy_count;
    bool clone;
};

/* Words of one connection and direction arrive in order, whatever each takes. */
static void post(struct world *w, enum what what, int conn, int64_t begun_at)
{
    struct conn *c = &w->conns[conn];
    int64_t *busy = what == SYN || what == REQUEST ? &c->busy_to_server : &c->busy_to_robot;
    int64_t at = w->now + 1 + (draw(4) ? draw(10) : draw(300));
    if (at <= *busy)
        at = *busy + 1;
    if (w->event_count == MAX_EVENTS)
        return; /* lost, as anything may be */
    *busy = at;
    w->events[w->event_count++] = (struct event){.at = at, .begun_at = begun_at, .what = what, .conn = conn};
}

static bool lives(const struct world *w, const struct conn *c)
{
    return w->copies[c->copy].number == c->number;
}

static void connect_anew(struct world *w, int copy)
{
    if (w->conn_count == MAX_CONNS || !w->copies[copy].number)
        return;
    w->conns[w->conn_count] =
        (struct conn){.number = w->copies[copy].number, .copy = copy, .opened_at = w->now};
    post(w, SYN, w->conn_count++, w->now);
}

static void cut_marked(struct world *w, uint64_t number)
{
    for (int i = 0; i < w->conn_count; i++)
        if (w->conns[i].marked && w->conns[i].number == number)
            w->conns[i].cut = true;
}

static void note_heard(struct world *w, struct copy *copy, bool late, int64_t begun_at)
{
    if (!copy->heard_at && !late)
        copy->heard_at = w->now;
    bool both = w->copy_count == 2 && w->copies[0].heard_at && w->copies[1].heard_at;
    if (both && !w->both_at)
        w->both_at = w->now;
    copy->after_both += both && begun_at > w->both_at;
}

static void serve_request(struct world *w, const struct event *event)
{
    struct conn *c = &w->conns[event->conn];
    uint64_t before = 0;
    enum instance_verdict verdict = instance_heard(&w->watch, c->number, c->told, w->now, &before);
    if (lives(w, c))
        note_heard(w, &w->copies[c->copy], verdict == INSTANCE_LATE, event->begun_at);
    w->clone = w->clone || verdict == INSTANCE_CLONE;
    c->marked = true;
    if (verdict == INSTANCE_NEW && before)
        cut_marked(w, before);
    c->told = w->now;
    post(w, ANSWER, event->conn, w->now);
}

static void arrive(struct world *w, const struct event *event)
{
    struct conn *c = &w->conns[event->conn];
    if (c->cut)
        return;
    switch (event->what) {
    case SYN:
        c->accepted = true;
        c->told = w->now;
        post(w, HELLO, event->conn, w->now);
        break;
    case REQUEST:
        serve_request(w, event);
        break;
    case HELLO: /* nobody sends a request who has not had this */
        if (lives(w, c))
            post(w, REQUEST, event->conn, c->opened_at);
        break;
    case ANSWER:
        if (lives(w, c) && draw(4)) /* or it stays idle */
            post(w, REQUEST, event->conn, w->now);
        break;
    }
}

static bool next_event(struct world *w, struct event *out)
{
    size_t best = 0;
    if (w->event_count == 0)
        return false;
    for (size_t i = 1; i < w->event_count; i++)
        if (w->events[i].at < w->events[best].at)
            best = i;
    *out = w->events[best];
    w->events[best] = w->events[--w->event_count];
    w->now = out->at > w->now ? out->at : w->now;
    return true;
}

/* An idle connection is used again. */
static void use_idle(struct world *w)
{
    if (w->conn_count == 0)
        return;
    int at = (int)draw((uint32_t)w->conn_count);
    struct conn *c = &w->conns[at];
    bool waits = c->busy_to_server > c->busy_to_robot || c->busy_to_robot > w->now;
    if (lives(w, c) && c->marked && !waits)
        post(w, REQUEST, at, w->now);
}

static void restart_server(struct world *w)
{
    w->watch = (struct instance_watch){0};
    w->event_count = 0;
    for (int i = 0; i < w->conn_count; i++)
        w->conns[i].cut = true;
}

static void start_life(struct world *w, int copy)
{
    w->copies[copy] = (struct copy){.number = ++w->numbers};
    w->both_at = 0;
    for (int i = 0; i < w->copy_count; i++)
        w->copies[i].after_both = 0;
    for (uint32_t i = 0, n = 1 + draw(3); i < n; i++)
        connect_anew(w, copy);
}

static void disturb(struct world *w, int restarts_of, bool server_restarts)
{
    int copy = (int)draw((uint32_t)w->copy_count);
    switch (draw(9)) {
    case 0:
        if (restarts_of & 1 << copy)
            start_life(w, copy); /* the one before is dead in that instant */
        break;
    case 1:
        if (server_restarts && draw(6) == 0)
            restart_server(w);
        break;
    case 2:
        w->now += draw(60);
        break;
    case 3:
    case 4:
        connect_anew(w, copy);
        break;
    default:
        use_idle(w);
        break;
    }
}

static void run(struct world *w, int restarts_of, bool server_restarts)
{
    struct event event;
    for (int i = 0; i < w->copy_count; i++)
        start_life(w, i);
    for (int step = 0; step < MAX_STEPS && !w->clone; step++) {
        if (draw(3) == 0)
            disturb(w, restarts_of, server_restarts);
        if (next_event(w, &event))
            arrive(w, &event);
    }
}

static void test_one_robot_is_never_taken_for_two(void **state)
{
    uint64_t news = 0, lates = 0;
    for (uint64_t i = 0; i < SCHEDULES; i++) {
        struct world w = {.copy_count = 1};
        seed = i * 2 + 1;
        run(&w, 1, true);
        if (w.clone)
            fail_msg("schedule %llu", (unsigned long long)i);
        news += w.numbers > 3;
        lates += w.watch.count;
    }
    assert_true(news > SCHEDULES / 4);  /* there were restarts, */
    assert_true(lates > SCHEDULES / 4); /* and they were heard */
}

static void test_two_copies_are_found_within_two_requests_of_each(void **state)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < SCHEDULES; i++) {
        struct world w = {.copy_count = 2};
        seed = i * 2;
        run(&w, 0, false);
        found += w.clone;
        if (!w.clone && w.copies[0].after_both >= 2 && w.copies[1].after_both >= 2)
            fail_msg("schedule %llu: %d and %d requests", (unsigned long long)i, w.copies[0].after_both,
                     w.copies[1].after_both);
    }
    assert_true(found > SCHEDULES / 2);
}

/* Both copies are restarted again and again: they are found as soon as they are left alone for two requests. */
static void test_restarts_do_not_hide_a_copy(void **state)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < SCHEDULES / 10; i++) {
        struct world w = {.copy_count = 2};
        seed = i * 2;
        run(&w, 3, false);
        found += w.clone;
        if (!w.clone && w.copies[0].after_both >= 2 && w.copies[1].after_both >= 2)
            fail_msg("schedule %llu", (unsigned long long)i);
    }
    assert_true(found > SCHEDULES / 20);
}

static void test_words_of_the_dead_prove_nothing(void **state)
{
    struct instance_watch watch = {0};
    uint64_t before = 7;
    assert_int_equal(instance_heard(&watch, 0, 10, 11, &before), INSTANCE_NEW);
    assert_int_equal(before, 0);
    assert_int_equal(instance_heard(&watch, 5, 12, 20, &before), INSTANCE_NEW);
    assert_int_equal(instance_heard(&watch, 0, 20, 30, NULL), INSTANCE_LATE); /* told before 5 was heard */
    assert_int_equal(instance_heard(&watch, 0, 21, 31, NULL), INSTANCE_CLONE);
    assert_int_equal(instance_heard(&watch, 5, 1, 32, NULL), INSTANCE_SAME);
    assert_int_equal(instance_heard(&watch, 9, 15, 33, NULL),
                     INSTANCE_LATE); /* a life before 5 that came to nothing */
    assert_int_equal(instance_heard(&watch, 9, 33, 34, &before), INSTANCE_NEW);
    assert_int_equal(before, 5);
}

static void test_what_fell_out_is_new_again(void **state)
{
    struct instance_watch watch = {0};
    for (uint64_t i = 1; i <= INSTANCE_FOLLOWED + 2; i++)
        assert_int_equal(instance_heard(&watch, i, (int64_t)i * 10, (int64_t)i * 10, NULL), INSTANCE_NEW);
    assert_int_equal(instance_heard(&watch, 2, 1000, 1001, NULL), INSTANCE_CLONE);
    assert_int_equal(instance_heard(&watch, 1, 1000, 1002, NULL), INSTANCE_NEW);
    assert_int_equal(instance_heard(&watch, INSTANCE_FOLLOWED + 2, 1003, 1003, NULL), INSTANCE_CLONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_robot_is_never_taken_for_two),
        cmocka_unit_test(test_two_copies_are_found_within_two_requests_of_each),
        cmocka_unit_test(test_restarts_do_not_hide_a_copy),
        cmocka_unit_test(test_words_of_the_dead_prove_nothing),
        cmocka_unit_test(test_what_fell_out_is_new_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
